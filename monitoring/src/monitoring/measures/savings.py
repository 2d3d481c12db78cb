"""What the heats cost, misses included, against what the plant handbook's rule would have cost. An
estimate.

What a heat would have become with the rule's kilograms nobody has measured. It is taken as the measured
result plus slope x difference in kilograms, where the slopes are the model's: how its base prediction
moves with what was added, within grade and station. So lots, oxygen, crew and chance of the heat are those
it really had, and accepted and edited heats are not compared with one another.

A slope is that of a usual heat, and this one's is another. How far they differ is seen in how far the
model's predictions lie from the line; so the rule's heat is a distribution about the moved result, as much
wider as it is moved further, and in window with a chance. Bench `money` holds all of this against the
simulator's do(Y).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from monitoring.measures.in_window import judged_elements, windows_met
from monitoring.measures.treatments import ROW, final_chemistry, in_force, unrolled

ALL = "all grades"
LEAST_HEATS = 30  # of a grade, for its slopes and its savings
TAUGHT_BY, LEAST_SURE = 2000, 0.2  # heats, and how sure (95 %, relative) of a slope they must make

USUAL_SLOPE_SD = 0.2  # where heats tell none: what the pipeline's gate holds a slope to
LOGISTIC = 1.702

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
    """Money per tonne of steel, misses included: positive is saved. `sd` is that of the mean over heats: how
    heats differ, what is not known of the rule's, and that a share is known no finer than one heat.
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
    chance = pl.col("rule_in_window")
    compared = (
        treatments.filter(pl.col("handbook").list.len() > 0)
        .drop_nulls(["weighed_cost", "handbook_cost", "currency"])
        .select(ROW, "station", "grade", "steel_mass_t", "currency", "weighed_cost", "handbook_cost")
        .join(windows_met(treatments), on=ROW)
        .join(_rule_in_window(treatments), on=ROW)
    )
    cost = (pl.col("handbook_cost") - pl.col("weighed_cost")) / pl.col("steel_mass_t")
    figures = (
        compared.with_columns(
            cost.alias("additives"),
            (cost + (pl.col("in_window").cast(pl.Float64) - chance) * price_per_miss_per_t).alias("saved"),
            (chance * (1 - chance) * price_per_miss_per_t**2).alias("doubt"),
        )
        .group_by("station", "grade", "currency")
        .agg(
            pl.len().alias("heats"),
            pl.col("saved").mean().alias("per_t"),
            (pl.col("saved").var() + pl.col("doubt").mean()).alias("variance"),
            pl.col("additives").mean(),
            pl.col("in_window").mean(),
            chance.mean(),
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
            sd_of_mean(row["variance"], row["heats"], price_per_miss_per_t),
            row["additives"],
            row["in_window"],
            row["rule_in_window"],
        )
        for row in figures.iter_rows(named=True)
    ]


def sd_of_mean(variance: float, heats: int, price_per_miss_per_t: float) -> float:
    """Return the standard deviation of a mean over heats, misses among what they cost: how heats differ, and
    that a share is known no finer than one heat.
    """
    return math.sqrt(variance / heats + (price_per_miss_per_t / heats) ** 2)


def totals(of_grades: Sequence[Saving]) -> list[Saving]:
    """Return one row per station and currency, over all its grades that are reported, by their heats."""
    found = []
    for station, currency in dict.fromkeys((one.station, one.currency) for one in of_grades):
        of = [one for one in of_grades if (one.station, one.currency) == (station, currency)]
        heats = sum(one.heats for one in of)

        def mean(figure: str, of: list[Saving] = of, heats: int = heats) -> float:
            return sum(one.heats * float(getattr(one, figure)) for one in of) / heats

        sd = math.sqrt(sum((one.heats * one.sd) ** 2 for one in of)) / heats
        rates = (mean("in_window"), mean("rule_in_window"))
        found.append(
            Saving(station, ALL, heats, currency, mean("per_t"), sd, mean("additives_per_t"), *rates)
        )
    return found


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


def _rule_in_window(treatments: pl.LazyFrame) -> pl.LazyFrame:
    """Return per treatment `rule_in_window`, the chance that the rule's kilograms would have met every
    window.
    """
    final = _by_the_rule(treatments)

    def below(bound: str) -> pl.Expr:
        """The logistic is the normal distribution to within .01."""
        return 1 / (1 + (LOGISTIC * (pl.col("pct") - pl.col(bound)) / pl.col("doubt_pct")).exp())

    bounded = pl.when(pl.col("max_pct").is_null()).then(1.0).otherwise(below("max_pct")) - pl.when(
        pl.col("min_pct").is_null() | (pl.col("min_pct") == 0)
    ).then(0.0).otherwise(below("min_pct"))
    is_sure = pl.col("pct").is_null() | (pl.col("doubt_pct") <= 0)
    return (
        judged_elements(treatments, final)
        .select(ROW, pl.when(is_sure).then(pl.col("met").cast(pl.Float64)).otherwise(bounded).alias("chance"))
        .group_by(ROW)
        .agg(pl.col("chance").product().alias("rule_in_window"))
    )


def _by_the_rule(treatments: pl.LazyFrame) -> pl.LazyFrame:
    """The final chemistry that the rule's kilograms would have given, as far as a usual heat tells, and
    `doubt_pct`, the standard deviation of this heat's about it.
    """
    own, rule = _added(treatments, "weighed"), _added(treatments, "handbook")
    more = own.join(
        rule.rename({"added_pct": "rule_pct"}), on=[ROW, "element"], how="full", coalesce=True
    ).select(
        ROW, "element", (pl.col("rule_pct").fill_null(0) - pl.col("added_pct").fill_null(0)).alias("more_pct")
    )
    place = treatments.select(ROW, "station", "grade")
    moved = (pl.col("more_pct") * pl.col("slope").fill_null(1.0)).fill_null(0.0)
    doubt = (pl.col("more_pct").abs() * pl.col("slope_sd").fill_null(USUAL_SLOPE_SD)).fill_null(0.0)
    return (
        final_chemistry(treatments)
        .join(place, on=ROW)
        .join(more, on=[ROW, "element"], how="left")
        .join(slopes_of(treatments), on=["station", "grade", "element"], how="left")
        .select(
            ROW,
            "element",
            (pl.col("pct") + moved).clip(0.0).alias("pct"),
            "below_pct",
            doubt.alias("doubt_pct"),
        )
    )


def slopes_of(treatments: pl.LazyFrame) -> pl.LazyFrame:
    """How the base prediction moves per wt % added by certificate, within station and grade: `slope`; and
    `slope_sd`, how far heats are off that line, per wt % that additions vary by.
    """
    first = unrolled(treatments, "chemistry").select(ROW, "element", first_pct="pct")
    off_the_line = (pl.col("gained_var") - pl.col("cov") ** 2 / pl.col("var")).clip(0.0)
    return (
        unrolled(treatments, "weighed_predicted")
        .select(ROW, "element", "base_pct")
        .join(first, on=[ROW, "element"])
        .join(_added(treatments, "weighed"), on=[ROW, "element"])
        .join(treatments.select(ROW, "station", "grade"), on=ROW)
        .with_columns((pl.col("base_pct") - pl.col("first_pct")).alias("gained"))
        .group_by("station", "grade", "element")
        .agg(
            pl.cov("gained", "added_pct").alias("cov"),
            pl.col("added_pct").var().alias("var"),
            pl.col("gained").var().alias("gained_var"),
            pl.len().alias("n"),
        )
        .filter((pl.col("n") >= LEAST_HEATS) & (pl.col("var") > 0))
        .select(
            "station",
            "grade",
            "element",
            (pl.col("cov") / pl.col("var")).clip(0.0, 1.2).alias("slope"),
            (off_the_line / pl.col("var")).sqrt().alias("slope_sd"),
        )
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
