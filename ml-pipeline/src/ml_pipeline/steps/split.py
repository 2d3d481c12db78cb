"""Split heats by time, so that the test set is always the future; and freeze a holdout nobody learns from."""

from typing import NamedTuple

import polars as pl

HOLDOUT_SHARE = 0.05
HOLDOUT_MIN_HEATS = 30
CONTEXT_HEATS = 30
"""Heats before the holdout that are frozen with it: the slow state looks as far back."""
KEY = ["plant_id", "heat_uid", "treatment_no"]


class Split(NamedTuple):
    train: pl.DataFrame
    test: pl.DataFrame


def split_by_time(heats: pl.DataFrame, test_fraction: float) -> Split:
    """Return the oldest heats for training and the newest for testing, by the time their result was there."""
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction must be between 0 and 1, got {test_fraction}")
    ordered = heats.sort("completed_at", "heat_uid", "treatment_no")
    cut = ordered.height - round(ordered.height * test_fraction)
    return Split(ordered.head(cut), ordered.slice(cut))


def choose_holdout(heats: pl.DataFrame, test_fraction: float) -> pl.DataFrame | None:
    """Keys of the heats to freeze, `is_context` for those before them: the newest of a station's heats that
    would be trained on. None where they are too few to judge by."""
    past = split_by_time(heats, test_fraction).train
    count = round(past.height * HOLDOUT_SHARE)
    if count < HOLDOUT_MIN_HEATS:
        return None
    kept = past.tail(count + CONTEXT_HEATS)
    return kept.select(KEY).with_columns(is_context=pl.int_range(kept.height) < kept.height - count)


def without(heats: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    """Heats that are not among `keys`."""
    return heats.join(keys.select(KEY), on=KEY, how="anti", maintain_order="left")
