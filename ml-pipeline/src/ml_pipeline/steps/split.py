"""Split heats by time, so that the test set is always the future."""

from typing import NamedTuple

import polars as pl


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
