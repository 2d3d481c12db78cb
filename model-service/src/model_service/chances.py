"""The optimiser's problem for one heat: windows, prices and amounts, each window with its confidence."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model_service.confidence import margin_sd, normal_quantile, stretch
from model_service.contracts import Additive, RecommendationRequest, Remark
from model_service.linear_program import Problem
from model_service.outcome import Outcome
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
    """Return the problem over the known elements with a limit; columns in the order of `offers`."""
    every = request.heat.windows
    limited = [
        e
        for e, element in enumerate(outcome.elements)
        if element in every and (every[element].min is not None or every[element].max is not None)
    ]
    elements = [outcome.elements[e] for e in limited]
    windows = [every[element] for element in elements]
    low = np.array([-np.inf if window.min is None else window.min for window in windows])
    high = np.array([np.inf if window.max is None else window.max for window in windows])
    stretched = np.array(
        [stretch(outcome.models[e].interval_factor, station.interval_level) for e in limited]
    )
    constant = correction.constant_pct(outcome)[limited]
    variance = outcome.variance[limited] * stretched**2
    recovery_variance = outcome.recovery_variance[limited] * stretched**2

    # The margin is set where the heat is likely to land: at what lifts it into the middle of its window.
    target = np.where(np.isfinite(low), np.where(np.isfinite(high), (low + high) / 2, low), constant)
    recovery = np.array([max(outcome.states[e].recovery, 0.1) for e in limited])
    sd = np.sqrt(variance + recovery_variance * (np.maximum(target - constant, 0.0) / recovery) ** 2)
    widths = ((high - low) / sd).tolist()
    narrow = 2 * normal_quantile((1 + request.confidence) / 2)
    return Task(
        Problem(
            price=np.array([offer.price_per_t.amount / 1000 for offer in offers], dtype=float),
            lower_kg=np.zeros(len(offers)),
            upper_kg=np.array([_most_kg(offer, outcome.mass_t) for offer in offers], dtype=float),
            constant_pct=constant,
            slope=correction.slope(outcome)[:, limited],
            added_per_kg=outcome.added_per_kg[:, limited],
            variance=variance,
            recovery_variance=recovery_variance,
            low_pct=low,
            high_pct=high,
            z=np.array([margin_sd(width, request.confidence) for width in widths]),
        ),
        elements,
        [
            Remark(
                code="window_narrower_than_noise",
                where=f"$.heat.windows.{element}",
                text=f"{element}: too narrow a window for {request.confidence:.0%}; its middle is aimed at",
            )
            for element, width in zip(elements, widths, strict=True)
            if width <= narrow
        ],
    )


def _most_kg(offer: Additive, mass_t: float) -> float:
    amounts = (offer.stock_kg, offer.max_kg, _MOST_KG_PER_T * mass_t)
    return min(amount for amount in amounts if amount is not None)
