"""The question the optimiser answers: what a kilogram costs, and how far it moves the steel from each limit.

A limit is one side of a window. All is counted in the sd of what it limits where nothing is added, so that
kilograms x hold limit l with its confidence where

    clear_l + per_kg_l @ x >= margin_l(x) = z_l * sqrt(1 + (growth_l @ x)^2)

The sd grows with what is added. Limits are soft: what lacks is a shortage, at a price far above any way to
keep the limit, four times that beyond the margin, so that an answer always exists. Where a miss has a price,
a sd beyond a limit costs no more than that; and margin beyond z_l earns what it saves in expected misses, in
straight pieces, each worth less than the one before: so risk is spread over the windows as it is cheapest.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

OUTSIDE = 4.0  # price of a shortage beyond the limit itself, in prices of one within the margin
_DEARER = 50.0  # price of a shortage of one sd, in prices of the cheapest way to add one sd


class Problem(NamedTuple):
    """J additives, L limits: `price` per kg, `lower_kg`, `upper_kg` (j,); `clear`, `z` (l,); `per_kg`,
    `growth` (l, j); `likely` (l,) is a guess of growth_l @ x at the answer.

    `spare_sd` (l, r) are the lengths of the pieces of further margin and `spare_price` what a sd of it earns,
    falling along r; no pieces where a miss has no price. `shortage_price` is that of one sd of any limit.
    """

    price: Array
    lower_kg: Array
    upper_kg: Array
    clear: Array
    per_kg: Array
    growth: Array
    z: Array
    likely: Array
    spare_sd: Array
    spare_price: Array
    shortage_price: float


class Way(NamedTuple):
    """The cheapest way to a limit: what one sd costs, and how much growth one sd brings with it."""

    price: float
    growth: float


def cheapest_ways(price: Array, per_kg: Array, growth: Array) -> list[Way | None]:
    """Return the cheapest way to each of the limits (l, j); None where no additive leads there."""
    if not price.size:
        return [None] * len(per_kg)
    per_sd = np.divide(price, per_kg, out=np.full(per_kg.shape, np.inf), where=per_kg > 0)
    limits, cheapest = np.arange(len(per_kg)), per_sd.argmin(axis=1)
    return [
        None if cost == math.inf else Way(cost, grows / effect)
        for cost, grows, effect in zip(
            per_sd[limits, cheapest].tolist(),
            growth[limits, cheapest].tolist(),
            per_kg[limits, cheapest].tolist(),
            strict=True,
        )
    ]


def shortage_price_of(
    price: Array, ways: Iterable[Way | None], price_of_a_miss: float | None = None
) -> float:
    """Return a price of one sd that is above all ways to add one; but a sd beyond a limit is not worth more
    than the heat that misses it, or the dearest alloys would be bought to dilute a residual."""
    dearer = _DEARER * max([float(price.max(initial=1e-6)), *[way.price for way in ways if way]])
    return dearer if price_of_a_miss is None else min(dearer, price_of_a_miss / OUTSIDE)


def likely_growth(clear: float, z: float, way: Way | None) -> float:
    """Return the growth where the cheapest way alone leads to the limit with its margin: the positive root of
    clear + g / way.growth = z * sqrt(1 + g^2)."""
    if way is None or clear >= z or way.growth <= 0:
        return 0.0
    gain = 1.0 / way.growth
    room = max(gain**2 - z**2, gain**2 / 4)  # less than that, and no amount is enough
    return (-clear * gain + z * math.sqrt(clear**2 + room)) / room


def margin_sd(z: Array, growth: Array) -> Array:
    """Return how far a prediction must stay off its limit where `growth` (growth_l @ x, last axis l) is
    added."""
    margin: Array = growth * growth
    margin += 1.0
    np.sqrt(margin, out=margin)
    margin *= z
    return margin


def shortage_cost(problem: Problem, short_sd: Array) -> Array:
    """Return the cost of shortages (sd, last axis limits), summed over the limits.

    What is negative is margin to spare, and costs less than 0 where a miss has a price.
    """
    short = np.maximum(short_sd, 0.0)
    outside = np.maximum(short_sd - problem.z, 0.0)
    cost: Array = problem.shortage_price * (short + (OUTSIDE - 1.0) * outside).sum(axis=-1)
    if not problem.spare_sd.size:
        return cost
    spare = np.maximum(-short_sd, 0.0)
    for length, earned in zip(problem.spare_sd.T, problem.spare_price.T, strict=True):
        piece = np.minimum(spare, length)
        cost = cost - piece @ earned
        spare = spare - piece
    return cost
