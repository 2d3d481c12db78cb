"""What has a limit in a heat: its windows, the carbon equivalent, the temperature after the additions."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model_service.confidence import stretch
from model_service.contracts import Additive, Heat
from model_service.outcome import Outcome, Vector, middle_pct
from model_service.parameters import StationModel
from model_service.slow_state import Correction
from model_service.temperature import temperature_after

CARBON_EQUIVALENT, TEMPERATURE = "CEV", "temperature"
"""Names of limits that are no element's."""
_CARBON_EQUIVALENT = {"C": 1.0, "Mn": 1 / 6, "Cr": 0.2, "Mo": 0.2, "V": 0.2, "Ni": 1 / 15, "Cu": 1 / 15}


class Limited(NamedTuple):
    """What has a limit: an element, or something else that is affine in the kilograms, in its own unit;
    `skew` as in `parameters.ElementModel`."""

    name: str
    low: float
    high: float
    constant: float
    slope: Vector
    added_per_kg: Vector
    variance: float
    recovery_variance: float
    sd: float
    skew: float = 0.0


def limited(
    station: StationModel,
    outcome: Outcome,
    correction: Correction,
    heat: Heat,
    offers: Sequence[Additive],
) -> list[Limited]:
    """Return what has a limit: known elements; carbon equivalent and temperature where one is given."""
    return [
        *_windows(station, outcome, correction, heat),
        *_carbon_equivalent(station, outcome, correction, heat),
        *_temperature(station, outcome, heat, offers),
    ]


def _windows(station: StationModel, outcome: Outcome, correction: Correction, heat: Heat) -> list[Limited]:
    constants, slopes = correction.constant_pct(outcome), correction.slope(outcome)
    found = []
    for e, element in enumerate(outcome.elements):
        window = heat.windows.get(element)
        if window is None or (window.min is None and window.max is None):
            continue
        low = -math.inf if window.min is None else window.min
        high = math.inf if window.max is None else window.max
        stretched = stretch(outcome.models[e].interval_factor, station.interval_level) ** 2
        variance = float(outcome.variance[e]) * stretched
        recovery_variance = float(outcome.recovery_variance[e]) * stretched
        # The margin is set where the heat is likely to land: at what lifts it into the middle of its window.
        middle, constant = middle_pct(window), float(constants[e])
        wanted = max((constant if middle is None else middle) - constant, 0.0)
        added = wanted / max(outcome.states[e].recovery, 0.1)
        sd = math.sqrt(variance + recovery_variance * added**2)
        added_per_kg = outcome.added_per_kg[:, e]
        found.append(
            Limited(
                element,
                low,
                high,
                constant,
                slopes[:, e],
                added_per_kg,
                variance,
                recovery_variance,
                sd,
                outcome.models[e].skew,
            )
        )
    return found


def _carbon_equivalent(
    station: StationModel, outcome: Outcome, correction: Correction, heat: Heat
) -> list[Limited]:
    """C + Mn/6 + (Cr + Mo + V)/5 + (Ni + Cu)/15 of what the model knows, as IIW has it."""
    if heat.carbon_equivalent_max is None:
        return []
    share = np.array([_CARBON_EQUIVALENT.get(element, 0.0) for element in outcome.elements])
    stretched = [stretch(model.interval_factor, station.interval_level) for model in outcome.models]
    variance = float(outcome.variance @ (share * np.array(stretched)) ** 2)
    if variance <= 0.0:
        return []
    constant = float(correction.constant_pct(outcome) @ share)
    slope = correction.slope(outcome) @ share
    nothing, sd = np.zeros(len(slope)), math.sqrt(variance)
    return [
        Limited(
            CARBON_EQUIVALENT,
            -math.inf,
            heat.carbon_equivalent_max,
            constant,
            slope,
            nothing,
            variance,
            0.0,
            sd,
        )
    ]


def _temperature(
    station: StationModel, outcome: Outcome, heat: Heat, offers: Sequence[Additive]
) -> list[Limited]:
    if heat.temperature_after_min_c is None:
        return []
    after = temperature_after(station, heat, outcome.row, outcome.mass_t, offers)
    if after is None:
        return []
    nothing, sd = np.zeros(len(offers)), max(after.sd_c, 1.0)
    return [
        Limited(
            TEMPERATURE,
            heat.temperature_after_min_c,
            math.inf,
            after.constant_c,
            after.slope,
            nothing,
            sd**2,
            0.0,
            sd,
        )
    ]
