"""Is the model wrong for a grade? The mean of the base errors of the last heats of each grade and station."""

import polars as pl

from monitoring.diagnosis.budget import TREATMENTS, limit
from monitoring.diagnosis.looks import beyond

WINDOWS = (8, 16)  # heats of the grade; an alloy that did not dissolve in a few heats is no practice
SINCE_WHEN = 4  # heats; such a look alarms nobody, but tells better where what a longer one saw began
NATURAL_SD = 0.5  # of the mean of a few heats in a row, besides their noise: lots, wear, the slow state


def grades(standard: pl.DataFrame) -> pl.DataFrame:
    """Look after each treatment at each element of its grade; `standard` as `reference.standardised` gives
    it.
    """
    elements = standard["element"].n_unique()
    chart = ["station", "grade", "element"]
    found = []
    for window in (*WINDOWS, SINCE_WHEN):
        looks = (
            standard.lazy()
            .sort("row")
            .with_columns(
                pl.col("y").rolling_mean(window).over(chart).alias("estimate"),
                pl.col("row").shift(window - 1).over(chart).alias("since"),
            )
            .drop_nulls("estimate")
            .with_columns(
                pl.col("grade").alias("subject"),
                pl.lit((1 / window + NATURAL_SD**2) ** 0.5).alias("sd"),
                pl.lit(limit("grade", TREATMENTS * elements * len(WINDOWS))).alias("limit"),
            )
        )
        found.append(beyond(looks, "grade"))
    *alarms, shortest = found
    seen = pl.concat(alarms)
    return pl.concat([seen, shortest.join(seen, on=["row", "station", "subject", "element"], how="semi")])
