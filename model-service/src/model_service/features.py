"""Features: the state of a heat before additions, as numbers. Kilograms are never a feature.

Names are built in (FEATURES), a first analysis (`mn_pct`), an oxide of the slag (`slag_feo_pct`),
or any of the heat's own further measurements by their name.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from model_service.contracts import Analysis, Below, Heat

FEATURES = {
    "steel_mass_t": "t",
    "temperature_c": "C",
    "oxygen_ppm": "ppm",
    "slag_carry_over_kg_t": "kg/t",
    "slag_basicity": "1",
    **{
        f"slag_{oxide}_pct": "pct"
        for oxide in ("cao", "sio2", "feo", "mno", "mgo", "al2o3", "p2o5", "cr2o3", "tio2", "caf2")
    },
    **{
        f"{element}_pct": "pct"
        for element in [
            "c",
            "si",
            "mn",
            "p",
            "s",
            "cr",
            "ni",
            "cu",
            "mo",
            "v",
            "nb",
            "ti",
            "al",
            "b",
            "ca",
            "n",
            "sn",
            "as",
            "co",
            "w",
            "zr",
        ]
    },
}


class Plausible(NamedTuple):
    """Readings outside are instrument faults (a broken probe writes 0 or 9999), hence missing."""

    low: float
    high: float


PLAUSIBLE = {
    "temperature_c": Plausible(1400.0, 1780.0),
    "oxygen_ppm": Plausible(0.5, 3000.0),
    "slag_carry_over_kg_t": Plausible(0.0, 60.0),
}


def feature_unit(name: str) -> str:
    """Return the unit of a feature; further measurements carry theirs in the name."""
    return FEATURES.get(name, "as named")


def feature_values(heat: Heat, names: Sequence[str]) -> list[float]:
    """Return the features in the order of `names`; nan where not measured or impossible."""
    return [_reader(name)(heat) for name in names]


def raw_reading(heat: Heat, name: str) -> float | None:
    """Return what the instrument said, even where that is impossible."""
    if name == "temperature_c":
        return heat.temperature_c
    if name == "oxygen_ppm":
        return heat.oxygen_ppm
    if name == "slag_carry_over_kg_t":
        return heat.slag.carry_over_kg_t if heat.slag else None
    return None


def path_of(name: str) -> str:
    """Return where in a request a feature is read."""
    if name in ("steel_mass_t", "temperature_c", "oxygen_ppm"):
        return f"$.heat.{name}"
    if name == "slag_carry_over_kg_t":
        return "$.heat.slag.carry_over_kg_t"
    if name.startswith("slag_"):
        return "$.heat.slag.oxides"
    if name in FEATURES:
        return f"$.heat.chemistry.{name.removesuffix('_pct').capitalize()}"
    return f"$.heat.features.{name}"


def measured_pct(analysis: Analysis) -> float | None:
    """Return wt %; half the limit where it is under the detection limit, None where not measured."""
    return analysis.below / 2 if isinstance(analysis, Below) else analysis


@lru_cache(maxsize=1024)
def _reader(name: str) -> Callable[[Heat], float]:
    """How the feature is read from a heat: found out once per name."""
    if name in PLAUSIBLE:
        low, high = PLAUSIBLE[name]

        def instrument(heat: Heat) -> float:
            value = raw_reading(heat, name)
            return value if value is not None and low <= value <= high else math.nan

        return instrument
    if name == "steel_mass_t":
        return attrgetter(name)
    if name == "slag_basicity":
        return _basicity
    if name not in FEATURES:
        return lambda heat: _or_nan(heat.features.get(name))
    if name.startswith("slag_"):
        oxide = name[len("slag_") : -len("_pct")]
        return lambda heat: _oxide(heat, oxide)
    element = name.removesuffix("_pct").capitalize()
    return lambda heat: _or_nan(measured_pct(heat.chemistry.get(element)))


def _basicity(heat: Heat) -> float:
    lime, silica = _oxide(heat, "cao"), _oxide(heat, "sio2")
    return lime / silica if silica > 0 else math.nan


def _or_nan(found: float | None) -> float:
    return math.nan if found is None else found


def _oxide(heat: Heat, wanted: str) -> float:
    for oxide, analysis in heat.slag.oxides.items() if heat.slag else ():
        if oxide.lower() == wanted:
            return _or_nan(measured_pct(analysis))
    return math.nan
