"""The model before there is any heat: recoveries, noise and drivers from the metallurgical literature.

Every number is a default to be learnt over, never a constant of nature; sd are wide where sources differ.
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from model_service.contracts import (
    Additive,
    HandbookEntry,
    HandbookStep,
    Heat,
    PricePerT,
    RecommendationRequest,
    Slag,
    Treatment,
    Window,
)
from model_service.parameters import (
    AssumedFirst,
    ElementModel,
    Feature,
    OxygenBalance,
    Parameters,
    Range,
    SlowState,
    StationModel,
    SteelMass,
)

STATIONS = ("tapping", "ladle_furnace")


class _Prior(NamedTuple):
    recovery: float  # share of what is added that is found again
    recovery_sd: float
    noise_sd_pct: float  # sampling and analysis of the last sample, and what the slag does, wt %
    first_high_pct: float
    assumed_pct: float | None = None  # usual first analysis where nobody measures it, wt %
    assumed_sd_pct: float = 0.0


# Tap stream. Recovery is what dissolves; what oxygen takes of it is the balance's.
_TAPPING = {
    "C": _Prior(0.94, 0.03, 0.012, 1.2),
    "Si": _Prior(0.97, 0.03, 0.012, 1.0, 0.005, 0.005),
    "Mn": _Prior(0.98, 0.02, 0.014, 2.0, 0.09, 0.03),
    "P": _Prior(1.00, 0.05, 0.0010, 0.1, 0.015, 0.006),
    "S": _Prior(1.00, 0.10, 0.0030, 0.2, 0.025, 0.012),
    "Cr": _Prior(0.965, 0.02, 0.008, 3.0, 0.04, 0.03),
    "Ni": _Prior(0.99, 0.01, 0.003, 4.0, 0.06, 0.04),
    "Cu": _Prior(0.99, 0.01, 0.003, 1.0, 0.15, 0.08),
    "Mo": _Prior(0.99, 0.01, 0.0015, 1.0, 0.01, 0.01),
    "V": _Prior(0.97, 0.02, 0.0018, 0.5, 0.002, 0.002),
    "Nb": _Prior(0.955, 0.02, 0.0012, 0.3, 0.0005, 0.0005),
    "Ti": _Prior(0.80, 0.12, 0.0030, 0.3, 0.001, 0.001),
    "Al": _Prior(0.88, 0.03, 0.0060, 0.3, 0.002, 0.002),
    "B": _Prior(0.65, 0.10, 0.0003, 0.02, 0.0002, 0.0002),
    "Ca": _Prior(0.15, 0.06, 0.0005, 0.02, 0.0002, 0.0002),
    "N": _Prior(0.70, 0.15, 0.0015, 0.05, 0.006, 0.003),
    "Sn": _Prior(1.00, 0.02, 0.0010, 0.2, 0.01, 0.008),
    "As": _Prior(1.00, 0.02, 0.0010, 0.2, 0.008, 0.006),
}
# Ladle furnace, slag FeO + MnO under 1.5 %. Nothing is assumed there: the steel has been analysed. Sulphur is
# taken out there, that of the additions too.
_LADLE_FURNACE = {
    "C": _Prior(0.90, 0.03, 0.010, 1.5),
    "Si": _Prior(0.96, 0.03, 0.012, 2.5),
    "Mn": _Prior(0.99, 0.02, 0.010, 3.0),
    "P": _Prior(1.00, 0.05, 0.0008, 0.1),
    "S": _Prior(0.75, 0.15, 0.0030, 0.2),
    "Cr": _Prior(0.96, 0.015, 0.006, 5.0),
    "Ni": _Prior(0.99, 0.01, 0.002, 5.0),
    "Cu": _Prior(0.99, 0.01, 0.002, 1.0),
    "Mo": _Prior(0.99, 0.01, 0.001, 2.0),
    "V": _Prior(0.985, 0.015, 0.0012, 0.5),
    "Nb": _Prior(0.965, 0.015, 0.0010, 0.3),
    "Ti": _Prior(0.78, 0.05, 0.0030, 0.3),
    "Al": _Prior(0.68, 0.08, 0.0060, 0.3),
    "B": _Prior(0.65, 0.10, 0.0003, 0.02),
    "Ca": _Prior(0.18, 0.05, 0.0005, 0.02),
    "N": _Prior(0.75, 0.15, 0.0012, 0.05),
    "Sn": _Prior(1.00, 0.02, 0.0010, 0.2),
    "As": _Prior(1.00, 0.02, 0.0010, 0.2),
}
_BY_STATION = {"tapping": _TAPPING, "ladle_furnace": _LADLE_FURNACE}

# Oxygen at tap, and who binds it (METALLURGY B6.1 to B6.5).
_OXYGEN = {
    "tapping": OxygenBalance(
        kg_per_kg={"Al": 1.125, "Si": 0.875, "Mn": 3.43, "C": 0.75, "Cr": 2.17, "V": 1.27, "Ti": 1.5},
        affinity={"Si": 1.0, "V": 0.1, "Mn": 0.11, "C": 0.08, "Cr": 0.03, "Ti": 3.0},
        usual_kg_t={"Si": 3.0, "Mn": 8.0, "C": 1.5},
        dissolved={"Al": 0.88, "Si": 0.98, "Mn": 0.985, "C": 0.94, "Cr": 0.98, "V": 0.98, "Ti": 0.85},
        usual_ppm=800.0,
        usual_sd=0.3,
        carbon_oxygen_pct_ppm=27.0,
        by_carbon_sd=0.2,
        probe_sd=0.11,
        carry_over_kg_t=6.0,
        feo_pct=25.0,
        mno_pct=5.0,
        slag_reacts=0.55,
        air_kg_t=0.06,
        al_burnt=0.92,
        al_takes=0.93,
        oxygen_sd=0.12,
        most_burnt=0.6,
    )
}
_DEBIT_SD = 0.12  # what is not known of a heat's oxygen: slag that reacts, probe, air
_FEATURES = {
    "tapping": [
        Feature(name="oxygen_ppm", unit="ppm", low=50.0, high=2000.0, default=800.0),
        Feature(name="slag_carry_over_kg_t", unit="kg/t", low=0.0, high=30.0, default=6.0),
    ],
    "ladle_furnace": [],
}


def prior_parameters(stations: Sequence[str] = STATIONS) -> Parameters:
    """Return the model that knows the literature and no heat, for both kinds of station."""
    return Parameters(stations={name: _station(name) for name in stations})


def prior_oxygen(station: str) -> OxygenBalance | None:
    """Return the literature's oxygen balance of a station; None where additions meet hardly any oxygen."""
    return _OXYGEN.get(station)


def prior_element(station: str, element: str) -> ElementModel | None:
    """Return what the literature says of one element at one station, or None where it says nothing."""
    prior = _BY_STATION[station].get(element)
    return None if prior is None else _element(station, element, prior)


def unknown_element(noise_sd_pct: float, first_high_pct: float) -> ElementModel:
    """Return a vague model of an element that the literature's tables leave out: most of it stays."""
    return _element("", "", _Prior(0.9, 0.15, noise_sd_pct, first_high_pct))


def golden_requests() -> list[RecommendationRequest]:
    """Return requests for a bundle of both stations: one for each, and one that cannot be reached."""
    tapping, ladle_furnace = _golden("tapping", 1, mass_t=119.4), _golden("ladle_furnace", 2, mass_t=114.0)
    scarce = [replace(offer, stock_kg=400.0) for offer in tapping.additives]
    return [tapping, ladle_furnace, replace(tapping, additives=scarce)]


def _station(name: str) -> StationModel:
    return StationModel(
        heats=0,
        steel_mass_t=SteelMass(low=5.0, high=400.0, nominal=120.0),
        features=_FEATURES[name],
        oxygen=_OXYGEN.get(name),
        elements={element: _element(name, element, prior) for element, prior in _BY_STATION[name].items()},
    )


def _element(station: str, element: str, prior: _Prior) -> ElementModel:
    assumed = prior.assumed_pct
    balance = _OXYGEN.get(station)
    burns = balance is not None and element in balance.kg_per_kg
    return ElementModel(
        recovery=prior.recovery,
        recovery_sd=prior.recovery_sd,
        noise_sd_pct=prior.noise_sd_pct,
        slow_state=SlowState(residual_sd_pct=1.5 * prior.noise_sd_pct),
        first_range=Range(low=0.0, high=prior.first_high_pct),
        debit=1.0 if burns else 0.0,
        debit_sd=_DEBIT_SD if burns else 0.0,
        assumed_first=None if assumed is None else AssumedFirst(pct=assumed, sd_pct=prior.assumed_sd_pct),
    )


def _golden(station: str, treatment_no: int, mass_t: float) -> RecommendationRequest:
    at_tap = station == "tapping"
    return RecommendationRequest(
        heat=Heat(
            treatment=Treatment(
                plant_id="golden",
                heat_uid="00000000-0000-4000-8000-000000000001",
                station=station,
                treatment_no=treatment_no,
            ),
            heat_no="golden-1",
            revision=1,
            registered_at="2026-01-01T00:00:00Z",
            grade="B500B",
            windows={
                "C": Window(min=0.17, aim=0.19, max=0.22),
                "Si": Window(min=0.15, aim=0.20, max=0.35),
                "Mn": Window(min=0.70, aim=0.80, max=1.00),
                "P": Window(max=0.04),
            },
            chemistry=(
                {"C": 0.062, "Si": 0.004, "Mn": 0.09, "P": 0.012, "Cu": 0.21}
                if at_tap
                else {"C": 0.168, "Si": 0.14, "Mn": 0.71, "P": 0.014, "Cu": 0.21}
            ),
            steel_mass_t=mass_t,
            temperature_c=1650.0 if at_tap else 1585.0,
            oxygen_ppm=812.0 if at_tap else None,
            slag=Slag(carry_over_kg_t=5.5) if at_tap else None,
        ),
        additives=[
            _additive("SiMn", {"Mn": 66.0, "Si": 17.0, "C": 1.8, "P": 0.15}, 1030.0, 5.0, -1.5),
            _additive("FeMnHC", {"Mn": 76.0, "C": 6.8, "Si": 0.5, "P": 0.18}, 1050.0, 5.0, -2.3),
            _additive("FeSi75", {"Si": 75.5, "Al": 1.2, "C": 0.1}, 1600.0, 5.0, 0.9),
            _additive("coke", {"C": 96.0, "S": 0.5}, 470.0, 1.0, -6.0),
        ],
        handbook_entry=HandbookEntry(
            nominal_recovery={"C": 0.92, "Si": 0.78, "Mn": 0.9, "P": 1.0},
            assumed_pct={"Mn": 0.09, "Si": 0.0},
            steps=[
                HandbookStep(element="Si", additives=["SiMn"], not_beyond_aim_of=["Mn"]),
                HandbookStep(element="Mn", additives=["FeMnHC", "SiMn"], not_beyond_aim_of=["C"]),
                HandbookStep(element="Si", additives=["FeSi75"]),
                HandbookStep(element="C", additives=["coke"]),
            ],
        ),
    )


def _additive(
    name: str, assay: dict[str, float], price: float, increment_kg: float, chill: float
) -> Additive:
    return Additive(
        additive=name,
        assay=assay,
        price_per_t=PricePerT(amount=price, currency="EUR", valid_from="2026-01-01T00:00:00Z"),
        increment_kg=increment_kg,
        stock_kg=10_000.0,
        max_kg=3_000.0,
        chill_c_per_kg_t=chill,
    )
