"""What comes after the fit: the slow state that helps, and intervals as wide as newer heats ask for."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl
from model_service.parameters import SlowState, StationModel
from numpy.typing import NDArray

from ml_pipeline.steps import memory
from ml_pipeline.steps.columns import Vector
from ml_pipeline.steps.element import Fitted, one_element
from ml_pipeline.steps.outcome import measured, predict, residual_pct, residual_sd_pct
from ml_pipeline.steps.station import LEVEL, MIN_HEATS

HALF_LIVES, PRIOR_HEATS, LOT_SDS = (3.0, 25.0), (2.0, 20.0), (0.0, 0.003, 0.012)
"""What is tried beside the usual slow state, one after the other, each with the best of those before."""
SLOW_GAIN = 0.995
TUNING_HEATS = 1500
NORMAL_FACTOR = 1.6448536269514722
SCATTER_HEATS = 20.0
"""Plants have quiet and unquiet weeks: so many heats of usual scatter the last thirty are weighed against."""
LEAST_SCATTER = 0.1
_HARDLY = 1e-9


class Judge(NamedTuple):
    """A fit, and the heats (rows) that it is judged on: those that it has not learnt from."""

    fitted: Fitted
    unseen: NDArray[np.intp]


def judge(fitted: Fitted, heats: pl.DataFrame, unseen: pl.DataFrame) -> Judge:
    """`unseen` are the heats between the oldest and the newest of it, to the time."""
    since, until = unseen["completed_at"].min(), unseen["completed_at"].max()
    return Judge(fitted, np.flatnonzero(heats["completed_at"].is_between(since, until).to_numpy()))


def best_slow_state(
    off: SlowState,
    judges: Sequence[Judge],
    shell: StationModel,
    element: str,
    heats: pl.DataFrame,
    lags: NDArray[np.intp],
) -> SlowState:
    """The slow state that would have made the smallest error in the newest of the judges' heats, or `off`;
    with the scatter that is usual then."""
    lots = memory.lots_of(shell, element, heats)
    past = [_past(judge, shell, element, heats, lags, lots) for judge in judges]
    errors = [error[rows] for error, _, rows in past]
    if not len(measured(np.concatenate(errors))):
        return off

    def told(slow_state: SlowState) -> list[memory.Told]:
        return [memory.told(error, sd, lags, lots, slow_state, rows) for error, sd, rows in past]

    def mean_error(slow_state: SlowState) -> float:
        left = [error - of.correction_pct for error, of in zip(errors, told(slow_state), strict=True)]
        return float(np.nanmean(np.abs(np.concatenate(left))))

    best = _smallest(off, float(np.nanmean(np.abs(np.concatenate(errors)))), mean_error)
    apart = told(msgspec.structs.replace(best, scatter_heats=_HARDLY, usual_scatter=1.0))
    usual = max(float(np.median(np.concatenate([of.scatter for of in apart]))), LEAST_SCATTER)
    return msgspec.structs.replace(best, scatter_heats=SCATTER_HEATS, usual_scatter=usual)


def _past(
    judge: Judge,
    shell: StationModel,
    element: str,
    heats: pl.DataFrame,
    lags: NDArray[np.intp],
    lots: memory.Lots,
) -> tuple[Vector, Vector, NDArray[np.intp]]:
    """Errors of a fit's base prediction, what they are expected to scatter by, and the heats to judge on."""
    fitted = judge.fitted
    seen = predict(one_element(shell, element, fitted.model), element, fitted.trees, heats, lags=lags)
    error = residual_pct(shell, heats, seen.final_pct - seen.base_pct)
    return error, residual_sd_pct(fitted.model, lots), judge.unseen[-TUNING_HEATS:]


def _smallest(off: SlowState, without: float, mean_error: Callable[[SlowState], float]) -> SlowState:
    """Of those tried the one with the smallest error; `off` where none beats the error without."""
    usual = msgspec.structs.replace(off, prior_heats=SlowState(residual_sd_pct=1.0).prior_heats)
    best, smallest = off, SLOW_GAIN * without
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


def scores(
    judge: Judge,
    slow_state: SlowState,
    shell: StationModel,
    element: str,
    heats: pl.DataFrame,
    lags: NDArray[np.intp],
) -> Vector:
    """|result - prediction| / sd, with this slow state, on the heats that a fit is judged on."""
    model = msgspec.structs.replace(judge.fitted.model, slow_state=slow_state)
    seen = predict(one_element(shell, element, model), element, judge.fitted.trees, heats, lags=lags)
    return measured((np.abs(seen.final_pct - seen.predicted_pct) / seen.sd_pct)[judge.unseen])


def interval_factor(unseen: Vector) -> float:
    """Split-conformal: quantile of the scores of heats that nothing was learnt from."""
    score = np.sort(unseen)
    if len(score) < MIN_HEATS:
        return NORMAL_FACTOR
    rank = min(math.ceil((len(score) + 1) * LEVEL), len(score))
    return float(max(score[rank - 1], 0.1))
