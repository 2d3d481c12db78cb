"""Did people deviate? What the steelmaker decided against the recommendation that he was shown."""

import polars as pl

from monitoring.measures.treatments import ROW, unrolled

SMALLEST_SHARE = 0.02  # of what was recommended


def overrides(treatments: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row per treatment that was decided after its recommendation was shown, with `overridden`.

    A decision is an override where it differs from what was shown by more than the increment, or by more than
    2 % where that is more, in any additive (lots of one additive together). A recommendation that was shown
    too late, or never, is no override.
    """
    seen = treatments.filter(
        pl.col("decision_id").is_not_null()
        & (pl.col("decided_recommendation_id") == pl.col("recommendation_id"))
        & (pl.col("shown_at") <= pl.col("decided_at"))
    )
    recommended, decided = _kilograms(seen, "recommended"), _kilograms(seen, "decided")
    increments = unrolled(seen, "additives").group_by([ROW, "additive"]).agg(pl.col("increment_kg").max())
    allowed_kg = pl.max_horizontal(
        pl.col("increment_kg").fill_null(0), SMALLEST_SHARE * pl.col("recommended")
    )
    differing = (
        recommended.join(decided, on=[ROW, "additive"], how="full", coalesce=True)
        .with_columns(pl.col("recommended", "decided").fill_null(0))
        .join(increments, on=[ROW, "additive"], how="left")
        .group_by(ROW)
        .agg(((pl.col("decided") - pl.col("recommended")).abs() > allowed_kg).any().alias("overridden"))
    )
    return seen.select(ROW).join(differing, on=ROW, how="left").with_columns(
        pl.col("overridden").fill_null(False)
    )  # fmt: skip


def _kilograms(treatments: pl.LazyFrame, column: str) -> pl.LazyFrame:
    return (
        unrolled(treatments, column).group_by([ROW, "additive"]).agg(pl.col("added_kg").sum().alias(column))
    )
