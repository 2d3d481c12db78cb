"""Did the heat reach its grade? Every element that has a window, jointly, in one treatment, by the final
sample.
"""

import polars as pl

from monitoring.measures.treatments import ROW, final_chemistry, unrolled


def windows_met(treatments: pl.LazyFrame, final: pl.LazyFrame | None = None) -> pl.LazyFrame:
    """Return one row per treatment that can be judged, with `in_window`: by its final sample, or as if
    `final` (treatment, element, `pct`, `below_pct`) had been measured.
    """
    measured = final_chemistry(treatments) if final is None else final
    return judged_elements(treatments, measured).group_by(ROW).agg(pl.col("met").all().alias("in_window"))


def judged_elements(treatments: pl.LazyFrame, final: pl.LazyFrame) -> pl.LazyFrame:
    """Return the rows of `final` that can be judged, with their windows and `met`.

    An element is judged where its window has a bound and the final sample tells on which side of it the
    element is. Not measured tells nothing. Below the detection limit tells where the limit is on the same
    side of the bound: below 0.002 is under a maximum of 0.005 and misses a minimum of 0.002; a minimum of
    0.001 may be met or not, and is left out. A treatment without a judged element is not judged.
    """
    below = pl.col("below_pct")
    above_minimum = (
        pl.when(pl.col("min_pct").is_null() | (pl.col("min_pct") == 0)).then(True)
        .when(pl.col("pct").is_not_null()).then(pl.col("pct") >= pl.col("min_pct"))
        .when(below <= pl.col("min_pct")).then(False)
    )  # fmt: skip
    under_maximum = (
        pl.when(pl.col("max_pct").is_null()).then(True)
        .when(pl.col("pct").is_not_null()).then(pl.col("pct") <= pl.col("max_pct"))
        .when(below <= pl.col("max_pct")).then(True)
    )  # fmt: skip
    return (
        unrolled(treatments, "windows")
        .filter(pl.col("min_pct").is_not_null() | pl.col("max_pct").is_not_null())
        .join(final, on=[ROW, "element"])
        .with_columns((above_minimum & under_maximum).alias("met"))
        .drop_nulls("met")
    )
