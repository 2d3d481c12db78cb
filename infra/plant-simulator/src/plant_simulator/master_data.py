"""The plant's master data as the contract master-data.v1:

grades, additives with the lots in the bins, the handbook rule.
"""

from collections.abc import Mapping
from typing import Any

from plant_simulator import line
from plant_simulator.catalogue import TAPPING, Additive, Catalogue
from plant_simulator.elements import ELEMENTS, Floats
from plant_simulator.hidden import HiddenHeats
from plant_simulator.lots import lot_name
from plant_simulator.parameters import Parameters


def document(
    plant: Catalogue,
    parameters: Parameters,
    seed: int,
    first_heat_no: int,
    plant_id: str,
    station: str = TAPPING,
    furnace: int = 0,
) -> dict[str, Any]:
    """Everything a technologist would enter before heat `first_heat_no` of a line; a station's windows."""
    heats = next(line.one_by_one(plant, parameters, seed, first_heat_no, furnace)).hidden
    return {
        "plant_id": plant_id,
        "grades": [
            {
                "grade": grade.grade,
                "valid_from": plant.grades_valid_from,
                "windows": plain(plant.windows_of(station, position, grade.is_al_killed)),
                "forbidden_additives": list(grade.forbidden_additives),
            }
            for position, grade in enumerate(plant.grades)
        ],
        "additives": [
            additive_document(plant, additive, heats, position, stock_kg=additive.bin_kg)
            for position, additive in enumerate(plant.additives)
        ],
        "handbook_rule": plain(plant.handbook_rule),
    }


def additive_document(
    plant: Catalogue, additive: Additive, heats: HiddenHeats, position: int, stock_kg: float
) -> dict[str, Any]:
    """One additive as it can be tipped for a heat (a table of one row), by certificate."""
    return {
        "additive": additive.additive,
        "lot": lot_name(additive, int(heats.lot_no[0, position])),
        "assay": assay_document(heats.certificate_pct[0, position]),
        "price_per_t": price_document(plant, float(heats.price_per_t[0, position])),
        "stock_kg": stock_kg,
        "min_kg": 0.0,
        "max_kg": additive.max_kg,
        "increment_kg": additive.increment_kg,
        "metallic_yield": additive.metallic_yield,
        "chill_c_per_kg_t": additive.chill_c_per_kg_t,
    }


def assay_document(certificate_pct: Floats) -> dict[str, float]:
    """Element to wt %, what is there."""
    return {e: round(float(v), 4) for e, v in zip(ELEMENTS, certificate_pct, strict=True) if v > 0}


def price_document(plant: Catalogue, price_per_t: float, valid_from: str | None = None) -> dict[str, Any]:
    """Money per tonne of additive."""
    return {
        "amount": float(price_per_t),
        "currency": plant.currency,
        "valid_from": valid_from or plant.prices_valid_from,
    }


def plain(value: Any) -> Any:
    """The same document without shared parts, so that it can be edited and written as JSON."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value
