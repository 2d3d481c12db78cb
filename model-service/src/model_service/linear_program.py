"""The continuous problem: cheapest kilograms such that every window holds with its confidence.

    min  sum_j price_j * kg_j + shortage
    s.t. low_e + margin_e <= predicted_e(kg) <= high_e - margin_e
         margin_e >= z_e * sd_e(kg),    0 <= kg_j <= upper_j

sd_e grows with what is added, sqrt(v + r * added^2): a convex cone, reached by tangent planes that are added
until they hold at the answer (two or three rounds). Limits are soft, at a price far above any way to keep
them, four times that beyond the margin, so that an answer always exists. Where a miss has a price, margin
beyond z_e earns what it saves in expected misses, in straight pieces, each worth less than the one before: so
risk is spread over the windows as it is cheapest. Each element is counted in its own sd, and money in the
dearest additive, which keeps HiGHS in scale.
"""

import threading
from functools import lru_cache
from typing import NamedTuple

import highspy
import numpy as np
from numpy.typing import NDArray

from model_service.errors import OptimiserFailed

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Indices = NDArray[np.intp]

TOLERANCE_SD = 1e-6
_ROUNDS = 12
_OPTIONS: dict[str, bool | int | str] = {
    "output_flag": False,
    "presolve": "off",
    "threads": 1,
    "simplex_iteration_limit": 10_000,
    # The problem is in scale and small: scaling and steepest edges cost more than they save.
    "simplex_scale_strategy": 0,
    "simplex_dual_edge_weight_strategy": 0,
}
_OUTSIDE = 4.0  # price of a shortage beyond the limit itself, in prices of one within the margin
_DEARER = 50.0  # price of a shortage of one sd, in prices of the cheapest way to add one sd


class Problem(NamedTuple):
    """J additives, E elements; limits are -inf or inf where there is none. Prices per kg, else wt %.

    `spare_sd` (e, r) are the lengths of the pieces of further margin and `spare_price` what a sd of it earns,
    falling along r; no pieces where a miss has no price.
    """

    price: Vector
    lower_kg: Vector
    upper_kg: Vector
    constant_pct: Vector
    slope: Matrix
    added_per_kg: Matrix
    variance: Vector
    recovery_variance: Vector
    low_pct: Vector
    high_pct: Vector
    z: Vector
    spare_sd: Matrix
    spare_price: Matrix


class Optimum(NamedTuple):
    """Kilograms, their cost, shortages (wt %) and duals.

    Prices of limits are per wt % of relief (`low_price`, `high_price`) and per kg (`upper_price`); 0 where
    one does not bind.
    """

    kilograms: Vector
    cost: float
    objective: float
    low_short_pct: Vector
    high_short_pct: Vector
    low_price: Vector
    high_price: Vector
    upper_price: Vector


def unit_pct(problem: Problem) -> Vector:
    """Return one sd of each element where nothing is added, wt %: the unit of margins and shortages."""
    unit: Vector = np.sqrt(problem.variance)
    return unit


def required_margin_pct(problem: Problem, added_pct: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each prediction must stay off its limits where `added_pct` is added."""
    margin: NDArray[np.float64] = problem.z * np.sqrt(
        problem.variance + problem.recovery_variance * added_pct**2
    )
    return margin


def shortage_price(problem: Problem) -> float:
    """Return the price of a shortage of one sd of any element."""
    cheapest = _ways(problem).min(axis=0, initial=np.inf)[problem.low_pct > -np.inf]
    dearest = max((price for price in cheapest.tolist() if price < np.inf), default=0.0)
    return _DEARER * max(dearest, max(problem.price.tolist(), default=0.0), 1e-6)


def _ways(problem: Problem) -> Matrix:
    """What one sd of an element costs by each additive (j, e); inf where it brings none."""
    ways = np.full_like(problem.slope, np.inf)
    np.divide(problem.price[:, None] * unit_pct(problem), problem.slope, out=ways, where=problem.slope > 0)
    return ways


def shortage_cost(problem: Problem, short_sd: NDArray[np.float64], price: float) -> NDArray[np.float64]:
    """Return the cost of shortages (in sd, last axis elements), in prices of one sd, `price`; convex.

    What is negative is margin to spare, and costs less than 0 where a miss has a price.
    """
    short = np.maximum(short_sd, 0.0)
    cost: NDArray[np.float64] = short + (_OUTSIDE - 1.0) * np.maximum(short - problem.z, 0.0)
    if not problem.spare_sd.size:
        return cost
    spare = np.maximum(-short_sd, 0.0)
    for length, earned in zip(problem.spare_sd.T, problem.spare_price.T, strict=True):
        piece = np.minimum(spare, length)
        cost -= piece * (earned / price)
        spare = spare - piece
    return cost


def solve(problem: Problem, *, free: bool = False) -> Optimum:
    """Return the optimum; `free` takes additives for nothing, so that duals tell what stops a limit.

    Raises OptimiserFailed where HiGHS finds none, which only numbers out of all scale can do.
    """
    additives, elements = problem.slope.shape
    money = max(float(problem.price.max(initial=0.0)), 1e-6)  # so that any currency is in scale
    unit, short_price = unit_pct(problem), shortage_price(problem) / money
    low, high = np.flatnonzero(problem.low_pct > -np.inf), np.flatnonzero(problem.high_pct < np.inf)
    limited = np.concatenate((low, high))  # the element of each limit
    slacks = additives + elements

    # Columns: kilograms, margins, two slacks for each limit, the second for what is outside the window, and
    # the pieces of margin to spare of each limit.
    spares = slacks + 2 * len(limited)
    pieces = problem.spare_sd.shape[1]
    columns = spares + pieces * len(limited)
    cost, lower, upper = np.zeros(columns), np.zeros(columns), np.full(columns, np.inf)
    cost[:additives] = 0.0 if free else problem.price / money
    cost[slacks:spares:2], cost[slacks + 1 : spares : 2] = short_price, _OUTSIDE * short_price
    if not free:
        cost[spares:] = -problem.spare_price[limited].ravel() / money
    lower[:additives], upper[:additives] = problem.lower_kg, problem.upper_kg
    lower[additives:slacks], upper[slacks:spares:2] = problem.z, problem.z[limited]
    upper[spares:] = problem.spare_sd[limited].ravel()
    bounds = np.concatenate(
        (
            (problem.low_pct - problem.constant_pct)[low] / unit[low],
            (problem.constant_pct - problem.high_pct)[high] / unit[high],
        )
    )
    highs = _highs()
    limits = _limit_rows(problem, low, high, bounds)
    _pass(highs, cost, lower, upper, limits, _tangents(problem, np.arange(elements), _first_guess(problem)))
    for _ in range(_ROUNDS):
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise OptimiserFailed(f"HiGHS: {highs.modelStatusToString(highs.getModelStatus())}")
        solution = highs.getSolution()
        values = np.array(solution.col_value)
        kilograms, margins = values[:additives], values[additives:slacks]
        added_pct = kilograms @ problem.added_per_kg
        lacking = required_margin_pct(problem, added_pct) / unit - margins > TOLERANCE_SD
        if not lacking.any():
            break
        where = np.flatnonzero(lacking)
        _add(highs, _tangents(problem, where, added_pct[where]))

    short, dual = np.zeros((2, elements)), np.zeros((2, elements))
    shortages = values[slacks:spares:2] + values[slacks + 1 : spares : 2]
    prices = np.maximum(solution.row_dual[: len(limited)], 0.0)
    short[0, low], short[1, high] = shortages[: len(low)], shortages[len(low) :]
    dual[0, low], dual[1, high] = prices[: len(low)], prices[len(low) :]
    reduced = np.array(solution.col_dual[:additives])
    return Optimum(
        kilograms=np.minimum(np.maximum(kilograms, problem.lower_kg), problem.upper_kg),
        cost=float(kilograms @ problem.price),
        objective=money * float(cost @ values),
        low_short_pct=short[0] * unit,
        high_short_pct=short[1] * unit,
        low_price=money * dual[0] / unit,
        high_price=money * dual[1] / unit,
        upper_price=money * np.where(kilograms >= problem.upper_kg - 1e-6, np.maximum(-reduced, 0.0), 0.0),
    )


class _Rows(NamedTuple):
    """Rows of as many values each (r, w), their columns, and the least that each must give (r,)."""

    columns: NDArray[np.int32]
    values: Matrix
    bounds: Vector


def _limit_rows(problem: Problem, low: Indices, high: Indices, bounds: Vector) -> _Rows:
    """Return the rows of: prediction - margin + slacks - spare >= lower limit, and its mirror; in sd."""
    additives, elements = problem.slope.shape
    limited, pieces = (*low.tolist(), *high.tolist()), problem.spare_sd.shape[1]
    values = np.empty((len(limited), additives + 3 + pieces))
    per_kg = (problem.slope / unit_pct(problem)).T
    values[: len(low), :additives] = per_kg[low]
    values[len(low) :, :additives] = -per_kg[high]
    values[:, additives:] = -1.0
    values[:, additives + 1 : additives + 3] = 1.0
    return _Rows(_columns_of_limits(additives, elements, limited, pieces), values, bounds)


@lru_cache(maxsize=256)
def _columns_of_limits(
    additives: int, elements: int, limited: tuple[int, ...], pieces: int
) -> NDArray[np.int32]:
    of = np.arange(len(limited))[:, None]
    slacks = additives + elements + 2 * of
    spares = additives + elements + 2 * len(limited) + pieces * of + np.arange(pieces)
    kilograms = np.broadcast_to(np.arange(additives), (len(limited), additives))
    margins = additives + np.array(limited, dtype=np.int32)[:, None]
    return np.hstack((kilograms, margins, slacks, slacks + 1, spares)).astype(np.int32)


@lru_cache(maxsize=256)
def _columns_of_tangents(additives: int, elements: int) -> NDArray[np.int32]:
    kilograms = np.broadcast_to(np.arange(additives), (elements, additives))
    return np.hstack((kilograms, additives + np.arange(elements)[:, None])).astype(np.int32)


def _first_guess(problem: Problem) -> Vector:
    """Guess what is added of each element: what lifts it to its lower limit with its margin, or nothing."""
    additives, elements = problem.slope.shape
    if not additives:
        return np.zeros(elements)
    cheapest = _ways(problem).argmin(axis=0), np.arange(elements)
    gain, added_per_kg = problem.slope[cheapest], problem.added_per_kg[cheapest]
    recovery = np.minimum(np.maximum(gain / np.maximum(added_per_kg, 1e-12), 0.2), 1.5)
    lacking, added = problem.low_pct - problem.constant_pct, np.zeros(elements)
    for _ in range(3):
        added = np.maximum(lacking + required_margin_pct(problem, added), 0.0) / recovery
    return added


def _tangents(problem: Problem, of: Indices, added_pct: Vector) -> _Rows:
    """Return for elements `of`: margin >= z * (sd at added_pct + derivative * (added - added_pct)), in sd."""
    variance, z = problem.variance[of], problem.z[of]
    unit, growing = np.sqrt(variance), problem.recovery_variance[of] * added_pct
    sd = np.sqrt(variance + growing * added_pct)
    derivative = growing / sd
    additives, elements = problem.slope.shape
    values = np.ones((len(of), additives + 1))
    values[:, :additives] = -(z * derivative / unit)[:, None] * problem.added_per_kg.T[of]
    columns = _columns_of_tangents(additives, elements)[of]
    return _Rows(columns, values, z * (sd - derivative * added_pct) / unit)


def _pass(highs: highspy.Highs, cost: Vector, lower: Vector, upper: Vector, *blocks: _Rows) -> None:
    start, index, values = _sparse(*blocks)
    highs.passModel(
        len(cost),
        len(start),
        len(index),
        int(highspy.MatrixFormat.kRowwise),
        int(highspy.ObjSense.kMinimize),
        0.0,
        cost,
        lower,
        upper,
        np.concatenate([block.bounds for block in blocks]),
        np.full(len(start), np.inf),
        start,
        index,
        values,
        np.zeros(len(cost), dtype=np.int32),
    )


def _add(highs: highspy.Highs, rows: _Rows) -> None:
    start, index, values = _sparse(rows)
    highs.addRows(len(start), rows.bounds, np.full(len(start), np.inf), len(index), start, index, values)


def _sparse(*blocks: _Rows) -> tuple[NDArray[np.int32], NDArray[np.int32], Vector]:
    """Return where each row starts, columns and values; HiGHS itself leaves out the zeros."""
    start = _starts(tuple(block.values.shape for block in blocks))
    values = [block.values.ravel() for block in blocks]
    columns = [block.columns.ravel() for block in blocks]
    if len(blocks) == 1:
        return start, columns[0], values[0]
    return start, np.concatenate(columns), np.concatenate(values)


@lru_cache(maxsize=256)
def _starts(shapes: tuple[tuple[int, ...], ...]) -> NDArray[np.int32]:
    widths = [width for rows, width in shapes for _ in range(rows)]
    return np.cumsum([0, *widths[:-1]], dtype=np.int32)[: len(widths)]


_kept = threading.local()


def _highs() -> highspy.Highs:
    """One instance per thread; every request passes a new model, so no answer depends on an earlier one."""
    if not hasattr(_kept, "highs"):
        highs = highspy.Highs()  # type: ignore[no-untyped-call]
        for option, value in _OPTIONS.items():
            highs.setOptionValue(option, value)
        _kept.highs = highs
    instance: highspy.Highs = _kept.highs
    instance.clearModel()
    return instance
