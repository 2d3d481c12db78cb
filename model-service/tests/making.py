"""Heats, additives and bundles for tests."""

from pathlib import Path
from typing import Any

import numpy as np
from growing import grow
from msgspec.structs import replace

from model_service.contracts import (
    Addition,
    Additive,
    Chemistry,
    PricePerT,
    RecentHeat,
    RecommendationRequest,
    Treatment,
    Window,
)
from model_service.model import Bundle, make_bundle
from model_service.parameters import Parameters
from model_service.priors import golden_requests, prior_parameters

CONTRACTS = Path(__file__).parents[2] / "contracts"

# The usual stock of a melt shop: name, assay in wt %, price per tonne, step in kg.
SHELF = [
    ("SiMn", {"Mn": 66.0, "Si": 17.0, "C": 1.8, "P": 0.15}, 1030.0, 5.0),
    ("FeMnHC", {"Mn": 76.0, "C": 6.8, "Si": 0.5, "P": 0.18}, 1050.0, 5.0),
    ("FeMnMC", {"Mn": 80.0, "C": 1.5, "Si": 1.0, "P": 0.18}, 1550.0, 5.0),
    ("Mn metal", {"Mn": 97.0, "C": 0.05}, 1900.0, 5.0),
    ("FeSi75", {"Si": 75.5, "Al": 1.2, "C": 0.1}, 1600.0, 5.0),
    ("FeSi65", {"Si": 65.0, "Al": 0.8}, 1400.0, 5.0),
    ("FeCrHC", {"Cr": 64.0, "C": 7.5, "Si": 1.0, "P": 0.02}, 1900.0, 5.0),
    ("FeCrLC", {"Cr": 68.0, "C": 0.08}, 3900.0, 5.0),
    ("FeMo", {"Mo": 65.0, "Cu": 0.5}, 27000.0, 5.0),
    ("FeV80", {"V": 80.0}, 21500.0, 5.0),
    ("FeV50", {"V": 51.0}, 14000.0, 5.0),
    ("coke", {"C": 96.0, "S": 0.5}, 470.0, 1.0),
    ("Al", {"Al": 98.0}, 2400.0, 1.0),
    ("SiC", {"C": 30.0, "Si": 56.0}, 800.0, 5.0),
]
ALLOYED = {
    "C": Window(min=0.38, aim=0.41, max=0.46),
    "Si": Window(min=0.15, aim=0.25, max=0.40),
    "Mn": Window(min=0.60, aim=0.72, max=0.90),
    "Cr": Window(min=0.90, aim=1.02, max=1.20),
    "Mo": Window(min=0.15, aim=0.18, max=0.25),
    "V": Window(min=0.03, aim=0.04, max=0.06),
    "P": Window(max=0.025),
}
ALLOYED_FIRST: Chemistry = {
    "C": 0.06, "Si": 0.004, "Mn": 0.09, "Cr": 0.05, "Mo": 0.01, "V": 0.002, "P": 0.008,
}  # fmt: skip


def offer(name: str, assay: dict[str, float], price: float, step_kg: float, **fields: Any) -> Additive:
    amount = PricePerT(amount=price, currency="EUR", valid_from="2026-01-01T00:00:00Z")
    return Additive(additive=name, assay=assay, price_per_t=amount, increment_kg=step_kg, **fields)


def shelf(**fields: Any) -> list[Additive]:
    return [offer(*row, **fields) for row in SHELF]


def asked(**fields: Any) -> RecommendationRequest:
    """A structural steel at the tap, with four additives."""
    return replace(golden_requests()[0], **fields)


def alloyed(**fields: Any) -> RecommendationRequest:
    """An alloyed steel at the tap: seven windows, fourteen additives."""
    request = asked()
    heat = replace(request.heat, windows=ALLOYED, chemistry=ALLOYED_FIRST)
    return replace(request, **{"heat": heat, "additives": shelf(), **fields})


def with_heat(request: RecommendationRequest, **fields: Any) -> RecommendationRequest:
    return replace(request, heat=replace(request.heat, **fields))


def recent_heats(
    request: RecommendationRequest, count: int, chemistry_after: Chemistry, **fields: Any
) -> list[RecentHeat]:
    """Finished heats like `request`'s, one every half hour, newest last, all with the same result."""
    return [
        RecentHeat(
            **{
                "treatment": Treatment(
                    plant_id="golden",
                    heat_uid=f"00000000-0000-4000-8000-0000000001{i:02d}",
                    station=request.heat.treatment.station,
                    treatment_no=1,
                ),
                "completed_at": f"2026-01-01T{i // 2:02d}:{30 * (i % 2):02d}:00Z",
                "heat": request.heat,
                "additives": request.additives,
                "additions": [Addition(additive="SiMn", added_kg=1345.0)],
                "chemistry_after": chemistry_after,
                **fields,
            }
        )
        for i in range(count)
    ]


def grown_parameters() -> tuple[Parameters, dict[str, str]]:
    """The priors with manganese and silicon at the tap corrected by trees, and the text of those."""
    parameters = prior_parameters()
    tapping = parameters.stations["tapping"]
    random = np.random.default_rng(7)
    rows = np.column_stack([random.uniform(50, 2000, 500), random.uniform(0, 30, 500)])
    texts, elements = {}, dict(tapping.elements)
    for element, scale in (("Mn", 0.02), ("Si", 0.05)):
        name = f"tapping.{element}.recovery"
        texts[name] = grow(rows, -scale * (rows[:, 0] - 800) / 800 + 0.002 * random.standard_normal(500))
        elements[element] = replace(elements[element], recovery_tree=name, recovery_cap=0.03)
    stations = {**parameters.stations, "tapping": replace(tapping, elements=elements)}
    return replace(parameters, stations=stations), texts


def grown_bundle() -> Bundle:
    return make_bundle(*grown_parameters())
