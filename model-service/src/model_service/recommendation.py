"""From X to Y: the cheapest additions that hold every window, or an abstention with its reasons."""

import math
from collections.abc import Sequence

import numpy as np

from model_service.abstention import Verdict, judge
from model_service.allowed import allowed_offers
from model_service.chances import task_of
from model_service.changes import changes_since
from model_service.contracts import (
    Additive,
    HandbookAnswer,
    Money,
    PricedAddition,
    Recommendation,
    RecommendationRequest,
    Remark,
)
from model_service.errors import OptimiserFailed, RuleRefused
from model_service.explanation import recoveries_used
from model_service.handbook import handbook_additions
from model_service.limits import binding_limits, unreached_limits
from model_service.model import Bundle
from model_service.optimiser import plan
from model_service.outcome import known_elements, outcome_of
from model_service.prediction import estimates, extrapolated, left_out, temperature
from model_service.slow_state import slow_state


def recommend(bundle: Bundle, request: RecommendationRequest) -> Recommendation:
    """Return the recommendation for a heat; the order in which additives are offered does not matter."""
    heat = request.heat
    verdict = judge(bundle.parameters, heat, request.additives, None)
    if verdict.station is None or verdict.reasons:
        return _abstained(bundle, request, verdict)
    station = verdict.station
    offers, not_allowed = allowed_offers(station, heat, request.additives)
    offers.sort(key=lambda offer: (offer.additive, offer.lot or ""))
    elements = known_elements(station, heat)
    outcome = outcome_of(station, bundle.trees, heat, offers, elements)
    correction = slow_state(bundle, station, request.recent_heats, elements, heat.treatment.station, offers)
    outcome = correction.scattering(outcome)
    problem, sides, narrow = task_of(station, outcome, correction, request, offers)
    try:
        planned = plan(
            problem,
            np.array([offer.min_kg for offer in offers], dtype=float),
            np.array([offer.increment_kg for offer in offers], dtype=float),
        )
        unreached = unreached_limits(problem, planned.continuous, sides, offers)
    except OptimiserFailed as error:
        reason = Remark(code="optimiser_failed", where="$", text=error.detail)
        return _abstained(bundle, request, verdict._replace(reasons=[reason]))
    kilograms = planned.kilograms.tolist()
    estimated = estimates(station, heat, outcome, correction, offers, kilograms)
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
            offers,
            planned.kilograms,
            request.handbook_entry.nominal_recovery if request.handbook_entry else {},
        ),
        limits=binding_limits(problem, planned.continuous, sides, offers, None if unreached else currency),
        unreached=unreached,
        confidence=request.confidence,
        warnings=[
            *verdict.warnings,
            *left_out(correction),
            *extrapolated(outcome, kilograms),
            *narrow,
            *not_allowed,
        ],
        abstention_reasons=[],
        changes=changes_since(heat, request.additives, request.recent_heats),
        model=bundle.identity,
    )


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
        if (kg := by_offer.get((offer.additive, offer.lot), 0.0)) > 0
    ]


def _handbook(request: RecommendationRequest) -> HandbookAnswer | None:
    if request.handbook_entry is None:
        return None
    try:
        result = handbook_additions(request.heat, request.additives, request.handbook_entry)
    except RuleRefused:
        return None
    if result.cost is None or not math.isfinite(result.cost.amount):
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
