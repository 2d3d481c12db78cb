"""Split heats by time, so that the test set is always the future; and freeze a holdout nobody learns from."""

from typing import NamedTuple

import polars as pl

HOLDOUT_SHARE = 0.05
HOLDOUT_MIN_HEATS, HOLDOUT_MOST_HEATS = 30, 10_000
CONTEXT_HEATS = 30
"""Heats before the holdout that are frozen with it: the slow state looks as far back."""
KEY = ["plant_id", "heat_uid", "treatment_no"]
IN_TIME = ["completed_at", "heat_uid", "treatment_no"]


class Split(NamedTuple):
    train: pl.DataFrame
    test: pl.DataFrame


def split_by_time(heats: pl.DataFrame, test_fraction: float, most: int | None = None) -> Split:
    """Return the oldest heats for training and the newest for testing, at most so many, by the time their
    result was there."""
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction must be between 0 and 1, got {test_fraction}")
    ordered = heats.sort(IN_TIME)
    count = round(ordered.height * test_fraction)
    cut = ordered.height - (count if most is None else min(count, most))
    return Split(ordered.head(cut), ordered.slice(cut))


def newest_heats(heats: pl.DataFrame, most: int) -> pl.DataFrame:
    """All heats, or the newest where there are more."""
    if heats.height <= most:
        return heats
    return heats[heats.select(IN_TIME).with_row_index("row").sort(IN_TIME)["row"].tail(most)]


def shares_lots(heats: pl.DataFrame, older: pl.DataFrame) -> pl.Series:
    """Which heats got of a lot that an older one got of; additions whose lot nobody wrote down don't tell."""
    columns = [c for c in heats.columns if c.startswith("lots.") and c in older.columns]
    known = [older[c].drop_nulls().explode().drop_nulls().struct.field("lot").unique() for c in columns]
    if not columns:
        return pl.Series("shares_lots", [False] * heats.height, dtype=pl.Boolean)
    used = pl.concat(known).unique()
    named = used.filter(~used.str.ends_with(" ")).to_list()
    has_one = [pl.col(c).list.eval(pl.element().struct.field("lot").is_in(named)).list.any() for c in columns]
    return heats.select(shares_lots=pl.any_horizontal(has_one).fill_null(value=False)).to_series()


def choose_holdout(heats: pl.DataFrame, test_fraction: float, most: int) -> pl.DataFrame | None:
    """Keys and `completed_at` of the heats to freeze, `is_context` for those before them: the newest of a
    station's heats that would be trained on. None where they are too few to judge by."""
    past = split_by_time(heats, test_fraction, most).train
    count = min(round(past.height * HOLDOUT_SHARE), HOLDOUT_MOST_HEATS)
    if count < HOLDOUT_MIN_HEATS:
        return None
    kept = past.tail(count + CONTEXT_HEATS)
    return kept.select(*KEY, "completed_at").with_columns(
        is_context=pl.int_range(kept.height) < kept.height - count
    )


def without(heats: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    """Heats that are not among `keys`."""
    return heats.join(keys.select(KEY), on=KEY, how="anti", maintain_order="left")
