"""What the page of one heat shows: values of the treatment, put in order for a reader. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.errors import validate
from backend.heats.schemas import TreatmentRead
from backend.recommendations.handbook import by_handbook
from backend.shapes import Additive, HandbookEntry, Heat

# The order in which a steelmaker reads an analysis; what is not named follows by the alphabet.
USUAL_ORDER = ("C", "Si", "Mn", "P", "S", "Cr", "Ni", "Mo", "Cu", "V", "Nb", "Ti", "Al")
BAR_WIDTH = 320.0
# A window that leaves room at both sides of the bar for what lies outside of it.
MARGIN = 0.35


@dataclass(frozen=True)
class Estimate:
    """One element as predicted, wt %; interval bounds are None where the rule of the handbook predicts."""

    predicted_pct: float
    low_pct: float | None
    high_pct: float | None
    slope_pct_per_kg: Mapping[str, float]


@dataclass(frozen=True)
class Bar:
    """The scale of an element's bar: wt % at its left and right end."""

    left_pct: float
    right_pct: float

    def x(self, pct: float) -> float:
        """Position on the bar, held to its ends."""
        share = (pct - self.left_pct) / (self.right_pct - self.left_pct)
        return round(min(max(share, 0.0), 1.0) * BAR_WIDTH, 1)


@dataclass(frozen=True)
class ElementRow:
    element: str
    window: Mapping[str, float]
    window_text: str
    now_text: str
    result: float | None
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
    recommended_kg: float
    decided_kg: float | None
    weighed_kg: float | None

    @property
    def start_kg(self) -> float:
        return self.recommended_kg if self.decided_kg is None else self.decided_kg


@dataclass(frozen=True)
class HeatView:
    elements: Sequence[ElementRow]
    also_measured: str
    additives: Sequence[AdditiveRow]
    currency: str
    recommended_cost: float | None
    handbook_cost: float | None
    remarks: Sequence[str]
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
    result = _final_chemistry(known.samples)
    # What has no window is no question to the steelmaker; it is named in one line.
    shown = sorted(windows or estimates, key=_usual)
    others = sorted(chemistry.keys() - set(shown), key=_usual)
    handbook = answer.get("handbook") if recommendation.get("source") == "model" else None
    cost = recommendation.get("cost")
    return HeatView(
        elements=[
            _element_row(element, windows.get(element) or {}, chemistry, estimates.get(element), result)
            for element in shown
        ],
        also_measured=", ".join(
            f"{element} {percent_text(value)}"
            for element in others
            if (value := result.get(element, chemistry.get(element))) is not None
        ),
        additives=additives,
        currency=known.additives[0]["price_per_t"]["currency"] if known.additives else "",
        recommended_cost=None if cost is None else cost["amount"],
        handbook_cost=None if not handbook else handbook["cost"]["amount"],
        remarks=_remarks(answer) if recommendation.get("source") == "model" else (),
        estimates_hold_for=hold_for,
    )


def percent_text(analysis: Any) -> str:
    """wt % as a steelmaker writes it: three digits after the point, four below a hundredth."""
    if analysis is None:
        return "–"
    if isinstance(analysis, dict):
        return f"< {analysis['below']:g}"
    return f"{analysis:.4f}" if 0 < abs(analysis) < 0.01 else f"{analysis:.3f}"


def verdict_of(pct: float, window: Mapping[str, float | None]) -> str:
    """inside, low or high; empty without a window."""
    low, high = window.get("min"), window.get("max")
    if low is None and high is None:
        return ""
    if low is not None and pct < low:
        return "low"
    return "high" if high is not None and pct > high else "inside"


def _usual(element: str) -> tuple[int, str]:
    return (USUAL_ORDER.index(element) if element in USUAL_ORDER else len(USUAL_ORDER), element)


def _estimates(
    known: TreatmentRead, recommendation: dict[str, Any], answer: dict[str, Any]
) -> tuple[dict[str, Estimate], str]:
    if known.prediction is not None and known.prediction["elements"]:
        return _model_estimates(known.prediction["elements"]), "weighed"
    if recommendation.get("source") == "model":
        return _model_estimates(answer["elements"]), "recommended"
    if recommendation and known.handbook_entry is not None:
        return _handbook_estimates(known), "handbook"
    return {}, ""


def _moved(estimate: Estimate, additives: Sequence[AdditiveRow]) -> Estimate:
    """The estimate for the kilograms that were decided: affine in the difference to those recommended."""
    shift = sum(
        estimate.slope_pct_per_kg.get(row.additive, 0.0) * (row.start_kg - row.recommended_kg)
        for row in additives
    )
    return Estimate(
        estimate.predicted_pct + shift,
        None if estimate.low_pct is None else estimate.low_pct + shift,
        None if estimate.high_pct is None else estimate.high_pct + shift,
        estimate.slope_pct_per_kg,
    )


def _model_estimates(elements: Mapping[str, Any]) -> dict[str, Estimate]:
    return {
        element: Estimate(
            estimate["predicted_pct"],
            estimate["interval_pct"]["low"],
            estimate["interval_pct"]["high"],
            estimate["slope_pct_per_kg"],
        )
        for element, estimate in elements.items()
    }


def _handbook_estimates(known: TreatmentRead) -> dict[str, Estimate]:
    """What the rule itself believes: nominal recoveries, no interval."""
    heat, entry = validate(Heat, known.heat), validate(HandbookEntry, known.handbook_entry)
    offers = [validate(Additive, additive) for additive in known.additives]
    mass_kg = heat.steel_mass_t * 1000.0
    return {
        element: Estimate(
            predicted,
            None,
            None,
            {
                offer.additive: offer.assay[element] * entry.nominal_recovery.get(element, 1.0) / mass_kg
                for offer in offers
                if element in offer.assay
            },
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
    measured = result.get(element)
    value = measured["below"] if isinstance(measured, dict) else measured
    judged = value if value is not None else None if estimate is None else estimate.predicted_pct
    return ElementRow(
        element=element,
        window=window,
        window_text=_window_text(window),
        now_text=percent_text(chemistry.get(element)),
        result=value,
        result_text=percent_text(measured) if measured is not None else "",
        estimate=estimate,
        bar=_bar(window),
        verdict="" if judged is None else verdict_of(judged, window),
    )


def _window_text(window: Mapping[str, float]) -> str:
    low, high = window.get("min"), window.get("max")
    if low is not None and high is not None:
        return f"{low:g} – {high:g}"
    if low is not None:
        return f"at least {low:g}"
    return f"at most {high:g}" if high is not None else ""


def _bar(window: Mapping[str, float]) -> Bar | None:
    low, high = window.get("min"), window.get("max")
    if low is None and high is None:
        return None
    if low is None or high is None:
        bound = high if high is not None else low or 0.0
        return Bar(0.0, bound * (1 + MARGIN) if bound else 1.0)
    span = (high - low) or high or 1.0
    return Bar(low - MARGIN * span, high + MARGIN * span)


def _additive_rows(known: TreatmentRead, recommendation: dict[str, Any]) -> list[AdditiveRow]:
    recommended = _kilograms(recommendation.get("additions") or [])
    decided = None if known.decision is None else _kilograms(known.decision["additions"])
    weighed = _kilograms(known.weighed) if known.weighed else None
    return [
        AdditiveRow(
            additive=name,
            lot=offer.get("lot") or "",
            unit_price=offer["price_per_t"]["amount"] / 1000.0,
            increment_kg=offer["increment_kg"],
            max_kg=offer.get("max_kg"),
            stock_kg=offer.get("stock_kg"),
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


def _final_chemistry(samples: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    finals = [sample for sample in samples if sample["is_final"]]
    chemistry: Mapping[str, Any] = (
        max(finals, key=lambda sample: str(sample["sampled_at"]))["chemistry"] if finals else {}
    )
    return chemistry


def _remarks(answer: Mapping[str, Any]) -> list[str]:
    """What the model says to a person: what cannot be reached, what binds, warnings."""
    unreached = [
        f"{_words(missed['limit'])} cannot be met: short by {missed['short_by']:.3g} {_unit(missed['unit'])}"
        + (f", stopped by {', '.join(map(_words, missed['stopped_by']))}" if missed.get("stopped_by") else "")
        for missed in answer.get("unreached", [])
    ]
    return unreached + [warning["text"] for warning in answer.get("warnings", [])]


def _words(limit: str) -> str:
    """SiMn.stock_kg as a person says it: SiMn stock."""
    return limit.removesuffix("_kg").replace(".", " ")


def _unit(unit: str) -> str:
    return {"pct": "%", "kg": "kg", "c": "°C"}[unit]
