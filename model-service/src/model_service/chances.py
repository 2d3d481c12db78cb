"""The optimiser's problem for one heat: windows, prices and amounts, each window with its confidence."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model_service.confidence import margin_sd, normal_quantile, spare_margin
from model_service.contracts import Additive, RecommendationRequest, Remark
from model_service.limited import Side, limited
from model_service.outcome import Matrix, Outcome
from model_service.parameters import StationModel
from model_service.problem import Problem, cheapest_ways, likely_growth, shortage_price_of
from model_service.slow_state import Correction

_MOST_KG_PER_T = 100.0  # beyond it the steel is another steel, and nothing here holds


class Task(NamedTuple):
    """The problem, its limits in order, and warnings of windows narrower than the noise."""

    problem: Problem
    sides: list[Side]
    warnings: list[Remark]


def task_of(
    station: StationModel,
    outcome: Outcome,
    correction: Correction,
    request: RecommendationRequest,
    offers: Sequence[Additive],
) -> Task:
    """Return the problem over everything that has a limit; additives in the order of `offers`."""
    found = limited(station, outcome, correction, request.heat, offers)
    widths = [(high - low) / sd for low, high, sd in zip(found.low, found.high, found.likely_sd, strict=True)]
    z_of = [margin_sd(width, request.confidence) for width in widths]
    # The longer tail takes more of a window than the shorter: less margin on its other side, more on its own.
    longer = [skew * z * sd for skew, z, sd in zip(found.skew, z_of, found.likely_sd, strict=True)]
    middle = [now + tail for now, tail in zip(found.constant, longer, strict=True)]
    which: list[int] = []
    sign, clear, sides = list[float](), list[float](), list[Side]()
    for i, (name, low, high, now, sd) in enumerate(
        zip(found.names, found.low, found.high, middle, found.sd, strict=True)
    ):
        if low > -math.inf:
            which.append(i)
            sign.append(1.0)
            clear.append((now - low) / sd)
            sides.append(Side(name, "min", low, sd))
        if high < math.inf:
            which.append(i)
            sign.append(-1.0)
            clear.append((high - now) / sd)
            sides.append(Side(name, "max", high, sd))
    per_kg = found.slope[which] * (np.array(sign) / [side.sd for side in sides])[:, None]
    growth, z = found.growth[which], [z_of[i] for i in which]
    price = np.array([offer.price_per_t.amount / 1000 for offer in offers], dtype=float)
    lower = [limit for limit, side in enumerate(sides) if side.side == "min"]
    ways = dict(zip(lower, cheapest_ways(price, per_kg[lower], growth[lower]), strict=True))
    likely = {which[i]: likely_growth(clear[i], z[i], way) for i, way in ways.items()}
    price_of_a_miss = _price_of_a_miss(request, offers)
    spare_sd, spare_price = _spare(z, [found.likely_sd[i] / found.sd[i] for i in which], price_of_a_miss)
    narrow = 2 * normal_quantile((1 + request.confidence) / 2)
    return Task(
        Problem(
            price=price,
            lower_kg=np.zeros(len(offers)),
            upper_kg=np.array([_most_kg(offer, outcome.mass_t) for offer in offers], dtype=float),
            clear=np.array(clear),
            per_kg=per_kg,
            growth=growth,
            z=np.array(z),
            likely=np.array([likely.get(i, 0.0) for i in which]),
            spare_sd=spare_sd,
            spare_price=spare_price,
            shortage_price=shortage_price_of(price, ways.values(), price_of_a_miss),
        ),
        sides,
        [
            Remark(
                code="window_narrower_than_noise",
                where=f"$.heat.windows.{name}",
                text=f"{name}: too narrow for {request.confidence:.1%}; its middle is aimed at",
            )
            for name, width in zip(found.names, widths, strict=True)
            if width <= narrow
        ],
    )


def _price_of_a_miss(request: RecommendationRequest, offers: Sequence[Additive]) -> float | None:
    """The price, where it is in the currency of the additives."""
    price = request.heat.price_of_a_miss
    if price is None or not offers or price.currency != offers[0].price_per_t.currency:
        return None
    return max(price.amount, 0.0) or None


def _spare(z: Sequence[float], wider: Sequence[float], price: float | None) -> tuple[Matrix, Matrix]:
    """Pieces of further margin of each limit and what they earn, where the sd is likely so much `wider` than
    where nothing is added."""
    if price is None:
        return np.zeros((len(z), 0)), np.zeros((len(z), 0))
    pieces = [spare_margin(margin) for margin in z]
    lengths, saved = np.array(pieces).transpose(1, 0, 2)
    by = np.array(wider)[:, None]
    return lengths * by, price * saved / by


def _most_kg(offer: Additive, mass_t: float) -> float:
    most = _MOST_KG_PER_T * mass_t
    if offer.stock_kg is not None and offer.stock_kg < most:
        most = offer.stock_kg
    return most if offer.max_kg is None or offer.max_kg > most else offer.max_kg
