"""What the heats cost, misses included, against what the plant handbook's rule would have cost. An
estimate.

What a heat would have become with the rule's kilograms nobody has measured. It is taken as the measured
result plus slope x difference in kilograms, where the slopes are the model's: how its base prediction
moves with what was added, within grade and station. So lots, oxygen, crew and chance of the heat are those
it really had, and accepted and edited heats are not compared with one another.
"""

import math
from typing import NamedTuple

import polars as pl

from monitoring.measures.in_window import windows_met
from monitoring.measures.treatments import ROW, final_chemistry, in_force, unrolled, with_final_chemistry

LEAST_HEATS = 30  # of a grade, for its slopes and its savings
TAUGHT_BY, LEAST_SURE = 2000, 0.2  # heats, and how sure (95 %, relative) of a slope they must make

COLUMNS = [
    "plant_id",
    "heat_uid",
    "station",
    "treatment_no",
    "revision",
    "grade",
    "completed_at",
    "steel_mass_t",
    "currency",
    "windows",
    "chemistry",
    "additives",
    "weighed",
    "weighed_cost",
    "weighed_predicted",
    "handbook",
    "handbook_cost",
    "samples",
]


class Saving(NamedTuple):
    """Money per tonne of steel, misses included: positive is saved. `sd` is that of the mean over heats.
    `additives_per_t` is the part that is not misses; rates are shares of heats in window, `rule_in_window`
    estimated.
    """

    station: str
    grade: str
    heats: int
    currency: str
    per_t: float
    sd: float
    additives_per_t: float
    in_window: float
    rule_in_window: float


class Teaching(NamedTuple):
    """Whether additions of an element still vary enough to learn its slope from. `sure_within`: half the 95 %
    interval of a slope, relative, that `TAUGHT_BY` heats like these would leave.
    """

    station: str
    element: str
    heats: int
    sure_within: float
    can_teach: bool


def savings(rows: pl.LazyFrame, price_per_miss_per_t: float) -> list[Saving]:
    """Return one saving per station and grade with enough heats whose costs are known and which can be
    judged.
    """
    treatments = in_force(rows.select(COLUMNS).collect()).lazy()
    compared = (
        treatments.filter(pl.col("handbook").list.len() > 0)
        .drop_nulls(["weighed_cost", "handbook_cost", "currency"])
        .select(ROW, "station", "grade", "steel_mass_t", "currency", "weighed_cost", "handbook_cost")
        .join(windows_met(treatments), on=ROW)
        .join(windows_met(_by_the_rule(treatments)).rename({"in_window": "rule_in_window"}), on=ROW)
    )
    cost = (pl.col("handbook_cost") - pl.col("weighed_cost")) / pl.col("steel_mass_t")
    missed = (
        pl.col("in_window").cast(pl.Int8) - pl.col("rule_in_window").cast(pl.Int8)
    ) * price_per_miss_per_t
    figures = (
        compared.with_columns(cost.alias("additives"), (cost + missed).alias("saved"))
        .group_by("station", "grade", "currency")
        .agg(
            pl.len().alias("heats"),
            pl.col("saved").mean().alias("per_t"),
            pl.col("saved").std().alias("spread"),
            pl.col("additives").mean(),
            pl.col("in_window").mean(),
            pl.col("rule_in_window").mean(),
        )
        .filter(pl.col("heats") >= LEAST_HEATS)
        .sort("station", "grade", "currency", descending=[True, False, False])
        .collect()
    )
    return [
        Saving(
            row["station"],
            row["grade"],
            row["heats"],
            row["currency"],
            row["per_t"],
            row["spread"] / math.sqrt(row["heats"]),
            row["additives"],
            row["in_window"],
            row["rule_in_window"],
        )
        for row in figures.iter_rows(named=True)
    ]


def teaching(rows: pl.LazyFrame) -> list[Teaching]:
    """Return it per station and element that is added. What varies is what was added beyond what the heat
    asked for (window aim less first chemistry), within grades: where everybody adds just that, nothing can
    be learnt.
    """
    treatments = in_force(rows.select(COLUMNS).collect()).lazy()
    asked = (
        unrolled(treatments, "windows")
        .drop_nulls("aim_pct")
        .join(unrolled(treatments, "chemistry").select(ROW, "element", first_pct="pct"), on=[ROW, "element"])
        .select(ROW, "element", (pl.col("aim_pct") - pl.col("first_pct")).alias("asked_pct"))
    )
    missed = (
        unrolled(treatments, "weighed_predicted")
        .join(final_chemistry(treatments), on=[ROW, "element"])
        .select(ROW, "element", (pl.col("pct") - pl.col("base_pct")).alias("error_pct"))
    )
    sure = 1.96 * pl.col("noise") / (pl.col("sd") * math.sqrt(TAUGHT_BY))
    found = (
        _added(treatments, "weighed")
        .join(asked, on=[ROW, "element"])
        .join(missed, on=[ROW, "element"])
        .join(treatments.select(ROW, "station", "grade"), on=ROW)
        .group_by("station", "grade", "element")
        .agg(
            pl.len().alias("heats"),
            (pl.col("added_pct") - pl.col("asked_pct")).var().alias("var"),
            pl.col("error_pct").var().alias("noise_var"),
        )
        .filter(pl.col("heats") >= LEAST_HEATS)
        .group_by("station", "element")
        .agg(
            pl.col("heats").sum(),
            ((pl.col("var") * pl.col("heats")).sum() / pl.col("heats").sum()).sqrt().alias("sd"),
            ((pl.col("noise_var") * pl.col("heats")).sum() / pl.col("heats").sum()).sqrt().alias("noise"),
        )
        .filter(pl.col("sd") > 0)
        .with_columns(sure.alias("sure"))
        .sort("station", "element", descending=[True, False])
        .collect()
    )
    return [
        Teaching(station, element, heats, within, within <= LEAST_SURE)
        for station, element, heats, within in found.select("station", "element", "heats", "sure").iter_rows()
    ]


def _by_the_rule(treatments: pl.LazyFrame) -> pl.LazyFrame:
    """The same treatments with the final chemistry that the rule's kilograms would have given."""
    own, rule = _added(treatments, "weighed"), _added(treatments, "handbook")
    more = own.join(
        rule.rename({"added_pct": "rule_pct"}), on=[ROW, "element"], how="full", coalesce=True
    ).select(
        ROW, "element", (pl.col("rule_pct").fill_null(0) - pl.col("added_pct").fill_null(0)).alias("more_pct")
    )
    place = treatments.select(ROW, "station", "grade")
    final = (
        final_chemistry(treatments)
        .join(place, on=ROW)
        .join(more, on=[ROW, "element"], how="left")
        .join(_slopes(treatments, own), on=["station", "grade", "element"], how="left")
        .with_columns(
            (pl.col("pct") + (pl.col("more_pct") * pl.col("slope").fill_null(1.0)).fill_null(0.0))
            .clip(0.0)
            .alias("pct")
        )
    )
    return with_final_chemistry(treatments, final)


def _slopes(treatments: pl.LazyFrame, added: pl.LazyFrame) -> pl.LazyFrame:
    """How the base prediction moves per wt % added by certificate, within station and grade."""
    first = unrolled(treatments, "chemistry").select(ROW, "element", first_pct="pct")
    return (
        unrolled(treatments, "weighed_predicted")
        .select(ROW, "element", "base_pct")
        .join(first, on=[ROW, "element"])
        .join(added, on=[ROW, "element"])
        .join(treatments.select(ROW, "station", "grade"), on=ROW)
        .with_columns((pl.col("base_pct") - pl.col("first_pct")).alias("gained"))
        .group_by("station", "grade", "element")
        .agg(
            pl.cov("gained", "added_pct").alias("cov"),
            pl.col("added_pct").var().alias("var"),
            pl.len().alias("n"),
        )
        .filter((pl.col("n") >= LEAST_HEATS) & (pl.col("var") > 0))
        .select("station", "grade", "element", (pl.col("cov") / pl.col("var")).clip(0.0, 1.2).alias("slope"))
    )


def _added(treatments: pl.LazyFrame, column: str) -> pl.LazyFrame:
    """What the kilograms in a column bring by certificate, wt % of the steel, by element."""
    assays = (
        unrolled(treatments, "additives")
        .select(ROW, "additive", "assay")
        .unique([ROW, "additive"], keep="first", maintain_order=True)
    )
    return (
        unrolled(treatments, column)
        .group_by(ROW, "additive")
        .agg(pl.col("added_kg").sum())
        .join(assays, on=[ROW, "additive"])
        .join(treatments.select(ROW, "steel_mass_t"), on=ROW)
        .explode("assay")
        .unnest("assay")
        .group_by(ROW, "element")
        .agg((pl.col("added_kg") * pl.col("pct") / (1000 * pl.col("steel_mass_t"))).sum().alias("added_pct"))
    )
