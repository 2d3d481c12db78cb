"""One page of figures over everything that came over the bus. Pure: from the rows of the lake to numbers."""

from datetime import datetime
from typing import NamedTuple

import polars as pl
from pydantic import BaseModel

from monitoring.measures.cells import by_element, cells_of
from monitoring.measures.in_window import windows_met
from monitoring.measures.overrides import overrides
from monitoring.measures.prediction_error import prediction_errors
from monitoring.measures.treatments import ROW, TREATMENT, in_force

_KEPT = [
    "stream",
    "stream_seq",
    *TREATMENT,
    "revision",
    "heat_no",
    "grade",
    "completed_at",
    "available_at",
    "steel_mass_t",
    "weighed_cost",
    "currency",
    "recommendation_source",
    "model_version",
    "weighed_bundle_hash",
]
_JUDGED_BY = [
    "windows",
    "samples",
    "additives",
    "recommendation_id",
    "recommended",
    "decision_id",
    "decided_recommendation_id",
    "shown_at",
    "decided_at",
    "decided",
    "weighed_predicted",
]


_COUNTED_BY = ["stream", "currency", "weighed_bundle_hash", "model_version"]
_SUMS = [
    "heats",
    "in_window",
    "in_window_n",
    "overridden",
    "decided_n",
    "recommended_n",
    "fallback",
    "priced_n",
    "cost",
    "mass_t",
]
_LASTS = ["completed_at", "stream_seq"]


class ElementError(BaseModel):
    """Predicted for weighed against the final sample: see `prediction_error`."""

    n: int
    mae_pct: float
    bias_pct: float
    coverage_90: float


class CostPerT(BaseModel):
    """Weighed additions at the heats' prices, per tonne of steel."""

    amount: float
    currency: str


class Summary(BaseModel):
    """Rates are shares from 0 to 1, and None where there is nothing to take a share of."""

    heats: int = 0
    last_completed_at: datetime | None = None
    elements: dict[str, ElementError] = {}
    in_window_rate: float | None = None
    in_window_n: int = 0
    cost_per_t: CostPerT | None = None
    override_rate: float | None = None
    decided_n: int = 0
    fallback_rate: float | None = None


class Assessed(NamedTuple):
    """What became of each treatment, and the errors of the predictions: a row per treatment and element."""

    treatments: pl.DataFrame
    errors: pl.DataFrame


def assess(rows: pl.LazyFrame) -> Assessed:
    """Judge each treatment in force among rows of the bus; a verdict is null where nothing tells."""
    treatments = in_force(rows.select(*_KEPT, *_JUDGED_BY).collect()).lazy()
    judged = (
        treatments.select(ROW, *_KEPT)
        .join(windows_met(treatments), on=ROW, how="left")
        .join(overrides(treatments), on=ROW, how="left")
        .sort("completed_at", *TREATMENT)
    )
    whose = treatments.select(ROW, *TREATMENT, "revision", "heat_no", "completed_at", "weighed_bundle_hash")
    errors = prediction_errors(treatments).join(whose, on=ROW).sort("completed_at", *TREATMENT, "element")
    return Assessed(*pl.collect_all([judged.drop(ROW), errors.drop(ROW)]))


def merged(before: Assessed, new: Assessed) -> Assessed:
    """Return both together; a treatment that is in both counts with its higher revision."""
    treatments = pl.concat([before.treatments, new.treatments])
    errors = pl.concat([before.errors, new.errors])
    corrected = before.treatments.join(new.treatments, on=TREATMENT, how="semi").height > 0
    if corrected:
        treatments = treatments.sort("revision").unique(TREATMENT, keep="last")
        errors = errors.join(treatments, on=[*TREATMENT, "revision"], how="semi")
    if not corrected and _follows(before.treatments, new.treatments):
        return Assessed(treatments, errors)  # in order already: sorting a million heats takes long
    return Assessed(
        treatments.sort("completed_at", *TREATMENT), errors.sort("completed_at", *TREATMENT, "element")
    )


def _follows(before: pl.DataFrame, new: pl.DataFrame) -> bool:
    if before.is_empty() or new.is_empty():
        return True
    return bool(before["completed_at"][-1] < new["completed_at"][0])


def counts_of(treatments: pl.DataFrame) -> pl.DataFrame:
    """Return what the figures need of treatments: few rows, and as many where these are counted again."""
    known = pl.col("weighed_cost").is_not_null() & pl.col("currency").is_not_null()
    handbook = pl.col("recommendation_source") == "handbook"
    counted = treatments.with_columns(
        heats=pl.lit(1),
        in_window_n=pl.col("in_window").is_not_null(),
        decided_n=pl.col("overridden").is_not_null(),
        recommended_n=handbook.is_not_null(),
        fallback=handbook,
        priced_n=known,
        cost=pl.when(known).then("weighed_cost"),
        mass_t=pl.when(known).then("steel_mass_t"),
    )
    return added(counted.with_columns(pl.col(_SUMS[:-2]).cast(pl.Int64)))


def added(counts: pl.DataFrame) -> pl.DataFrame:
    """Return counts of several groups of treatments as those of all."""
    return counts.group_by(_COUNTED_BY).agg(pl.col(_SUMS).sum(), pl.col(_LASTS).max())


def summarise(assessed: Assessed) -> Summary:
    """Return the figures of the first page."""
    return figures(counts_of(assessed.treatments), cells_of(assessed.errors))


def figures(counts: pl.DataFrame, cells: pl.DataFrame) -> Summary:
    """Return them from what was counted, and the cells of the errors."""
    if counts.is_empty():
        return Summary()
    of = counts.select(pl.col(_SUMS).sum(), pl.col("completed_at").max()).row(0, named=True)
    return Summary(
        heats=of["heats"],
        last_completed_at=of["completed_at"],
        elements={
            row["element"]: ElementError.model_validate(row)
            for row in by_element(cells).iter_rows(named=True)
        },
        in_window_rate=_share(of["in_window"], of["in_window_n"]),
        in_window_n=of["in_window_n"],
        cost_per_t=_cost_per_t(counts),
        override_rate=_share(of["overridden"], of["decided_n"]),
        decided_n=of["decided_n"],
        fallback_rate=_share(of["fallback"], of["recommended_n"]),
    )


def _cost_per_t(counts: pl.DataFrame) -> CostPerT | None:
    """Return cost over mass of the treatments whose cost is known; in the currency of most of them."""
    known = counts.filter(pl.col("priced_n") > 0).group_by("currency").agg(pl.col(_SUMS).sum())
    if known.is_empty():
        return None
    row = known.sort(["priced_n", "currency"], descending=[True, False]).row(0, named=True)
    return CostPerT(amount=row["cost"] / row["mass_t"], currency=row["currency"])


def _share(of: int, n: int) -> float | None:
    return of / n if n else None
