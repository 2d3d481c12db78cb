"""Is the model right? What it predicted for the weighed additions against the final sample."""

import polars as pl

from monitoring.measures.treatments import ROW, final_chemistry, unrolled


def prediction_errors(treatments: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row per treatment and element that was both predicted and measured.

    `error_pct` is predicted minus measured, wt %: positive where the model promised too much. `covered` tells
    whether the measurement lies in the 90 % interval, ends included. A result under the detection limit has
    no error and is left out.
    """
    measured = final_chemistry(treatments).drop_nulls("pct")
    return (
        unrolled(treatments, "weighed_predicted")
        .join(measured, on=[ROW, "element"])
        .select(
            ROW,
            "element",
            "pct",
            "predicted_pct",
            "low_pct",
            "high_pct",
            (pl.col("predicted_pct") - pl.col("pct")).alias("error_pct"),
            pl.col("pct").is_between("low_pct", "high_pct").alias("covered"),
        )
    )
