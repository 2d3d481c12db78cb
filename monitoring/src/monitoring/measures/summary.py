"""One page of figures over everything that came over the bus. Pure: from the rows of the lake to numbers."""

from datetime import datetime
from typing import NamedTuple

import polars as pl
from pydantic import BaseModel

from monitoring.measures.in_window import windows_met
from monitoring.measures.overrides import overrides
from monitoring.measures.prediction_error import errors_by_element, prediction_errors
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


def summarise(assessed: Assessed) -> Summary:
    """Return the figures of the first page."""
    treatments, errors = assessed
    if treatments.is_empty():
        return Summary()
    judged, decided = treatments["in_window"].drop_nulls(), treatments["overridden"].drop_nulls()
    return Summary(
        heats=treatments.height,
        last_completed_at=treatments["completed_at"][-1],
        elements={
            row["element"]: ElementError.model_validate(row)
            for row in errors_by_element(errors).iter_rows(named=True)
        },
        in_window_rate=_share(judged),
        in_window_n=judged.len(),
        cost_per_t=cost_per_t(treatments),
        override_rate=_share(decided),
        decided_n=decided.len(),
        fallback_rate=_share(treatments["recommendation_source"].drop_nulls() == "handbook"),
    )


def cost_per_t(treatments: pl.DataFrame) -> CostPerT | None:
    """Return cost over mass of the treatments whose cost is known; in the currency of most of them."""
    known = treatments.drop_nulls(["weighed_cost", "currency"])
    by_currency = known.group_by("currency").agg(
        pl.len().alias("n"), (pl.col("weighed_cost").sum() / pl.col("steel_mass_t").sum()).alias("amount")
    )
    if known.is_empty():
        return None
    row = by_currency.sort(["n", "currency"], descending=[True, False]).row(0, named=True)
    return CostPerT(amount=row["amount"], currency=row["currency"])


def _share(of: pl.Series) -> float | None:
    return float(of.sum()) / of.len() if of.len() else None
