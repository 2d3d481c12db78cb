"""From the continuous optimum to kilograms that can be tipped: smallest amounts, bags, scale steps."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_service.linear_program import (
    Optimum,
    Problem,
    Vector,
    required_margin_pct,
    shortage_cost,
    shortage_price,
    solve,
    unit_pct,
)

_GRAIN = 1e-9  # of an increment: 5.0 / 0.1 counts as 50
_MOVES = 200


class Plan(NamedTuple):
    """`continuous` is the optimum before smallest amounts and rounding; `kilograms` can be tipped."""

    continuous: Optimum
    kilograms: Vector


def plan(problem: Problem, min_kg: Vector, increment_kg: Vector) -> Plan:
    """Return the cheapest additions; each is 0, or whole increments between its smallest amount and limit."""
    least_kg = np.ceil(min_kg / increment_kg - _GRAIN) * increment_kg
    usable = least_kg <= problem.upper_kg + _GRAIN * increment_kg
    problem = problem._replace(upper_kg=np.where(usable, problem.upper_kg, 0.0))
    continuous = solve(problem)
    kept = _respect_smallest(problem, continuous, least_kg)
    return Plan(continuous, _round(problem, kept.kilograms, least_kg, increment_kg))


def _respect_smallest(problem: Problem, optimum: Optimum, least_kg: Vector) -> Optimum:
    """Where an amount is above 0 and below the smallest, take the cheaper of none and the smallest."""
    for _ in range(len(least_kg)):
        small = np.flatnonzero((optimum.kilograms > 1e-9) & (optimum.kilograms < least_kg - 1e-9))
        if not small.size:
            break
        j = int(small[0])
        none, some = problem.upper_kg.copy(), problem.lower_kg.copy()
        none[j], some[j] = 0.0, least_kg[j]
        choices = [problem._replace(upper_kg=none), problem._replace(lower_kg=some)]
        optima = [solve(choice) for choice in choices]
        best = int(optima[1].objective < optima[0].objective)
        problem, optimum = choices[best], optima[best]
    return optimum


def _round(problem: Problem, kilograms: Vector, least_kg: Vector, increment_kg: Vector) -> Vector:
    """Round to the nearest steps, then repair: the best step or exchange of two, until none is better.

    Deterministic: candidates stand in a fixed order and the first of the best is taken.
    """
    steps = np.floor(problem.upper_kg / increment_kg + _GRAIN)
    most_kg = np.where(np.isfinite(steps), steps * increment_kg, np.inf)
    now = np.minimum(np.round(kilograms / increment_kg) * increment_kg, most_kg)
    now = np.where((now > 0) & (now < least_kg), least_kg, now)
    if not len(now):
        return now
    price = shortage_price(problem)
    merit = _merit(problem, now[None, :], price)[0]
    for _ in range(_MOVES):
        candidates = _neighbours(now, least_kg, most_kg, increment_kg)
        merits = _merit(problem, candidates, price)
        best = int(np.argmin(merits))
        if merits[best] >= merit - 1e-9 * max(1.0, abs(merit)):
            break
        now, merit = candidates[best], merits[best]
    return now


def _neighbours(now: Vector, least_kg: Vector, most_kg: Vector, increment_kg: Vector) -> NDArray[np.float64]:
    up = np.where(now > 0, now + increment_kg, np.maximum(increment_kg, least_kg))
    down = np.where(now - increment_kg >= least_kg - 1e-9, now - increment_kg, 0.0)
    ups = np.flatnonzero(up <= most_kg + 1e-9)
    downs = np.flatnonzero(now > 0)
    count = len(ups) + len(downs) + len(ups) * len(downs)
    candidates = np.repeat(now[None, :], max(count, 1), axis=0)
    candidates[np.arange(len(downs)), downs] = down[downs]
    candidates[len(downs) + np.arange(len(ups)), ups] = up[ups]
    pairs = len(downs) + len(ups) + np.arange(len(ups) * len(downs))
    candidates[pairs, np.repeat(ups, len(downs))] = up[np.repeat(ups, len(downs))]
    candidates[pairs, np.tile(downs, len(ups))] = down[np.tile(downs, len(ups))]
    return candidates


def _merit(problem: Problem, candidates: NDArray[np.float64], price: float) -> NDArray[np.float64]:
    """Return cost of additions and shortages of each row of kilograms."""
    predicted = problem.constant_pct + candidates @ problem.slope
    margin = required_margin_pct(problem, candidates @ problem.added_per_kg)
    unit = unit_pct(problem)
    shortage = shortage_cost(problem, (problem.low_pct + margin - predicted) / unit)
    shortage = shortage + shortage_cost(problem, (predicted + margin - problem.high_pct) / unit)
    merits: NDArray[np.float64] = candidates @ problem.price + price * shortage.sum(axis=1)
    return merits
