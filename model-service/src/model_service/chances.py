"""The optimiser's problem for one heat: windows, prices and amounts, each window with its confidence."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_service.confidence import margin_sd, normal_quantile, spare_margin
from model_service.contracts import Additive, RecommendationRequest, Remark
from model_service.limited import Limited, limited
from model_service.linear_program import Problem
from model_service.outcome import Outcome, Vector
from model_service.parameters import StationModel
from model_service.slow_state import Correction

_MOST_KG_PER_T = 100.0  # beyond it the steel is another steel, and nothing here holds


class Task(NamedTuple):
    """The problem, its elements in order, and warnings of windows narrower than the noise."""

    problem: Problem
    elements: list[str]
    warnings: list[Remark]


def task_of(
    station: StationModel,
    outcome: Outcome,
    correction: Correction,
    request: RecommendationRequest,
    offers: Sequence[Additive],
) -> Task:
    """Return the problem over everything that has a limit; columns in the order of `offers`."""
    limits = limited(station, outcome, correction, request.heat, offers)
    low, high = np.array([limit.low for limit in limits]), np.array([limit.high for limit in limits])
    widths = [(limit.high - limit.low) / limit.sd for limit in limits]
    z = [margin_sd(width, request.confidence) for width in widths]
    spare_sd, spare_price = _spare(z, limits, _price_of_a_miss(request, offers))
    # The longer tail takes more of a window than the shorter: less margin on its other side, more on its own.
    longer = [limit.skew * margin * limit.sd for limit, margin in zip(limits, z, strict=True)]
    narrow = 2 * normal_quantile((1 + request.confidence) / 2)
    return Task(
        Problem(
            price=np.array([offer.price_per_t.amount / 1000 for offer in offers], dtype=float),
            lower_kg=np.zeros(len(offers)),
            upper_kg=np.array([_most_kg(offer, outcome.mass_t) for offer in offers], dtype=float),
            constant_pct=np.array([limit.constant for limit in limits]) + np.array(longer),
            slope=_columns([limit.slope for limit in limits], len(offers)),
            added_per_kg=_columns([limit.added_per_kg for limit in limits], len(offers)),
            variance=np.array([limit.variance for limit in limits]),
            recovery_variance=np.array([limit.recovery_variance for limit in limits]),
            low_pct=low,
            high_pct=high,
            z=np.array(z),
            spare_sd=spare_sd,
            spare_price=spare_price,
        ),
        [limit.name for limit in limits],
        [
            Remark(
                code="window_narrower_than_noise",
                where=f"$.heat.windows.{limit.name}",
                text=f"{limit.name}: too narrow for {request.confidence:.1%}; its middle is aimed at",
            )
            for limit, width in zip(limits, widths, strict=True)
            if width <= narrow
        ],
    )


def _columns(columns: Sequence[Vector], offers: int) -> NDArray[np.float64]:
    """Vectors over the offers as columns (offer, limit)."""
    return np.array(columns, dtype=float).reshape(len(columns), offers).T


def _price_of_a_miss(request: RecommendationRequest, offers: Sequence[Additive]) -> float | None:
    """The price, where it is in the currency of the additives."""
    price = request.heat.price_of_a_miss
    if price is None or not offers or price.currency != offers[0].price_per_t.currency:
        return None
    return max(price.amount, 0.0) or None


def _spare(
    z: Sequence[float], limits: Sequence[Limited], price: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pieces of further margin and what they earn, in the problem's unit: a sd where nothing is added."""
    if price is None:
        return np.zeros((len(limits), 0)), np.zeros((len(limits), 0))
    pieces = [spare_margin(margin) for margin in z]
    wider = np.array([[limit.sd / math.sqrt(limit.variance)] for limit in limits]).reshape(len(limits), 1)
    lengths = np.array([length for length, _ in pieces]).reshape(len(limits), -1)
    saved = np.array([share for _, share in pieces]).reshape(len(limits), -1)
    return lengths * wider, price * saved / wider


def _most_kg(offer: Additive, mass_t: float) -> float:
    amounts = (offer.stock_kg, offer.max_kg, _MOST_KG_PER_T * mass_t)
    return min(amount for amount in amounts if amount is not None)
