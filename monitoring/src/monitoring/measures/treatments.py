"""The treatments that the product has worked on, as the lake has them: one row each, the revision in force.

Frames of treatments carry lists of records. These are filtered and unrolled, but never sorted or gathered,
which would copy them one by one and take longer than everything else together.
"""

import polars as pl

TREATMENT = ["plant_id", "heat_uid", "station", "treatment_no"]
ROW = "row"  # a number per treatment within one frame: what frames of it are joined by


def of_the_bus(rows: pl.LazyFrame, plant_id: str | None = None) -> pl.LazyFrame:
    """Return the rows that came over the bus (of one plant where given): an import is history, not ours."""
    bus = rows.filter(pl.col("origin") == "bus")
    return bus if plant_id is None else bus.filter(pl.col("plant_id") == plant_id)


def in_force(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the row with the highest revision of each treatment, numbered in column `row`."""
    newest = (
        rows.select(*TREATMENT, "revision")
        .with_row_index(ROW)
        .sort("revision")
        .unique(TREATMENT, keep="last")
    )
    numbered = rows.with_row_index(ROW)
    return numbered.filter(pl.col(ROW).is_in(newest[ROW].implode()))


def unrolled(treatments: pl.LazyFrame, column: str) -> pl.LazyFrame:
    """Return one row per record in the list `column`: the number of its treatment and the record's fields."""
    return treatments.select(ROW, column).filter(pl.col(column).list.len() > 0).explode(column).unnest(column)


def final_chemistry(treatments: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row per treatment and element that the final sample measured: `pct` or `below_pct`.

    Where there are several final samples the one taken last counts.
    """
    final = unrolled(treatments, "samples").filter("is_final").sort("sampled_at")
    return unrolled(final.unique(ROW, keep="last", maintain_order=True), "chemistry").filter(
        pl.col("pct").is_not_null() | pl.col("below_pct").is_not_null()
    )
