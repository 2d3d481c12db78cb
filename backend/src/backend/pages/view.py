"""What the page of one heat shows: elements on their bars, additives in their bins. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from backend.errors import validate
from backend.heats.schemas import TreatmentRead
from backend.pages.rendering import percent_text
from backend.recommendations.handbook import by_handbook
from backend.shapes import Additive, HandbookEntry, Heat

# The order in which a steelmaker reads an analysis; what is not named follows by the alphabet.
USUAL_ORDER = ("C", "Si", "Mn", "P", "S", "Cr", "Ni", "Mo", "Cu", "V", "Nb", "Ti", "Al")
BAR_WIDTH = 320.0
# Room at both sides of a window for what lies outside of it, in widths of the window.
MARGIN = 0.35
# So far, in widths of the window, a bar reaches out for the chemistry before additions; beyond, it stands
# at the end.
REACH = 1.2


@dataclass(frozen=True)
class Estimate:
    """One element as predicted, wt %; the interval's half is None where the rule of the handbook predicts.

    Its square is a fixed part's plus that of what the kilograms bring: the more is added, the less is sure.
    """

    predicted_pct: float
    half_pct: float | None
    slope_pct_per_kg: Mapping[str, float]
    half_pct_per_kg: Mapping[str, float]

    @property
    def interval_pct(self) -> tuple[float, float] | None:
        if self.half_pct is None:
            return None
        return self.predicted_pct - self.half_pct, self.predicted_pct + self.half_pct


@dataclass(frozen=True)
class Bar:
    """The scale of an element's bar: wt % at its left and right end."""

    left_pct: float
    right_pct: float

    def x(self, pct: float) -> float:
        """Position on the bar, held to its ends."""
        share = (pct - self.left_pct) / (self.right_pct - self.left_pct)
        return round(min(max(share, 0.0), 1.0) * BAR_WIDTH, 1)

    def holds(self, pct: float) -> bool:
        return self.left_pct <= pct <= self.right_pct


@dataclass(frozen=True)
class ElementRow:
    element: str
    low_pct: float | None
    aim_pct: float | None
    high_pct: float | None
    now_pct: float | None
    now_text: str
    result_pct: float | None
    result_text: str
    estimate: Estimate | None
    bar: Bar | None
    verdict: str


@dataclass(frozen=True)
class AdditiveRow:
    additive: str
    lot: str
    unit_price: float
    increment_kg: float
    max_kg: float | None
    stock_kg: float | None
    chill_c_per_kg: float
    recommended_kg: float
    decided_kg: float | None
    weighed_kg: float | None

    @property
    def start_kg(self) -> float:
        return self.recommended_kg if self.decided_kg is None else self.decided_kg

    @property
    def most_kg(self) -> float | None:
        """What may be tipped: the least of what the bin holds and what one treatment takes."""
        return min((kg for kg in (self.max_kg, self.stock_kg) if kg is not None), default=None)

    @property
    def used(self) -> bool:
        return any((self.recommended_kg, self.decided_kg, self.weighed_kg))


@dataclass(frozen=True)
class Temperature:
    """Steel after the additions where the model tells it, else what the additions change, in °C."""

    predicted_c: float | None
    slope_c_per_kg: Mapping[str, float]


@dataclass(frozen=True)
class HeatView:
    elements: Sequence[ElementRow]
    also_measured: Sequence[tuple[str, str]]
    additives: Sequence[AdditiveRow]
    temperature: Temperature
    currency: str
    handbook_cost: float | None
    estimates_hold_for: str


def heat_view(known: TreatmentRead) -> HeatView:
    """Estimates are for what was weighed, else for what was decided, else for what is recommended."""
    recommendation = known.recommendation or {}
    answer = recommendation.get("answer") or {}
    estimates, hold_for = _estimates(known, recommendation, answer)
    additives = _additive_rows(known, recommendation)
    if hold_for != "weighed":
        estimates = {element: _moved(estimate, additives) for element, estimate in estimates.items()}
    windows: dict[str, Any] = known.heat.get("windows") or {}
    chemistry: dict[str, Any] = known.heat["chemistry"]
    result = final_chemistry(known.samples)
    # What has no window is no question to the steelmaker; it is named in one line.
    shown = sorted(windows or estimates, key=usual)
    others = sorted(chemistry.keys() - set(shown), key=usual)
    handbook = answer.get("handbook") if recommendation.get("source") == "model" else None
    return HeatView(
        elements=[
            _element_row(element, windows.get(element) or {}, chemistry, estimates.get(element), result)
            for element in shown
        ],
        also_measured=[
            (element, percent_text(value))
            for element in others
            if (value := result.get(element, chemistry.get(element))) is not None
        ],
        additives=additives,
        temperature=_temperature(known, answer, additives),
        currency=known.additives[0]["price_per_t"]["currency"] if known.additives else "",
        handbook_cost=None if not handbook else handbook["cost"]["amount"],
        estimates_hold_for=hold_for,
    )


def verdict_of(
    pct: float, window: Mapping[str, float | None], interval: tuple[float, float] | None = None
) -> str:
    """inside, tight (inside, but the interval is not), low or high; empty without a window."""
    low, high = window.get("min"), window.get("max")
    if low is None and high is None:
        return ""
    if low is not None and pct < low:
        return "low"
    if high is not None and pct > high:
        return "high"
    if interval is None:
        return "inside"
    sticks_out = (low is not None and interval[0] < low) or (high is not None and interval[1] > high)
    return "tight" if sticks_out else "inside"


def judged_by(
    windows: Mapping[str, Any], chemistry: Mapping[str, Any]
) -> tuple[Sequence[str], Sequence[str]]:
    """Elements of a final analysis outside of their window, and those with one that were not measured."""
    outside, unmeasured = [], []
    for element, window in windows.items():
        pct = _number(chemistry.get(element))
        if pct is None:
            unmeasured.append(element)
        elif verdict_of(pct, window) in ("low", "high"):
            outside.append(element)
    return sorted(outside, key=usual), sorted(unmeasured, key=usual)


def final_chemistry(samples: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    finals = [sample for sample in samples if sample["is_final"]]
    chemistry: Mapping[str, Any] = (
        max(finals, key=lambda sample: str(sample["sampled_at"]))["chemistry"] if finals else {}
    )
    return chemistry


def usual(element: str) -> tuple[int, str]:
    return (USUAL_ORDER.index(element) if element in USUAL_ORDER else len(USUAL_ORDER), element)


def _estimates(
    known: TreatmentRead, recommendation: dict[str, Any], answer: dict[str, Any]
) -> tuple[dict[str, Estimate], str]:
    if known.prediction is not None and known.prediction["elements"]:
        return _model_estimates(known, known.prediction["elements"]), "weighed"
    if recommendation.get("source") == "model":
        return _model_estimates(known, answer["elements"]), "recommended"
    if recommendation and known.handbook_entry is not None:
        return _handbook_estimates(known), "handbook"
    return {}, ""


def _moved(estimate: Estimate, additives: Sequence[AdditiveRow]) -> Estimate:
    """The estimate for the kilograms that were decided: affine in the difference to those recommended."""
    shift, before, after = 0.0, 0.0, 0.0
    for row in additives:
        name = row.additive
        shift += estimate.slope_pct_per_kg.get(name, 0.0) * (row.start_kg - row.recommended_kg)
        before += estimate.half_pct_per_kg.get(name, 0.0) * row.recommended_kg
        after += estimate.half_pct_per_kg.get(name, 0.0) * row.start_kg
    half = estimate.half_pct
    moved = None if half is None else sqrt(max(half**2 - before**2, 0.0) + after**2)
    return replace(estimate, predicted_pct=estimate.predicted_pct + shift, half_pct=moved)


def _model_estimates(known: TreatmentRead, elements: Mapping[str, Any]) -> dict[str, Estimate]:
    return {element: _model_estimate(known, element, told) for element, told in elements.items()}


def _model_estimate(known: TreatmentRead, element: str, told: Mapping[str, Any]) -> Estimate:
    """A model service that does not tell how the interval grows leaves it as wide as it is."""
    interval = told["interval_pct"]
    growth = (interval.get("half_per_added_pct") or 0.0) / (1000.0 * known.heat["steel_mass_t"])
    return Estimate(
        told["predicted_pct"],
        (interval["high"] - interval["low"]) / 2,
        told["slope_pct_per_kg"],
        {
            offer["additive"]: growth * offer["assay"][element]
            for offer in known.additives
            if element in offer["assay"]
        },
    )


def _handbook_estimates(known: TreatmentRead) -> dict[str, Estimate]:
    """What the rule itself believes: nominal recoveries, no interval."""
    heat, entry = validate(Heat, known.heat), validate(HandbookEntry, known.handbook_entry)
    offers = [validate(Additive, additive) for additive in known.additives]
    mass_kg = heat.steel_mass_t * 1000.0
    return {
        element: Estimate(
            predicted,
            None,
            {
                offer.additive: offer.assay[element] * entry.nominal_recovery.get(element, 1.0) / mass_kg
                for offer in offers
                if element in offer.assay
            },
            {},
        )
        for element, predicted in by_handbook(heat, offers, entry).predicted_pct.items()
        if element in heat.windows
    }


def _element_row(
    element: str,
    window: Mapping[str, float],
    chemistry: Mapping[str, Any],
    estimate: Estimate | None,
    result: Mapping[str, Any],
) -> ElementRow:
    result_pct = _number(result.get(element))
    if result_pct is not None:
        verdict = verdict_of(result_pct, window)
    elif estimate is not None:
        verdict = verdict_of(estimate.predicted_pct, window, estimate.interval_pct)
    else:
        verdict = ""
    now_pct = _number(chemistry.get(element))
    return ElementRow(
        element=element,
        low_pct=window.get("min"),
        aim_pct=window.get("aim"),
        high_pct=window.get("max"),
        now_pct=now_pct,
        now_text=percent_text(chemistry.get(element)),
        result_pct=result_pct,
        result_text=percent_text(result.get(element)) if result else "",
        estimate=estimate,
        bar=_bar(window, now_pct),
        verdict=verdict,
    )


def _number(analysis: Any) -> float | None:
    """Below detection counts as the detection limit; what was not measured is None."""
    value = analysis["below"] if isinstance(analysis, dict) else analysis
    return None if value is None else float(value)


def _bar(window: Mapping[str, float], now_pct: float | None) -> Bar | None:
    low, high = window.get("min"), window.get("max")
    if low is None and high is None:
        return None
    if low is None or high is None:
        bound = high if high is not None else low or 0.0
        return Bar(0.0, bound * (1 + MARGIN) if bound else 1.0)
    span = (high - low) or high or 1.0
    left, right = low - MARGIN * span, high + MARGIN * span
    if now_pct is not None:
        left = min(left, max(now_pct, low - REACH * span))
        right = max(right, min(now_pct, high + REACH * span))
    return Bar(left, right)


def _additive_rows(known: TreatmentRead, recommendation: dict[str, Any]) -> list[AdditiveRow]:
    recommended = _kilograms(recommendation.get("additions") or [])
    decided = None if known.decision is None else _kilograms(known.decision["additions"])
    weighed = _kilograms(known.weighed) if known.weighed else None
    mass_t = known.heat["steel_mass_t"]
    return [
        AdditiveRow(
            additive=name,
            lot=offer.get("lot") or "",
            unit_price=offer["price_per_t"]["amount"] / 1000.0,
            increment_kg=offer["increment_kg"],
            max_kg=offer.get("max_kg"),
            stock_kg=offer.get("stock_kg"),
            chill_c_per_kg=(offer.get("chill_c_per_kg_t") or 0.0) / mass_t,
            recommended_kg=recommended.get(name, 0.0),
            decided_kg=None if decided is None else decided.get(name, 0.0),
            weighed_kg=None if weighed is None else weighed.get(name, 0.0),
        )
        for offer in known.additives
        if (name := offer["additive"])
    ]


def _kilograms(additions: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    kg: dict[str, float] = {}
    for addition in additions:
        kg[addition["additive"]] = kg.get(addition["additive"], 0.0) + addition["added_kg"]
    return kg


def _temperature(
    known: TreatmentRead, answer: Mapping[str, Any], additives: Sequence[AdditiveRow]
) -> Temperature:
    """The model's where it predicts one, for the kilograms decided; else the chills of the additives."""
    told = (
        answer.get("temperature")
        if known.recommendation and known.recommendation["source"] == "model"
        else None
    )
    if not told:
        return Temperature(None, {row.additive: row.chill_c_per_kg for row in additives})
    slopes = told.get("slope_c_per_kg") or {}
    shift = sum(slopes.get(row.additive, 0.0) * (row.start_kg - row.recommended_kg) for row in additives)
    return Temperature(told["predicted_c"] + shift, slopes)
