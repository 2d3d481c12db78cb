"""What comes after the fit: the slow state that helps, and intervals as wide as newer heats ask for."""

import math
from collections.abc import Mapping

import msgspec
import numpy as np
import polars as pl
from model_service.parameters import ElementModel, SlowState, StationModel
from numpy.typing import NDArray

from ml_pipeline.steps.element import Fitted, one_element
from ml_pipeline.steps.outcome import measured, predict, slow_correction
from ml_pipeline.steps.station import LEVEL, MIN_HEATS

SLOW_STATES = [(half_life, prior) for half_life in (4.0, 8.0, 16.0) for prior in (3.0, 8.0, 20.0)]
SLOW_GAIN = 0.995
TUNING_HEATS = 4000
NORMAL_FACTOR = 1.6448536269514722


def best_slow_state(
    fitted: Fitted, shell: StationModel, element: str, heats: pl.DataFrame, lags: NDArray[np.intp]
) -> SlowState:
    """The slow state that would have made the smallest error in the newest heats, or none."""
    seen = predict(one_element(shell, element, fitted.model), element, fitted.trees, heats, lags=lags)
    error = seen.final_pct - seen.base_pct
    newest = slice(max(0, heats.height - TUNING_HEATS), None)
    sd = fitted.model.slow_state.residual_sd_pct
    best = SlowState(residual_sd_pct=sd, prior_heats=None)
    if not len(measured(error[newest])):
        return best
    smallest = SLOW_GAIN * np.nanmean(np.abs(error[newest]))
    for half_life, prior_heats in SLOW_STATES:
        candidate = SlowState(residual_sd_pct=sd, half_life_heats=half_life, prior_heats=prior_heats)
        mae = np.nanmean(np.abs(error[newest] - slow_correction(error, lags[newest], candidate)))
        if mae < smallest:
            best, smallest = candidate, mae
    return best


def interval_factor(
    model: ElementModel,
    trees: Mapping[str, str],
    shell: StationModel,
    element: str,
    heats: pl.DataFrame,
    newer: pl.DataFrame,
    lags: NDArray[np.intp],
) -> float:
    """Split-conformal: quantile of |result - prediction| / sd on heats newer than `model` learnt from."""
    seen = predict(one_element(shell, element, model), element, trees, heats, lags=lags)
    is_newer = np.asarray((heats["completed_at"] >= newer["completed_at"].min()).to_numpy())
    score = np.sort(measured((np.abs(seen.final_pct - seen.predicted_pct) / seen.sd_pct)[is_newer]))
    if len(score) < MIN_HEATS:
        return NORMAL_FACTOR
    rank = min(math.ceil((len(score) + 1) * LEVEL), len(score))
    return float(max(score[rank - 1], 0.1))


def with_slow_state(model: ElementModel, slow_state: SlowState) -> ElementModel:
    return msgspec.structs.replace(model, slow_state=slow_state)
