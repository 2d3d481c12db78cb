"""What comes after the fit: the slow state that helps, and intervals as wide as newer heats ask for."""

import math
from collections.abc import Mapping

import msgspec
import numpy as np
import polars as pl
from model_service.parameters import ElementModel, SlowState, StationModel
from numpy.typing import NDArray

from ml_pipeline.steps import memory
from ml_pipeline.steps.columns import Vector, column
from ml_pipeline.steps.element import Fitted, one_element
from ml_pipeline.steps.outcome import measured, predict, predict_wanted, residual_pct, with_past
from ml_pipeline.steps.station import LEVEL, MIN_HEATS

HALF_LIVES, PRIOR_HEATS, LOT_SDS = (3.0, 25.0), (2.0, 20.0), (0.0, 0.003, 0.012)
"""What is tried beside the usual slow state, one after the other, each with the best of those before."""
SLOW_GAIN = 0.995
TUNING_HEATS = 1500
NORMAL_FACTOR = 1.6448536269514722
MIN_SKEW_HEATS, MOST_SKEW, SKEW_ERROR = 100, 0.5, 1.0


def best_slow_state(
    fitted: Fitted, shell: StationModel, element: str, heats: pl.DataFrame, lags: NDArray[np.intp]
) -> SlowState:
    """The slow state that would have made the smallest error in the newest heats, or none."""
    near = with_past(heats, lags, np.arange(heats.height) >= heats.height - TUNING_HEATS)
    alone, newest = one_element(shell, element, fitted.model), near.wanted
    seen = predict(alone, element, fitted.trees, near.heats, lags=near.lags)
    error = residual_pct(alone, element, near.heats, seen.final_pct - seen.base_pct)
    usual = msgspec.structs.replace(
        fitted.model.slow_state, prior_heats=SlowState(residual_sd_pct=1.0).prior_heats
    )
    off = msgspec.structs.replace(usual, prior_heats=None)
    if not len(measured(error[newest])):
        return off
    lots = memory.lots_of(shell, element, near.heats)

    def mean_error(slow_state: SlowState) -> float:
        told = memory.correction(error, near.lags, lots, slow_state)
        return float(np.nanmean(np.abs((error - told)[newest])))

    best, smallest = off, SLOW_GAIN * float(np.nanmean(np.abs(error[newest])))
    for half_life in (usual.half_life_heats, *HALF_LIVES):
        candidate = msgspec.structs.replace(usual, half_life_heats=half_life)
        found = mean_error(candidate)
        if found < smallest:
            best, smallest = candidate, found
    if best is off:
        return off
    for name, values in (("prior_heats", PRIOR_HEATS), ("lot_sd", LOT_SDS)):
        for value in values:
            candidate = msgspec.structs.replace(best, **{name: value})
            found = mean_error(candidate)
            if found < smallest:
                best, smallest = candidate, found
    return best


def interval_and_skew(
    model: ElementModel,
    trees: Mapping[str, str],
    shell: StationModel,
    element: str,
    heats: pl.DataFrame,
    newer: pl.DataFrame,
    lags: NDArray[np.intp],
) -> tuple[float, float]:
    """Split-conformal: quantile of |result - prediction| / sd on heats newer than `model` learnt from; and
    the skew of the newer heats that have a window, 0 where chance could make it."""
    is_newer = np.asarray((heats["completed_at"] >= newer["completed_at"].min()).to_numpy())
    near = with_past(heats, lags, is_newer)
    seen = predict_wanted(one_element(shell, element, model), element, trees, near)
    strays = (seen.final_pct - seen.predicted_pct) / seen.sd_pct
    has_window = ~np.isnan(column(near.heats, f"low.{element}")[near.wanted])
    skew = _skew(measured(strays[has_window]))
    score = np.sort(measured(np.abs(strays)))
    if len(score) < MIN_HEATS:
        return NORMAL_FACTOR, skew
    rank = min(math.ceil((len(score) + 1) * LEVEL), len(score))
    return float(max(score[rank - 1], 0.1)), skew


def _skew(strays: Vector) -> float:
    """(upper - lower) / (upper + lower) of what a tenth strays further than, about the median."""
    if len(strays) < MIN_SKEW_HEATS:
        return 0.0
    low, middle, high = np.quantile(strays, ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2))
    skew = float((high + low - 2 * middle) / (high - low)) if high > low else 0.0
    # Normal strays show one by chance, with an sd of SKEW_ERROR / sqrt(heats).
    return (
        min(max(skew, -MOST_SKEW), MOST_SKEW) if abs(skew) > 2 * SKEW_ERROR / math.sqrt(len(strays)) else 0.0
    )


def with_slow_state(model: ElementModel, slow_state: SlowState) -> ElementModel:
    return msgspec.structs.replace(model, slow_state=slow_state)
