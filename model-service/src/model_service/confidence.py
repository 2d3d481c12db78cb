"""From standard deviations to probabilities; conformal factors stretch the normal to what was seen."""

import math
from functools import lru_cache
from statistics import NormalDist

from model_service.contracts import Window

_NORMAL = NormalDist()
_WIDEST = 12.0  # standard deviations beyond which nothing matters
_PIECES = (0.3, 0.7, 1.2, 2.0, 3.5)  # ends of the pieces of margin that a miss is worth, sd beyond the first
_MIDDLE = 0.45  # share of a narrow window kept free on either side: its middle tenth is as good as its middle


@lru_cache(maxsize=1024)
def normal_quantile(probability: float) -> float:
    return _NORMAL.inv_cdf(min(probability, 1 - 1e-12))


@lru_cache(maxsize=1024)
def stretch(interval_factor: float, level: float) -> float:
    """Return by how much the sd must be multiplied so that a normal interval has the conformal width."""
    return interval_factor / _NORMAL.inv_cdf((1 + level) / 2)


def probability_inside(window: Window, predicted_pct: float, sd_pct: float) -> float:
    """Return the probability that the result lies inside the window; `sd_pct` already stretched, above 0."""
    below = 0.0 if window.min is None else _cdf((window.min - predicted_pct) / sd_pct)
    above = 0.0 if window.max is None else _cdf((predicted_pct - window.max) / sd_pct)
    return min(max(1.0 - below - above, 0.0), 1.0)


def margin_sd(width_sd: float, confidence: float) -> float:
    """Return how many sd to stay off a limit so that a window of `width_sd` sd holds with `confidence`.

    The far limit takes its share of the risk. Where the window is too narrow for the confidence, the middle
    tenth of the window is left, which is the best there is.
    """
    z = normal_quantile(confidence)
    if width_sd > 2 * _WIDEST:
        return z
    for _ in range(6):  # from below: the tail behind the far limit shrinks the share of the near one
        before, z = z, normal_quantile(min(confidence + _cdf(z - width_sd), (1 + confidence) / 2))
        if z == before:
            break
    return min(z, _MIDDLE * width_sd)


def spare_margin(z: float) -> tuple[list[float], list[float]]:
    """Return lengths (sd) of the pieces of margin beyond `z` sd, and the share of a miss that a sd of each
    saves: the normal tail in straight pieces."""
    ends = [z + step for step in _PIECES]
    saved = [(_cdf(high) - _cdf(low)) / (high - low) for low, high in zip([z, *ends[:-1]], ends, strict=True)]
    return [high - low for low, high in zip([z, *ends[:-1]], ends, strict=True)], saved


def _cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))
