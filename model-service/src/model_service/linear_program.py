"""The continuous problem: cheapest kilograms such that every window holds with its confidence.

    min  sum_j price_j * kg_j + shortage
    s.t. low_e + margin_e <= predicted_e(kg) <= high_e - margin_e
         margin_e >= z_e * sd_e(kg),    0 <= kg_j <= upper_j

sd_e grows with what is added, sqrt(v + r * added^2): a convex cone, reached by tangent planes that are added
until they hold at the answer (two or three rounds). Limits are soft, at a price far above any way to keep
them, four times that beyond the margin, so that an answer always exists. Each element is counted in its own
sd, and money in the dearest additive, which keeps HiGHS in scale.
"""

import threading
from typing import NamedTuple

import highspy
import numpy as np
from numpy.typing import NDArray

from model_service.errors import OptimiserFailed

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

TOLERANCE_SD = 1e-6
_ROUNDS = 12
_OUTSIDE = 4.0  # price of a shortage beyond the limit itself, in prices of one within the margin
_DEARER = 50.0  # price of a shortage of one sd, in prices of the cheapest way to add one sd


class Problem(NamedTuple):
    """J additives, E elements; limits are -inf or inf where there is none. Prices per kg, else wt %."""

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
    with np.errstate(divide="ignore", invalid="ignore"):
        ways = np.where(problem.slope > 0, problem.price[:, None] * unit_pct(problem) / problem.slope, np.inf)
    cheapest = ways.min(axis=0, initial=np.inf)[np.isfinite(problem.low_pct)]
    finite = cheapest[np.isfinite(cheapest)]
    return _DEARER * max(float(finite.max(initial=0.0)), float(problem.price.max(initial=0.0)), 1e-6)


def shortage_cost(problem: Problem, short_sd: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cost of shortages (in sd, last axis elements), in prices of one sd; convex, 0 where none."""
    short = np.maximum(short_sd, 0.0)
    cost: NDArray[np.float64] = short + (_OUTSIDE - 1.0) * np.maximum(short - problem.z, 0.0)
    return cost


def solve(problem: Problem, *, free: bool = False) -> Optimum:
    """Return the optimum; `free` takes additives for nothing, so that duals tell what stops a limit.

    Raises OptimiserFailed where HiGHS finds none, which only numbers out of all scale can do.
    """
    additives, elements = problem.slope.shape
    money = max(float(problem.price.max(initial=0.0)), 1e-6)  # so that any currency is in scale
    unit, price = unit_pct(problem), np.zeros(additives) if free else problem.price / money
    short_price = shortage_price(problem) / money
    limits = [(int(e), 1.0) for e in np.flatnonzero(np.isfinite(problem.low_pct))]
    limits += [(int(e), -1.0) for e in np.flatnonzero(np.isfinite(problem.high_pct))]
    columns = additives + elements + 2 * len(limits)

    cost, lower, upper = np.zeros(columns), np.zeros(columns), np.full(columns, np.inf)
    cost[:additives], lower[:additives], upper[:additives] = price, problem.lower_kg, problem.upper_kg
    lower[additives : additives + elements] = problem.z
    rows, bounds = [], []
    for i, (e, side) in enumerate(limits):
        slack = additives + elements + 2 * i
        row = np.zeros(columns)
        row[:additives] = side * problem.slope[:, e] / unit[e]
        row[additives + e] = -1.0
        row[slack : slack + 2] = 1.0
        cost[slack : slack + 2] = short_price, _OUTSIDE * short_price
        upper[slack] = problem.z[e]
        bound = problem.low_pct[e] if side > 0 else problem.high_pct[e]
        rows.append(row)
        bounds.append(side * (bound - problem.constant_pct[e]) / unit[e])
    for e, added in enumerate(_first_guess(problem)):
        row, bound = _tangent(problem, columns, e, added)
        rows.append(row)
        bounds.append(bound)

    highs = _highs()
    _pass(highs, cost, lower, upper, np.array(rows).reshape(len(rows), columns), np.array(bounds))
    for _ in range(_ROUNDS):
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise OptimiserFailed(f"HiGHS: {highs.modelStatusToString(highs.getModelStatus())}")
        solution = highs.getSolution()
        values = np.array(solution.col_value)
        kilograms, margins = values[:additives], values[additives : additives + elements]
        added_pct = kilograms @ problem.added_per_kg
        lacking = required_margin_pct(problem, added_pct) / unit - margins
        if not np.any(lacking > TOLERANCE_SD):
            break
        for e in map(int, np.flatnonzero(lacking > TOLERANCE_SD)):
            row, bound = _tangent(problem, columns, e, float(added_pct[e]))
            index = np.flatnonzero(row).astype(np.int32)
            highs.addRow(float(bound), highspy.kHighsInf, len(index), index, row[index])

    short, dual = np.zeros((2, elements)), np.zeros((2, elements))
    for i, (e, side) in enumerate(limits):
        slack = additives + elements + 2 * i
        short[int(side < 0), e] = values[slack] + values[slack + 1]
        dual[int(side < 0), e] = max(solution.row_dual[i], 0.0)
    reduced = np.array(solution.col_dual[:additives])
    return Optimum(
        kilograms=np.clip(kilograms, problem.lower_kg, problem.upper_kg),
        cost=float(kilograms @ problem.price),
        objective=money * float(cost @ values),
        low_short_pct=short[0] * unit,
        high_short_pct=short[1] * unit,
        low_price=money * dual[0] / unit,
        high_price=money * dual[1] / unit,
        upper_price=money * np.where(kilograms >= problem.upper_kg - 1e-6, np.maximum(-reduced, 0.0), 0.0),
    )


def _first_guess(problem: Problem) -> list[float]:
    """Guess what is added of each element: what lifts it to its lower limit with its margin, or nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(problem.added_per_kg > 0, problem.slope / problem.added_per_kg, 0.0)
    recovery = np.maximum(gain.max(axis=0, initial=0.0), 0.2)
    low = np.where(np.isfinite(problem.low_pct), problem.low_pct, -np.inf)
    added = np.zeros(len(low))
    for _ in range(3):
        margin = required_margin_pct(problem, added)
        added = np.maximum(low + margin - problem.constant_pct, 0.0) / recovery
    guess: list[float] = added.tolist()
    return guess


def _tangent(problem: Problem, columns: int, e: int, added_pct: float) -> tuple[Vector, float]:
    """Return row and lower bound of: margin >= z * (sd at added_pct + derivative * (added - added_pct))."""
    unit = float(np.sqrt(problem.variance[e]))
    sd = float(np.sqrt(problem.variance[e] + problem.recovery_variance[e] * added_pct**2))
    derivative = float(problem.recovery_variance[e]) * added_pct / sd
    z = float(problem.z[e])
    additives = problem.slope.shape[0]
    row = np.zeros(columns)
    row[:additives] = -z * derivative / unit * problem.added_per_kg[:, e]
    row[additives + e] = 1.0
    return row, z * (sd - derivative * added_pct) / unit


def _pass(
    highs: highspy.Highs, cost: Vector, lower: Vector, upper: Vector, matrix: Matrix, row_lower: Vector
) -> None:
    row_of, index = np.nonzero(matrix)
    start = np.searchsorted(row_of, np.arange(matrix.shape[0])).astype(np.int32)
    highs.passModel(
        matrix.shape[1],
        matrix.shape[0],
        len(index),
        int(highspy.MatrixFormat.kRowwise),
        int(highspy.ObjSense.kMinimize),
        0.0,
        cost,
        lower,
        upper,
        row_lower,
        np.full(matrix.shape[0], np.inf),
        start,
        index.astype(np.int32),
        matrix[row_of, index],
        np.zeros(matrix.shape[1], dtype=np.int32),
    )


_kept = threading.local()


def _highs() -> highspy.Highs:
    """One instance per thread; every request passes a new model, so no answer depends on an earlier one."""
    if not hasattr(_kept, "highs"):
        highs = highspy.Highs()  # type: ignore[no-untyped-call]
        for option, value in (("output_flag", False), ("presolve", "off"), ("threads", 1)):
            highs.setOptionValue(option, value)
        _kept.highs = highs
    instance: highspy.Highs = _kept.highs
    instance.clearModel()
    return instance
