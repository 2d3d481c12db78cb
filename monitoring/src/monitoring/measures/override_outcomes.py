"""Did overrides land better? What became of heats where people decided otherwise, against what would have.

Accepted and edited heats are not compared: people edit the difficult ones. Each edited heat is compared
with itself: what Y would have made of it is the measured result plus the difference of the model's
predictions for Y and for what was weighed. An estimate.
"""

from typing import NamedTuple

import polars as pl

from monitoring.measures.in_window import windows_met
from monitoring.measures.overrides import overrides
from monitoring.measures.treatments import ROW, final_chemistry, in_force, unrolled

COLUMNS = [
    "plant_id",
    "heat_uid",
    "station",
    "treatment_no",
    "revision",
    "windows",
    "additives",
    "steel_mass_t",
    "samples",
    "recommendation_id",
    "recommended",
    "recommended_predicted",
    "recommended_cost",
    "decision_id",
    "decided_recommendation_id",
    "shown_at",
    "decided_at",
    "decided",
    "reason_code",
    "weighed_predicted",
    "weighed_cost",
]


class Overridden(NamedTuple):
    """One station's decisions on recommendations that were shown. `more_kg_t`: how much more was decided
    than recommended, kg of additives per tonne, over the overridden ones. `better` and `worse`: overridden
    heats that hit where Y would have missed, and the other way round; `judged` could be compared.
    """

    station: str
    shown: int
    overridden: int
    more_kg_t: float | None
    reasons: dict[str, int]
    judged: int
    better: int
    worse: int


def override_outcomes(rows: pl.LazyFrame) -> list[Overridden]:
    """Return one row per station where recommendations were shown and decided on."""
    treatments = in_force(rows.select(COLUMNS).collect()).lazy()
    more = (
        pl.col("decided").list.eval(pl.element().struct.field("added_kg")).list.sum()
        - pl.col("recommended").list.eval(pl.element().struct.field("added_kg")).list.sum()
    )
    compared = (
        overrides(treatments)
        .join(
            treatments.select(ROW, "station", "reason_code", (more / pl.col("steel_mass_t")).alias("more")),
            on=ROW,
        )
        .join(windows_met(treatments), on=ROW, how="left")
        .join(
            windows_met(treatments, _had_y_been_taken(treatments)).rename({"in_window": "y_in_window"}),
            on=ROW,
            how="left",
        )
        .collect()
    )
    found = []
    for (station,), of in compared.group_by("station"):
        edited = of.filter("overridden")
        judged = edited.drop_nulls(["in_window", "y_in_window"])
        reasons = (
            edited.group_by(pl.col("reason_code").fill_null("none given")).len().sort("len", descending=True)
        )
        found.append(
            Overridden(
                str(station), of.height, edited.height,
                edited.select(pl.col("more").mean()).item(), dict(reasons.iter_rows()), judged.height,
                judged.filter(pl.col("in_window") & ~pl.col("y_in_window")).height,
                judged.filter(~pl.col("in_window") & pl.col("y_in_window")).height,
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: one.station, reverse=True)


def _had_y_been_taken(treatments: pl.LazyFrame) -> pl.LazyFrame:
    for_y = unrolled(treatments, "recommended_predicted").select(ROW, "element", y_pct="predicted_pct")
    for_weighed = unrolled(treatments, "weighed_predicted").select(ROW, "element", own_pct="predicted_pct")
    moved = for_y.join(for_weighed, on=[ROW, "element"])
    return (
        final_chemistry(treatments)
        .join(moved, on=[ROW, "element"], how="left")
        .with_columns(
            (pl.col("pct") + (pl.col("y_pct") - pl.col("own_pct")).fill_null(0.0)).clip(0.0).alias("pct")
        )
        .join(moved.select(ROW).unique(), on=ROW, how="semi")
    )
