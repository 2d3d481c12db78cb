"""What has a limit in a heat: its windows, the carbon equivalent, the temperature after the additions."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from model_service.confidence import stretch
from model_service.contracts import Additive, Heat, Window
from model_service.outcome import Matrix, Outcome, Vector, middle_pct
from model_service.parameters import StationModel
from model_service.slow_state import Correction
from model_service.temperature import temperature_after

CARBON_EQUIVALENT, TEMPERATURE = "CEV", "temperature"
"""Names of limits that are no element's."""
_CARBON_EQUIVALENT = {"C": 1.0, "Mn": 1 / 6, "Cr": 0.2, "Mo": 0.2, "V": 0.2, "Ni": 1 / 15, "Cu": 1 / 15}


class Limited(NamedTuple):
    """What has a limit (q): elements, or others that are affine in the kilograms, each in its own unit.

    `sd` is that where nothing is added; it is sqrt(1 + (growth @ kilograms)^2) times that where they are, and
    `likely_sd` where the heat is likely to land. `slope`, `growth` (q, j); `skew` as in
    `parameters.ElementModel`.
    """

    names: list[str]
    low: list[float]
    high: list[float]
    constant: list[float]
    sd: list[float]
    likely_sd: list[float]
    slope: Matrix
    growth: Matrix
    skew: list[float]


class Side(NamedTuple):
    """One side of a window: what is limited, where, in its own unit, and one sd where nothing is added."""

    of: str
    side: Literal["min", "max"]
    bound: float
    sd: float

    @property
    def name(self) -> str:
        return f"{self.of}.{self.side}"


def limited(
    station: StationModel,
    outcome: Outcome,
    correction: Correction,
    heat: Heat,
    offers: Sequence[Additive],
) -> Limited:
    """Return what has a limit: known elements; carbon equivalent and temperature where one is given."""
    found = _windows(station, outcome, correction, heat)
    if heat.carbon_equivalent_max is not None:
        found = _with_carbon_equivalent(found, station, outcome, correction, heat.carbon_equivalent_max)
    if heat.temperature_after_min_c is not None:
        found = _with_temperature(found, station, outcome, heat, offers, heat.temperature_after_min_c)
    return found


def _windows(station: StationModel, outcome: Outcome, correction: Correction, heat: Heat) -> Limited:
    windows = [heat.windows.get(element) for element in outcome.elements]
    which = [e for e, w in enumerate(windows) if w is not None and (w.min is not None or w.max is not None)]
    limits = [window for e in which if (window := windows[e]) is not None]
    models = [outcome.models[e] for e in which]
    stretched = [stretch(model.interval_factor, station.interval_level) for model in models]
    constant = correction.constant_pct(outcome)[which].tolist()
    sd = (np.sqrt(outcome.variance[which]) * stretched).tolist()
    growth_per_pct = np.sqrt(outcome.recovery_variance[which] / outcome.variance[which])
    return Limited(
        [outcome.elements[e] for e in which],
        [-math.inf if window.min is None else window.min for window in limits],
        [math.inf if window.max is None else window.max for window in limits],
        constant,
        sd,
        [
            one * math.sqrt(1 + (grows * _likely_pct(window, now, outcome.states[e].recovery)) ** 2)
            for e, window, now, one, grows in zip(
                which, limits, constant, sd, growth_per_pct.tolist(), strict=True
            )
        ],
        correction.slope(outcome).T[which],
        outcome.added_per_kg.T[which] * growth_per_pct[:, None],
        [model.skew for model in models],
    )


def _likely_pct(window: Window, constant: float, recovery: float) -> float:
    """What is added where the heat is likely to land: what lifts it into the middle of its window."""
    middle = middle_pct(window)
    wanted = 0.0 if middle is None else max(middle - constant, 0.0)
    return wanted / max(recovery, 0.1)


def _with_carbon_equivalent(
    found: Limited, station: StationModel, outcome: Outcome, correction: Correction, most: float
) -> Limited:
    """C + Mn/6 + (Cr + Mo + V)/5 + (Ni + Cu)/15 of what the model knows, as IIW has it."""
    share = np.array([_CARBON_EQUIVALENT.get(element, 0.0) for element in outcome.elements])
    stretched = [stretch(model.interval_factor, station.interval_level) for model in outcome.models]
    variance = float(outcome.variance @ (share * np.array(stretched)) ** 2)
    if variance <= 0.0:
        return found
    constant = float(correction.constant_pct(outcome) @ share)
    slope = correction.slope(outcome) @ share
    return _with(found, CARBON_EQUIVALENT, (-math.inf, most), constant, slope, math.sqrt(variance))


def _with_temperature(
    found: Limited,
    station: StationModel,
    outcome: Outcome,
    heat: Heat,
    offers: Sequence[Additive],
    least: float,
) -> Limited:
    after = temperature_after(station, heat, outcome.row, outcome.mass_t, offers)
    if after is None:
        return found
    return _with(found, TEMPERATURE, (least, math.inf), after.constant_c, after.slope, max(after.sd_c, 1.0))


def _with(
    found: Limited, name: str, limits: tuple[float, float], constant: float, slope: Vector, sd: float
) -> Limited:
    """One more, whose sd does not grow."""
    return Limited(
        [*found.names, name],
        [*found.low, limits[0]],
        [*found.high, limits[1]],
        [*found.constant, constant],
        [*found.sd, sd],
        [*found.likely_sd, sd],
        np.vstack((found.slope, slope)),
        np.vstack((found.growth, 0.0 * slope)),
        [*found.skew, 0.0],
    )
