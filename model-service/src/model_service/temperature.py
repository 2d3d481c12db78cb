"""Temperature of the steel after the additions: before, what a treatment does, what each alloy chills."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model_service.contracts import Additive, Heat, Temperature
from model_service.features import PLAUSIBLE
from model_service.outcome import Vector
from model_service.parameters import StationModel

_MOST_CHILL = 1000.0  # C per kg/t; beyond it is no chill


class After(NamedTuple):
    """constant_c + kilograms @ slope, known to sd_c."""

    constant_c: float
    slope: Vector
    sd_c: float


def temperature_after(
    station: StationModel, heat: Heat, row: Sequence[float], mass_t: float, offers: Sequence[Additive]
) -> After | None:
    """Return the temperature after additions as a function of the kilograms of `offers`; `row` are features.

    None where the model has none, the reading cannot be, or a chill cannot be.
    """
    low, high = PLAUSIBLE["temperature_c"]
    model, before = station.temperature, heat.temperature_c
    if model is None or before is None or not low <= before <= high:
        return None
    chill = [offer.chill_c_per_kg_t or 0.0 for offer in offers]
    if any(abs(degrees) > _MOST_CHILL for degrees in chill):
        return None
    constant = before + model.offset_c + model.before_slope * (before - model.usual_c)
    for feature, value in zip(station.features, row, strict=True):
        constant += model.slopes.get(feature.name, 0.0) * (value - feature.default)
    return After(constant, model.chill_factor * np.array(chill) / mass_t, model.sd_c)


def predicted_temperature(after: After, offers: Sequence[Additive], added_kg: Sequence[float]) -> Temperature:
    """Return what the contract says of it."""
    return Temperature(
        predicted_c=after.constant_c + float(after.slope @ np.asarray(added_kg, dtype=float)),
        sd_c=after.sd_c,
        slope_c_per_kg=by_name([offer.additive for offer in offers], after.slope.tolist()),
    )


def by_name(names: Sequence[str], slopes: Sequence[float]) -> dict[str, float]:
    """Return the slopes that are not 0; of an additive that is offered twice, the first."""
    named: dict[str, float] = {}
    for name, slope in zip(names, slopes, strict=True):
        if slope and name not in named:
            named[name] = slope
    return named
