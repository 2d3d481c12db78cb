"""Rows of the lake that nothing can be learnt from, each with its reason; the rest goes on."""

from typing import NamedTuple

import polars as pl


class Validated(NamedTuple):
    """`refused` has the rows' treatment and `what`, `allowed`."""

    heats: pl.DataFrame
    refused: pl.DataFrame


def usual_mass(heats: pl.DataFrame) -> pl.DataFrame:
    """The median steel mass of each plant's station."""
    return heats.group_by("plant_id", "station").agg(usual=pl.col("steel_mass_t").median())


def validate(heats: pl.DataFrame, usual: pl.DataFrame | None = None) -> Validated:
    """Split rows of the lake into those to learn from and those refused, with the first reason of each.

    `usual` is `usual_mass` of all heats, where `heats` are only some of them.
    """
    steel_mass = usual_mass(heats) if usual is None else usual
    frame = heats.join(steel_mass, on=["plant_id", "station"], how="left", maintain_order="left")
    tipped = (
        pl.when(pl.col("weighed").list.len() > 0)
        .then(pl.col("weighed").list.eval(pl.element().struct.field("additive")))
        .otherwise(pl.col("decided").list.eval(pl.element().struct.field("additive")))
    )
    assayed = pl.col("additives").list.eval(pl.element().struct.field("additive"))
    finals = pl.col("samples").list.eval(pl.element().struct.field("is_final")).list.any()
    mass = pl.col("steel_mass_t")
    rules = [
        (~finals.fill_null(value=False), "no final sample", "a final sample"),
        (
            ~mass.is_between(0.5 * pl.col("usual"), 2 * pl.col("usual")),
            "steel mass far from the station's usual",
            "half to twice the median",
        ),
        (
            tipped.list.set_difference(assayed).list.len() > 0,
            "an addition without an assay",
            "additives of the heat that cover its additions",
        ),
        (
            pl.col("completed_at") < pl.col("registered_at"),
            "completed before it was registered",
            "completed_at at or after registered_at",
        ),
    ]
    what = allowed = pl.lit(None, dtype=pl.String)
    for breaks, said, permitted in reversed(rules):
        hit = breaks.fill_null(value=True)
        what = pl.when(hit).then(pl.lit(said)).otherwise(what)
        allowed = pl.when(hit).then(pl.lit(permitted)).otherwise(allowed)
    judged = frame.with_columns(what=what, allowed=allowed).drop("usual")
    refused = judged.filter(pl.col("what").is_not_null()).select(
        "plant_id", "heat_uid", "station", "treatment_no", "heat_no", "what", "allowed"
    )
    return Validated(judged.filter(pl.col("what").is_null()).drop("what", "allowed"), refused)
