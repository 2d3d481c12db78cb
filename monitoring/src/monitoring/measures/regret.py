"""What the model's bias costs. An estimate.

Had the model known by how much it is wrong on average, other additions would have been recommended, and the
results would lie by that much elsewhere. So each result is moved by the mean error (predicted less measured)
of its station, grade and element; additions that this takes, or saves, cost what the heat's cheapest additive
asks for the element; and misses that it makes good, or brings, cost the price of a miss. What the slow state
absorbs is in the prediction, and costs nothing.
"""

from typing import NamedTuple

import polars as pl

from monitoring.measures.in_window import windows_met
from monitoring.measures.prediction_error import prediction_errors
from monitoring.measures.savings import COLUMNS, LEAST_HEATS, sd_of_mean, slopes_of
from monitoring.measures.treatments import ROW, final_chemistry, in_force, unrolled

LEAST_SLOPE = 0.2  # of what is added by certificate, in the steel: an element below it is not steered


class Regret(NamedTuple):
    """Money per tonne of steel that a model without bias would have saved, misses included. `sd` is that of
    the mean over heats. `additives_per_t` is the part that is not misses: negative where too little was
    added.
    """

    station: str
    grade: str
    heats: int
    currency: str
    per_t: float
    sd: float
    additives_per_t: float


def regrets(rows: pl.LazyFrame, price_per_miss_per_t: float) -> list[Regret]:
    """Return one regret per station and grade with enough heats that were predicted and can be judged."""
    treatments = in_force(rows.select(COLUMNS).collect()).lazy()
    place = treatments.select(ROW, "station", "grade")
    steered = slopes_of(treatments).filter(pl.col("slope") >= LEAST_SLOPE).collect().lazy()
    wrong = (
        prediction_errors(treatments)
        .join(place, on=ROW)
        .group_by("station", "grade", "element")
        .agg(pl.len().alias("n"), pl.col("error_pct").mean().alias("bias_pct"))
        .filter(pl.col("n") >= LEAST_HEATS)
        .join(steered, on=["station", "grade", "element"])
    )
    of_heats = place.join(wrong, on=["station", "grade"])
    final = final_chemistry(treatments).join(
        of_heats.select(ROW, "element", "bias_pct"), on=[ROW, "element"], how="left"
    )
    unbiased = final.with_columns(
        (pl.col("pct") + pl.col("bias_pct").fill_null(0.0)).clip(0.0).alias("pct")
    ).select(ROW, "element", "pct", "below_pct")
    more = (
        of_heats.join(_cheapest(treatments), on=[ROW, "element"])
        .group_by(ROW)
        .agg((pl.col("bias_pct") * pl.col("price_per_pct_t") / pl.col("slope")).sum().alias("more_per_t"))
    )
    misses = (
        pl.col("met_unbiased").cast(pl.Float64) - pl.col("in_window").cast(pl.Float64)
    ) * price_per_miss_per_t
    figures = (
        treatments.select(ROW, "station", "grade", "currency")
        .drop_nulls("currency")
        .join(windows_met(treatments), on=ROW)
        .join(windows_met(treatments, unbiased).rename({"in_window": "met_unbiased"}), on=ROW)
        .join(more, on=ROW)
        .with_columns((-pl.col("more_per_t")).alias("additives"), misses.alias("misses"))
        .group_by("station", "grade", "currency")
        .agg(
            pl.len().alias("heats"),
            (pl.col("additives") + pl.col("misses")).mean().alias("per_t"),
            (pl.col("additives") + pl.col("misses")).var().alias("variance"),
            pl.col("additives").mean(),
        )
        .filter(pl.col("heats") >= LEAST_HEATS)
        .sort("station", "grade", "currency", descending=[True, False, False])
        .collect()
    )
    return [
        Regret(
            row["station"],
            row["grade"],
            row["heats"],
            row["currency"],
            row["per_t"],
            sd_of_mean(row["variance"], row["heats"], price_per_miss_per_t),
            row["additives"],
        )
        for row in figures.iter_rows(named=True)
    ]


def _cheapest(treatments: pl.LazyFrame) -> pl.LazyFrame:
    """What 1 wt % of an element in a tonne of steel costs at least, were all of it to stay there."""
    return (
        unrolled(treatments, "additives")
        .select(ROW, "price_per_t", "assay")
        .explode("assay")
        .unnest("assay")
        .filter(pl.col("pct") > 0)
        .group_by(ROW, "element")
        .agg((pl.col("price_per_t") / pl.col("pct")).min().alias("price_per_pct_t"))
    )
