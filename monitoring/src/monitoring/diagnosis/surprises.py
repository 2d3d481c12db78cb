"""What the results of heats say against the *base* prediction, and what was added to them, element by
element.

The base prediction knows nothing of the last heats. The slow state would hide what it absorbs, so nothing
here looks at it.
"""

from typing import NamedTuple

import polars as pl

from monitoring.measures.treatments import ROW, final_chemistry, in_force, unrolled

COLUMNS = [
    "plant_id",
    "heat_uid",
    "station",
    "treatment_no",
    "revision",
    "heat_no",
    "grade",
    "completed_at",
    "steel_mass_t",
    "windows",
    "weighed_bundle_hash",
    "chemistry",
    "additives",
    "weighed",
    "weighed_predicted",
    "samples",
]


class Surprises(NamedTuple):
    """Frames of one plant's heats, in the order in which their results came.

    `heats`: one row per treatment, `row` counting from 0. `surprises`: per treatment and element that was
    predicted and measured: `surprise_pct` (measured minus base prediction, wt %), `sd_pct` (as the model
    stated it), `z` (the first over the second), `covered` (inside the 90 % interval of the full
    prediction), `first_pct`, `has_aim` (its window has one). `added`: per treatment, additive, lot and
    element: `added_pct`, what the weighed kilograms bring by certificate, wt % of the steel.
    """

    heats: pl.DataFrame
    surprises: pl.DataFrame
    added: pl.DataFrame


def surprises_of(rows: pl.LazyFrame) -> Surprises:
    """Work out the frames from rows of the lake (of one plant; every revision may be among them)."""
    treatments = in_force(rows.select(COLUMNS).collect()).lazy()
    heats = (
        treatments.select(
            ROW,
            "plant_id",
            "heat_uid",
            "station",
            "grade",
            "heat_no",
            "completed_at",
            "weighed_bundle_hash",
        )
        .sort("completed_at", ROW)
        .with_row_index("order")
        .collect()
    )
    order = heats.lazy().select(ROW, "order")
    measured = final_chemistry(treatments).drop_nulls("pct").select(ROW, "element", "pct")
    first = unrolled(treatments, "chemistry").select(ROW, "element", first_pct="pct")
    aims = unrolled(treatments, "windows").select(ROW, "element", has_aim=pl.col("aim_pct").is_not_null())
    surprise = pl.col("pct") - pl.col("base_pct")
    found = (
        unrolled(treatments, "weighed_predicted")
        .join(measured, on=[ROW, "element"])
        .join(first, on=[ROW, "element"], how="left")
        .join(aims, on=[ROW, "element"], how="left")
        .join(order, on=ROW)
        .filter(pl.col("sd_pct") > 0)
        .select(
            pl.col("order").alias(ROW),
            "element",
            "pct",
            "first_pct",
            "sd_pct",
            surprise.alias("surprise_pct"),
            (surprise / pl.col("sd_pct")).alias("z"),
            pl.col("pct").is_between("low_pct", "high_pct").alias("covered"),
            pl.col("has_aim").fill_null(False),
        )
        .sort(ROW, "element")
    )
    added = _added(treatments).join(order, on=ROW).with_columns(pl.col("order").alias(ROW)).drop("order")
    numbered = heats.drop(ROW).rename({"order": ROW})
    return Surprises(numbered, *pl.collect_all([found, added.sort(ROW, "additive", "element")]))


def _added(treatments: pl.LazyFrame) -> pl.LazyFrame:
    """1 kg of an additive with assay a % brings a / (1000 x mass in t) % of the steel."""
    assays = (
        unrolled(treatments, "additives")
        .select(ROW, "additive", "lot", "assay")
        .unique([ROW, "additive", "lot"], keep="first", maintain_order=True)
    )
    tipped = (
        unrolled(treatments, "weighed")
        .filter(pl.col("added_kg") > 0)
        .group_by(ROW, "additive", "lot")
        .agg(pl.col("added_kg").sum())
    )
    return (
        tipped.join(assays, on=[ROW, "additive", "lot"], nulls_equal=True)
        .join(treatments.select(ROW, "steel_mass_t"), on=ROW)
        .explode("assay")
        .unnest("assay")
        .select(
            ROW,
            "additive",
            "lot",
            "element",
            (pl.col("added_kg") * pl.col("pct") / (1000 * pl.col("steel_mass_t"))).alias("added_pct"),
        )
        .filter(pl.col("added_pct") > 0)
    )
