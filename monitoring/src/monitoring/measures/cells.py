"""Errors of the predictions in little: of many heats, what plots and figures need of them. Pure.

A cell is some heats in a row of one station and element: when they were completed (`since`, `completed_at`),
how many (`n`), their mean absolute error, bias and coverage, and the model that predicted them.
"""

import polars as pl

CHART = ["station", "element"]
PAUSE_GAPS, PAUSE_SHARE = 10, 0.02
"""A pause of the plant: so many times the usual distance of two heats, and so much of the time that is shown
(a shorter one could not be seen)."""


def cells_of(errors: pl.DataFrame) -> pl.DataFrame:
    """Return each error as a cell of its own."""
    return errors.select(
        *CHART,
        "weighed_bundle_hash",
        "completed_at",
        since="completed_at",
        n=pl.lit(1, pl.UInt32),
        mae_pct=pl.col("error_pct").abs(),
        bias_pct="error_pct",
        coverage_90=pl.col("covered").cast(pl.Float64),
    )


def joined(cells: pl.DataFrame, heats: pl.Expr) -> pl.DataFrame:
    """Return cells of so many `heats` of a chart, made of those in a row, which come in their order.

    A cell ends where the model changes and where the plant pauses; cells in between are of one `run`.
    """
    at, since, model, n = (
        pl.col("completed_at"),
        pl.col("since"),
        pl.col("weighed_bundle_hash").fill_null(""),
        pl.col("n"),
    )
    gap_us = (since - at.shift()).dt.total_microseconds()
    span_us = (at.last() - since.first()).dt.total_microseconds()
    has_paused = gap_us > pl.max_horizontal(PAUSE_GAPS * gap_us.median(), PAUSE_SHARE * span_us)
    begins = (has_paused | (model != model.shift())).fill_null(False)
    return (
        cells.lazy()
        .with_columns(begins.cum_sum().over(CHART).alias("run"), heats.over(CHART).alias("size"))
        .with_columns(
            ((n.cum_sum() - n).over(*CHART, "run") // pl.col("size")).cast(pl.UInt32).alias("cell"),
        )
        .group_by(*CHART, "run", "cell")
        .agg(since.min(), at.max(), n.sum(), *_means(), pl.col("weighed_bundle_hash").last())
        .sort(*CHART, "run", "cell")
        .collect()
    )


def by_element(cells: pl.DataFrame) -> pl.DataFrame:
    """Return per element `n`, mean absolute error and bias (wt %), and the share inside the 90 % interval."""
    return cells.group_by("element").agg(pl.col("n").sum(), *_means()).sort("element")


def _means() -> list[pl.Expr]:
    n = pl.col("n")
    return [(pl.col(name) * n).sum() / n.sum() for name in ("mae_pct", "bias_pct", "coverage_90")]
