"""From the continuous optimum to kilograms that can be tipped: smallest amounts, bags, scale steps."""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_service.linear_program import Optimum, solve
from model_service.problem import Array, Problem, margin_sd, shortage_cost

_GRAIN = 1e-9  # of an increment: 5.0 / 0.1 counts as 50
_TOGETHER = 8  # so many amounts are rounded together
_MOVES = 200


class Plan(NamedTuple):
    """`continuous` is the optimum before smallest amounts and rounding; `kilograms` can be tipped."""

    continuous: Optimum
    kilograms: Array


def plan(problem: Problem, min_kg: Array, increment_kg: Array) -> Plan:
    """Return the cheapest additions; each is 0, or whole increments between its smallest amount and limit."""
    least_kg = np.ceil(min_kg / increment_kg - _GRAIN) * increment_kg
    usable = least_kg <= problem.upper_kg + _GRAIN * increment_kg
    if not usable.all():
        problem = problem._replace(upper_kg=np.where(usable, problem.upper_kg, 0.0))
    continuous = solve(problem)
    kept = _respect_smallest(problem, continuous, least_kg)
    return Plan(continuous, _round(problem, kept.kilograms, least_kg, increment_kg))


def _respect_smallest(problem: Problem, optimum: Optimum, least_kg: Array) -> Optimum:
    """Where an amount is above 0 and below the smallest, take the cheaper of none and the smallest."""
    for _ in range(len(least_kg)):
        small = (optimum.kilograms > 1e-9) & (optimum.kilograms < least_kg - 1e-9)
        if not small.any():
            break
        j = int(small.argmax())
        none, some = problem.upper_kg.copy(), problem.lower_kg.copy()
        none[j], some[j] = 0.0, least_kg[j]
        choices = [problem._replace(upper_kg=none), problem._replace(lower_kg=some)]
        optima = [solve(choice) for choice in choices]
        best = int(optima[1].objective < optima[0].objective)
        problem, optimum = choices[best], optima[best]
    return optimum


def _round(problem: Problem, kilograms: Array, least_kg: Array, increment_kg: Array) -> Array:
    """Round each amount down or up, as is best for all together; then repair: the best step or exchange of
    two, until none is better.

    Deterministic: corners and moves stand in a fixed order, and the first of the best is taken.
    """
    steps = np.floor(problem.upper_kg / increment_kg + _GRAIN)
    most_kg = np.where(np.isfinite(steps), steps * increment_kg, np.inf)
    first_kg = np.maximum(increment_kg, least_kg)
    # What a kilogram does (cost, clearance, growth), and what the heat is without any.
    effects = np.concatenate((problem.price[:, None], problem.per_kg.T, problem.growth.T), axis=1)
    nothing = np.concatenate(((0.0,), problem.clear, 0.0 * problem.clear))
    now = _best_corner(problem, kilograms, least_kg, increment_kg, most_kg, nothing, effects)
    for _ in range(_MOVES):
        up = np.where(now > 0, now + increment_kg, first_kg)
        down = np.where(now - increment_kg >= least_kg - 1e-9, now - increment_kg, 0.0)
        ups, downs = (up <= most_kg + 1e-9).nonzero()[0], now.nonzero()[0]
        # Row 0 takes none up, column 0 none down.
        risen, fallen = np.zeros((len(ups) + 1, len(nothing))), np.zeros((len(downs) + 1, len(nothing)))
        risen[1:] = (up - now)[ups, None] * effects[ups]
        fallen[1:] = (down - now)[downs, None] * effects[downs]
        merits = _merits(problem, (nothing + now @ effects + risen)[:, None] + fallen)
        merits[1:, 1:][ups[:, None] == downs] = np.inf  # the same one up and down is no exchange
        i, j = divmod(int(merits.argmin()), len(downs) + 1)
        stay, best = float(merits[0, 0]), float(merits[i, j])
        if best >= stay - 1e-9 * max(1.0, abs(stay)):
            break
        if i:
            now[ups[i - 1]] = up[ups[i - 1]]
        if j:
            now[downs[j - 1]] = down[downs[j - 1]]
    return now


def _best_corner(
    problem: Problem,
    kilograms: Array,
    least_kg: Array,
    increment_kg: Array,
    most_kg: Array,
    nothing: Array,
    effects: Array,
) -> Array:
    """Return the best way to round `kilograms`: each of the first amounts down or up, the others to the
    nearest."""
    some = (kilograms > _GRAIN * increment_kg).nonzero()[0]
    kilograms, increment_kg, least_kg = kilograms[some], increment_kg[some], least_kg[some]
    down = np.maximum(np.floor(kilograms / increment_kg + _GRAIN) * increment_kg, least_kg)
    up = np.minimum(down + increment_kg, most_kg[some])
    is_up = _down_or_up(min(len(some), _TOGETHER))
    corners = np.empty((len(is_up), len(some)))
    corners[:] = np.where(kilograms - down > up - kilograms, up, down)
    corners[:, :_TOGETHER] = np.where(is_up, up[:_TOGETHER], down[:_TOGETHER])
    best = np.zeros(len(most_kg))
    best[some] = corners[int(_merits(problem, nothing + corners @ effects[some]).argmin())]
    return best


@cache
def _down_or_up(amounts: int) -> NDArray[np.bool_]:
    """All ways to round so many amounts down or up (2^amounts, amounts)."""
    ways: NDArray[np.bool_] = (np.arange(2**amounts)[:, None] >> np.arange(amounts)) % 2 == 1
    return ways


def _merits(problem: Problem, effects: Array) -> Array:
    """Return cost of additions and shortages for `effects`: cost, clearance of each limit, growth."""
    limits = len(problem.z)
    short_sd = margin_sd(problem.z, effects[..., limits + 1 :]) - effects[..., 1 : limits + 1]
    merits: Array = effects[..., 0] + shortage_cost(problem, short_sd)
    return merits
