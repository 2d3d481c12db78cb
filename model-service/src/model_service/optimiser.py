"""From the continuous optimum to kilograms that can be tipped: smallest amounts, bags, scale steps."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_service.linear_program import (
    Matrix,
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

    Deterministic: moves stand in a fixed order and the first of the best is taken.
    """
    steps = np.floor(problem.upper_kg / increment_kg + _GRAIN)
    most_kg = np.where(np.isfinite(steps), steps * increment_kg, np.inf)
    now = np.minimum(np.round(kilograms / increment_kg) * increment_kg, most_kg)
    now = np.where((now > 0) & (now < least_kg), least_kg, now)
    first_kg = np.maximum(increment_kg, least_kg)
    effects = np.column_stack((problem.price, problem.slope, problem.added_per_kg))
    price = shortage_price(problem)
    for _ in range(_MOVES):
        up = np.where(now > 0, now + increment_kg, first_kg)
        down = np.where(now - increment_kg >= least_kg - 1e-9, now - increment_kg, 0.0)
        ups, downs = np.flatnonzero(up <= most_kg + 1e-9), np.flatnonzero(now > 0)
        merits = _merits(
            problem,
            price,
            now @ effects,
            (up - now)[ups, None] * effects[ups],
            (down - now)[downs, None] * effects[downs],
        )
        merits[1:, 1:][ups[:, None] == downs] = np.inf  # the same one up and down is no exchange
        i, j = divmod(int(np.argmin(merits)), len(downs) + 1)
        if merits[i, j] >= merits[0, 0] - 1e-9 * max(1.0, abs(merits[0, 0])):
            break
        if i:
            now[ups[i - 1]] = up[ups[i - 1]]
        if j:
            now[downs[j - 1]] = down[downs[j - 1]]
    return now


def _merits(problem: Problem, price: float, now: Vector, ups: Matrix, downs: Matrix) -> NDArray[np.float64]:
    """Return cost of additions and shortages for every pair of a move up and a move down.

    `now` and the rows of `ups` and `downs` are effects: cost, predicted wt %, added wt %. Row 0 of what is
    returned takes none up, column 0 none down.
    """
    none = np.zeros((1, len(now)))
    total = np.concatenate((none, ups))[:, None, :] + (now + np.concatenate((none, downs)))
    elements = len(problem.constant_pct)
    predicted = problem.constant_pct + total[:, :, 1 : elements + 1]
    margin = required_margin_pct(problem, total[:, :, elements + 1 :])
    short_pct = np.array((problem.low_pct + margin - predicted, predicted + margin - problem.high_pct))
    shortage = shortage_cost(problem, short_pct / unit_pct(problem), price)
    merits: NDArray[np.float64] = total[:, :, 0] + price * (shortage[0] + shortage[1]).sum(axis=2)
    return merits
