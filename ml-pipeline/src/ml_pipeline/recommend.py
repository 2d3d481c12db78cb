"""What a bundle would have recommended for real heats, beside what the plant really added, at the same
prices."""

from pathlib import Path
from typing import NamedTuple

import polars as pl
from model_service.bundle import load_bundle
from model_service.contracts import Below, Prediction, Recommendation
from model_service.prediction import predict
from model_service.recommendation import recommend

from ml_pipeline import lake
from ml_pipeline.errors import ExtractError
from ml_pipeline.requests import (
    additions,
    final_chemistry,
    offers,
    prediction_request,
    recommendation_request,
)
from ml_pipeline.steps.extract import in_force


class Compared(NamedTuple):
    """One heat: Y, the prediction for what was added, kilograms and cost of both (None: nothing with a
    price), measured result."""

    heat_no: str
    grade: str
    steel_mass_t: float
    currency: str
    recommendation: Recommendation
    prediction: Prediction
    added_kg: dict[str, float]
    added_cost: float
    without_price: list[str]
    handbook_cost: float | None
    measured: dict[str, float]


def comparison(
    lake_folder: lake.Lake, bundle_folder: Path, heats: int, station: str | None = None
) -> list[Compared]:
    """Recommend for the newest heats of the lake with what was known then; oldest first.

    Raises ExtractError where the lake has no such heats.
    """
    if heats < 1:
        raise ExtractError(f"--heats {heats}: at least 1 is needed")
    bundle = load_bundle(bundle_folder)
    scanned = lake.scan(lake_folder, "heats")[0]
    there = scanned.select(pl.col("station").unique().sort()).collect()["station"].to_list()
    if station is not None and station not in there:
        raise ExtractError(
            f"--station {station}: the lake has no heats of it; it has {', '.join(there) or 'none'}"
        )
    rows = in_force((scanned.filter(pl.col("station") == station) if station else scanned).collect())
    if rows.is_empty():
        raise ExtractError(f"{lake_folder}/heats has no heats; import an extract first")
    wanted = rows.sort("completed_at", "heat_uid").tail(heats)
    found = []
    for row in wanted.iter_rows(named=True):
        earlier = rows.filter(
            (pl.col("plant_id") == row["plant_id"])
            & (pl.col("station") == row["station"])
            & (pl.col("completed_at") <= row["registered_at"])
        )
        recent = earlier.sort("completed_at").tail(30).to_dicts()
        prices = {a.additive: a.price_per_t.amount for a in offers(row)} | {
            a["additive"]: a["price_per_t"] for a in row["additives"] if a["price_per_t"] is not None
        }
        kilograms: dict[str, float] = {}
        for tipped in additions(row):
            kilograms[tipped.additive] = kilograms.get(tipped.additive, 0.0) + tipped.added_kg
        results = {
            e: v for e, v in final_chemistry(row).items() if v is not None and not isinstance(v, Below)
        }
        found.append(
            Compared(
                row["heat_no"],
                row["grade"],
                row["steel_mass_t"],
                row["currency"] or "",
                recommend(bundle, recommendation_request(row, recent)),
                predict(bundle, prediction_request(row, recent)),
                kilograms,
                sum(kg * prices[name] / 1000 for name, kg in kilograms.items() if name in prices),
                sorted(name for name in kilograms if name not in prices),
                row["handbook_cost"],
                results,
            )
        )
    return found


def table(compared: list[Compared]) -> str:
    """Text for a person; totals over the heats that were recommended for."""
    lines = [line for one in compared for line in _heat(one)]
    answered = [one for one in compared if one.recommendation.status == "recommended"]
    currency = compared[0].currency
    if answered:
        ours = sum(one.recommendation.cost.amount for one in answered if one.recommendation.cost)
        theirs, mass = sum(one.added_cost for one in answered), sum(one.steel_mass_t for one in answered)
        share = f" ({(ours - theirs) / theirs:+.1%})" if theirs else ""
        lines.append(
            f"total of {len(answered)} heats: recommended {ours:,.0f} {currency} = {ours / mass:.2f} per t; "
            f"added {theirs:,.0f} {currency} = {theirs / mass:.2f} per t{share}"
        )
        by_rule = [one.handbook_cost for one in answered if one.handbook_cost is not None]
        if len(by_rule) == len(answered):
            lines.append(
                f"the handbook rule: {sum(by_rule):,.0f} {currency} = {sum(by_rule) / mass:.2f} per t"
            )
        confident = sum(not one.recommendation.unreached for one in answered)
        lines.append(
            f"for {confident} of them no window is out of reach at the confidence asked for "
            f"({answered[0].recommendation.confidence:.0%} each)"
        )
        unpriced = sorted({name for one in answered for name in one.without_price})
        if unpriced:
            lines.append(f"without a price, so not in the cost of what was added: {', '.join(unpriced)}")
    abstained = len(compared) - len(answered)
    if abstained:
        lines.append(f"{abstained} of {len(compared)} heats: the model abstained")
    return "\n".join(lines)


def _heat(one: Compared) -> list[str]:
    y = one.recommendation
    head = f"{one.heat_no}  {one.grade}  {one.steel_mass_t:g} t"
    added = ", ".join(f"{name} {kg:g}" for name, kg in one.added_kg.items()) or "nothing"
    if y.status == "abstained":
        lines = [head, *(f"  abstained: {reason.text}" for reason in y.abstention_reasons)]
        return [*lines, f"  added        {one.added_cost:9,.0f} {one.currency}  {added}", ""]
    kilograms = ", ".join(f"{a.additive} {a.added_kg:g}" for a in y.additions) or "nothing"
    cost = y.cost.amount if y.cost else 0.0
    lines = [
        head,
        f"  recommended  {cost:9,.0f} {one.currency}  {kilograms}",
        f"  added        {one.added_cost:9,.0f} {one.currency}  "
        f"{added}{' + unpriced' if one.without_price else ''}",
        f"{'':11s}{'window':>19s}{'recommended':>18s}{'P(in)':>7s}{'for what was added':>20s}"
        f"{'measured':>10s}",
    ]
    for element, estimate in y.elements.items():
        if estimate.window is None:
            continue
        window = f"{_pct(estimate.window.min)}..{_pct(estimate.window.max)}"
        half = estimate.interval_pct.high - estimate.predicted_pct
        really = one.prediction.elements.get(element)
        lines.append(
            f"  {element:9s}{window:>19s}{estimate.predicted_pct:10.4f} "
            f"±{half:.4f}{estimate.probability_inside or 0.0:7.2f}"
            f"{_pct(really.predicted_pct if really else None):>20s}{_pct(one.measured.get(element)):>10s}"
        )
    lines += [
        f"  not reached: {limit.limit} short by {limit.short_by:.4g} {limit.unit}" for limit in y.unreached
    ]
    return [*lines, ""]


def _pct(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
