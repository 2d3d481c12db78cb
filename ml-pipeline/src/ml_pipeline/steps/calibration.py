"""What comes after the fit: the slow state that helps, and intervals as wide as newer heats ask for."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl
from model_service.parameters import SlowState, StationModel
from numpy.typing import NDArray

from ml_pipeline.steps import memory
from ml_pipeline.steps.columns import Vector, column
from ml_pipeline.steps.element import Fitted, one_element
from ml_pipeline.steps.outcome import (
    measured,
    predict,
    predict_wanted,
    residual_pct,
    residual_sd_pct,
    terms,
    with_past,
)
from ml_pipeline.steps.station import LEVEL, MIN_HEATS

HALF_LIVES, PRIOR_HEATS, LOT_SDS = (3.0, 25.0), (2.0, 20.0), (0.0, 0.003, 0.012)
"""What is tried beside the usual slow state, one after the other, each with the best of those before."""
RECOVERY_SHARES, RECOVERY_HALF_LIVES = (0.7, 1.0), (0.6, 2.0)
"""How much of the model's sd of the recovery is tried to wander, and in how many heats it has lost half of
that."""
HARDLY_WANDERS = 0.2
"""Share of what residuals scatter by under which a recovery cannot be seen to wander."""
SLOW_GAIN = 0.995
TUNING_HEATS = 1500
NORMAL_FACTOR = 1.6448536269514722
MIN_SKEW_HEATS, MOST_SKEW, SKEW_ERROR = 100, 0.5, 1.0
SCATTER_HEATS = 20.0
"""Plants have quiet and unquiet weeks: so many heats of usual scatter the last thirty are weighed against."""
LEAST_SCATTER = 0.1
_HARDLY = 1e-9


class Judge(NamedTuple):
    """A fit, and the heats that it is judged on (which of all): those that it has not learnt from."""

    fitted: Fitted
    unseen: NDArray[np.bool_]


class Strays(NamedTuple):
    """(result - prediction) / sd of the heats that a fit is judged on, nan where unknown, and which of them
    have a window."""

    of_sd: Vector
    has_window: NDArray[np.bool_]


def judge(fitted: Fitted, element: str, heats: pl.DataFrame, unseen: pl.DataFrame) -> Judge:
    """`unseen` are the heats with a result between the oldest and the newest of it, to the time."""
    since, until = unseen["completed_at"].min(), unseen["completed_at"].max()
    is_between = heats["completed_at"].is_between(since, until).to_numpy()
    return Judge(fitted, is_between & ~np.isnan(column(heats, f"final.{element}")))


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
    past = [_past(judge, shell, element, heats, lags) for judge in judges]
    errors = np.concatenate([of.error_pct[of.wanted] for of in past])
    if not len(measured(errors)):
        return off

    def mean_error(slow_state: SlowState) -> float:
        told = np.concatenate([_told(of, slow_state).correction_pct[of.wanted] for of in past])
        return float(np.nanmean(np.abs(errors - told)))

    best = _smallest(off, float(np.nanmean(np.abs(errors))), mean_error)
    recovery_sd = judges[-1].fitted.model.recovery_sd
    if any(_can_wander(of, recovery_sd) for of in past):
        best = _wandering(best, mean_error(best), recovery_sd, mean_error)
    apart = msgspec.structs.replace(best, scatter_heats=_HARDLY, usual_scatter=1.0)
    scatter = np.concatenate([_told(of, apart).scatter[of.wanted] for of in past])
    usual = max(float(np.median(scatter)), LEAST_SCATTER)
    return msgspec.structs.replace(best, scatter_heats=SCATTER_HEATS, usual_scatter=usual)


class _Past(NamedTuple):
    """Errors of a fit's base prediction of the heats to judge on (`wanted`) and of those before them, and
    what each is expected to scatter by."""

    error_pct: Vector
    sd_pct: Vector
    lags: NDArray[np.intp]
    lots: memory.Lots
    wanted: NDArray[np.bool_]


def _past(
    judge: Judge, shell: StationModel, element: str, heats: pl.DataFrame, lags: NDArray[np.intp]
) -> _Past:
    newest = np.zeros(heats.height, dtype=bool)
    newest[np.flatnonzero(judge.unseen)[-TUNING_HEATS:]] = True
    near = with_past(heats, lags, newest)
    model = judge.fitted.model
    alone = one_element(shell, element, model)
    seen = predict(alone, element, judge.fitted.trees, near.heats, lags=near.lags)
    error = residual_pct(alone, element, near.heats, seen.final_pct - seen.base_pct)
    lots = memory.lots_of(shell, element, near.heats)
    sd = residual_sd_pct(model, terms(shell, element, model, near.heats), lots)
    return _Past(error, sd, near.lags, lots, near.wanted)


def _told(of: _Past, slow_state: SlowState) -> memory.Told:
    return memory.told(of.error_pct, of.sd_pct, of.lags, of.lots, slow_state)


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
    return _improved(best, smallest, {"prior_heats": PRIOR_HEATS, "lot_sd": LOT_SDS}, mean_error)


def _can_wander(of: _Past, recovery_sd: float) -> bool:
    added = of.lots.added_pct.sum(axis=1)
    some = added > 0
    return bool(some.sum() >= MIN_HEATS) and bool(
        recovery_sd * np.median(added[some]) > HARDLY_WANDERS * np.median(of.sd_pct[some])
    )


def _wandering(
    steady: SlowState, without: float, recovery_sd: float, mean_error: Callable[[SlowState], float]
) -> SlowState:
    """With a recovery that wanders, where that makes the error smaller; the bias then has less to explain."""
    best, smallest = steady, SLOW_GAIN * without
    usual = msgspec.structs.replace(steady, prior_heats=steady.prior_heats or max(PRIOR_HEATS))
    for share in RECOVERY_SHARES:
        candidate = msgspec.structs.replace(usual, recovery_sd=share * recovery_sd)
        found = mean_error(candidate)
        if found < smallest:
            best, smallest = candidate, found
    if best is steady:
        return steady
    tried = {"recovery_half_life_heats": RECOVERY_HALF_LIVES, "prior_heats": PRIOR_HEATS}
    return _improved(best, smallest, tried, mean_error)


def _improved(
    best: SlowState,
    smallest: float,
    tried: Mapping[str, Sequence[float]],
    mean_error: Callable[[SlowState], float],
) -> SlowState:
    """One setting after the other, each with the best of those before."""
    for name, values in tried.items():
        for value in values:
            candidate = msgspec.structs.replace(best, **{name: value})
            found = mean_error(candidate)
            if found < smallest:
                best, smallest = candidate, found
    return best


def strays(
    judge: Judge,
    slow_state: SlowState,
    shell: StationModel,
    element: str,
    heats: pl.DataFrame,
    lags: NDArray[np.intp],
) -> Strays:
    """How the results that a fit is judged on stray from its predictions with this slow state."""
    near = with_past(heats, lags, judge.unseen)
    model = msgspec.structs.replace(judge.fitted.model, slow_state=slow_state)
    seen = predict_wanted(one_element(shell, element, model), element, judge.fitted.trees, near)
    has_window = ~np.isnan(column(near.heats, f"low.{element}")[near.wanted])
    return Strays((seen.final_pct - seen.predicted_pct) / seen.sd_pct, has_window)


def interval_and_skew(seen: Sequence[Strays]) -> tuple[float, float]:
    """Split-conformal: quantile of |result - prediction| / sd on heats that nothing was learnt from; and the
    skew of those that have a window, 0 where chance could make it."""
    nothing = np.zeros(0)
    skew = _skew(measured(np.concatenate([nothing, *(of.of_sd[of.has_window] for of in seen)])))
    score = np.sort(measured(np.abs(np.concatenate([nothing, *(of.of_sd for of in seen)]))))
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
