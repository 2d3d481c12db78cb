"""From X to Y: the cheapest additions that hold every window with its confidence, or an abstention with its reasons."""

from collections.abc import Sequence

import numpy as np

from model_service.abstention import Verdict, judge
from model_service.confidence import margin_sd, normal_quantile, stretch
from model_service.contracts import (
    Additive,
    HandbookAnswer,
    Money,
    PricedAddition,
    Recommendation,
    RecommendationRequest,
    Remark,
)
from model_service.errors import RuleRefused
from model_service.explanation import recoveries_used
from model_service.handbook import handbook_additions
from model_service.limits import binding_limits, unreached_limits
from model_service.linear_program import Problem
from model_service.model import Bundle
from model_service.optimiser import plan
from model_service.outcome import Outcome, known_elements, outcome_of
from model_service.parameters import StationModel
from model_service.prediction import estimates, extrapolated, left_out, temperature
from model_service.slow_state import Correction, slow_state

_MOST_KG_PER_T = 100.0  # beyond it the steel is another steel, and nothing here holds


def recommend(bundle: Bundle, request: RecommendationRequest) -> Recommendation:
    """Return the recommendation for a heat; the order in which additives are offered does not matter."""
    heat = request.heat
    verdict = judge(bundle.parameters, heat, request.additives, None)
    if verdict.station is None or verdict.reasons:
        return _abstained(bundle, request, verdict)
    station = verdict.station
    offers = sorted(request.additives, key=lambda offer: (offer.additive, offer.lot or ""))
    elements = known_elements(station, heat)
    outcome = outcome_of(station, bundle.trees, heat, offers, elements)
    correction = slow_state(bundle, station, request.recent_heats, elements, heat.treatment.station)

    windowed = [e for e, element in enumerate(elements) if _is_limited(request, element)]
    names = [elements[e] for e in windowed]
    problem, tight = _problem(station, outcome, correction, request, offers, windowed)
    planned = plan(
        problem,
        np.array([offer.min_kg for offer in offers], dtype=float),
        np.array([offer.increment_kg for offer in offers], dtype=float),
    )
    kilograms = planned.kilograms.tolist()
    estimated = estimates(station, heat, outcome, correction, offers, kilograms)
    unreached = unreached_limits(problem, planned.continuous, names, offers)
    currency = offers[0].price_per_t.currency if offers else None
    additions = _additions(request, offers, kilograms)
    return Recommendation(
        status="recommended",
        treatment=heat.treatment,
        heat_revision=heat.revision,
        additions=additions,
        elements=estimated,
        temperature=temperature(station, heat, outcome, offers, kilograms),
        cost=_money(sum(addition.cost.amount for addition in additions), currency),
        continuous_cost=_money(planned.continuous.cost, currency),
        handbook=_handbook(request),
        recoveries=recoveries_used(
            station,
            outcome,
            correction,
            planned.kilograms @ outcome.added_per_kg,
            request.handbook_entry.nominal_recovery if request.handbook_entry else {},
        ),
        limits=binding_limits(problem, planned.continuous, names, offers, None if unreached else currency),
        unreached=unreached,
        confidence=request.confidence,
        warnings=[*verdict.warnings, *left_out(correction), *extrapolated(outcome, kilograms), *tight],
        abstention_reasons=[],
        model=bundle.identity,
    )


def _problem(
    station: StationModel,
    outcome: Outcome,
    correction: Correction,
    request: RecommendationRequest,
    offers: Sequence[Additive],
    windowed: Sequence[int],
) -> tuple[Problem, list[Remark]]:
    """Return the optimiser's problem over the elements with a window, and warnings of windows narrower than the noise."""
    windows = [request.heat.windows[outcome.elements[e]] for e in windowed]
    low = np.array([-np.inf if window.min is None else window.min for window in windows])
    high = np.array([np.inf if window.max is None else window.max for window in windows])
    stretched = np.array(
        [stretch(outcome.models[e].interval_factor, station.interval_level) for e in windowed]
    )
    variance = outcome.variance[list(windowed)] * stretched**2
    recovery_variance = outcome.recovery_variance[list(windowed)] * stretched**2
    constant = (outcome.constant_pct + correction.pct)[list(windowed)]
    most = _MOST_KG_PER_T * outcome.mass_t
    upper = [
        min(
            most,
            np.inf if offer.stock_kg is None else offer.stock_kg,
            np.inf if offer.max_kg is None else offer.max_kg,
        )
        for offer in offers
    ]
    # The margin is set where the heat is likely to land: at what lifts it into the middle of its window.
    target = np.where(np.isfinite(low), np.where(np.isfinite(high), (low + high) / 2, low), constant)
    recovery = np.array([max(outcome.states[e].recovery, 0.1) for e in windowed])
    sd = np.sqrt(variance + recovery_variance * (np.maximum(target - constant, 0.0) / recovery) ** 2)
    confidence = request.confidence
    z = np.array([margin_sd(width, confidence) for width in ((high - low) / sd).tolist()])
    problem = Problem(
        price=np.array([offer.price_per_t.amount / 1000 for offer in offers], dtype=float),
        lower_kg=np.zeros(len(offers)),
        upper_kg=np.array(upper, dtype=float),
        constant_pct=constant,
        slope=outcome.slope[:, list(windowed)],
        added_per_kg=outcome.added_per_kg[:, list(windowed)],
        variance=variance,
        recovery_variance=recovery_variance,
        low_pct=low,
        high_pct=high,
        z=z,
    )
    tight = [
        Remark(
            code="window_narrower_than_noise",
            where=f"$.heat.windows.{outcome.elements[e]}",
            text=f"{outcome.elements[e]}: the window is too narrow for {confidence:.0%}; the middle is aimed at",
        )
        for i, e in enumerate(windowed)
        if (high[i] - low[i]) / sd[i] <= 2 * normal_quantile((1 + confidence) / 2)
    ]
    return problem, tight


def _is_limited(request: RecommendationRequest, element: str) -> bool:
    window = request.heat.windows.get(element)
    return window is not None and (window.min is not None or window.max is not None)


def _additions(
    request: RecommendationRequest, offers: Sequence[Additive], kilograms: Sequence[float]
) -> list[PricedAddition]:
    """Return what is above 0, in the order of the request's offers."""
    by_offer = {(offer.additive, offer.lot): kg for offer, kg in zip(offers, kilograms, strict=True)}
    return [
        PricedAddition(
            additive=offer.additive,
            lot=offer.lot,
            added_kg=kg,
            cost=Money(
                amount=_cents(kg * offer.price_per_t.amount / 1000), currency=offer.price_per_t.currency
            ),
        )
        for offer in request.additives
        if (kg := by_offer[offer.additive, offer.lot]) > 0
    ]


def _handbook(request: RecommendationRequest) -> HandbookAnswer | None:
    if request.handbook_entry is None:
        return None
    try:
        result = handbook_additions(request.heat, request.additives, request.handbook_entry)
    except RuleRefused:
        return None
    if result.cost is None:
        return None
    return HandbookAnswer(additions=result.additions, cost=result.cost, predicted_pct=result.predicted_pct)


def _abstained(bundle: Bundle, request: RecommendationRequest, verdict: Verdict) -> Recommendation:
    return Recommendation(
        status="abstained",
        treatment=request.heat.treatment,
        heat_revision=request.heat.revision,
        additions=[],
        elements={},
        cost=None,
        handbook=_handbook(request),
        recoveries={},
        limits=[],
        unreached=[],
        confidence=request.confidence,
        warnings=verdict.warnings,
        abstention_reasons=verdict.reasons,
        model=bundle.identity,
    )


def _money(amount: float, currency: str | None) -> Money | None:
    return None if currency is None else Money(amount=_cents(amount), currency=currency)


def _cents(amount: float) -> float:
    """Drop the dust of binary fractions, far below any coin."""
    return round(amount, 6)
