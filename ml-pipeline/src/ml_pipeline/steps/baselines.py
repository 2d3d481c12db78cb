"""What a plant can do without a model: fixed recovery, rolling recovery, the grade's constant."""

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ml_pipeline.steps.columns import Vector

ROLLING_HEATS, LEAST_HEATS = 50, 10
CHUNK = 50_000


def by_recovery(increment: Vector, added: Vector, is_test: NDArray[np.bool_]) -> tuple[Vector, Vector]:
    """Increments by the plant's own fixed recovery (median of the training heats), and by the median of the
    last 50 heats."""
    typical = np.nanmedian(added) if len(added) else 0.0
    usable = (added > 0.3 * typical) & (added > 0) & ~np.isnan(increment)
    ratio = np.where(usable, increment / np.where(added > 0, added, 1.0), np.nan)
    past = ratio[~is_test & usable]
    fixed = float(np.median(past)) if len(past) else 1.0
    known = np.flatnonzero(usable)
    position = np.searchsorted(known, np.arange(len(added)))  # how many were known before each heat
    rolling = _medians_before(ratio[known])[position]
    return fixed * added, np.where(position >= LEAST_HEATS, rolling, fixed) * added


def _medians_before(ratio: Vector) -> Vector:
    """At i the median of the last 50 before i, or of as many as there are; nan where they are too few. As
    long as `ratio` and one more: what is known after all of them."""
    found = np.full(len(ratio) + 1, np.nan)
    for i in range(LEAST_HEATS, min(ROLLING_HEATS, len(ratio) + 1)):
        found[i] = np.median(ratio[:i])
    if len(ratio) >= ROLLING_HEATS:
        windows = sliding_window_view(ratio, ROLLING_HEATS)
        for start in range(0, len(windows), CHUNK):
            some = windows[start : start + CHUNK]
            found[ROLLING_HEATS + start : ROLLING_HEATS + start + len(some)] = np.median(some, axis=1)
    return found


def grade_constant(heats: pl.DataFrame, final: Vector, is_test: NDArray[np.bool_]) -> Vector:
    """The median final analysis of the grade in training; of all grades where the grade is new."""
    grades = heats["grade"].to_numpy()
    result = np.full(
        len(final),
        float(np.nanmedian(final[~is_test])) if np.any(~np.isnan(final[~is_test])) else float("nan"),
    )
    for grade in set(grades):
        of_grade = final[(grades == grade) & ~is_test]
        if np.sum(~np.isnan(of_grade)) >= 5:
            result[grades == grade] = np.nanmedian(of_grade)
    return result
