"""The continuous optimum of a `problem`, by HiGHS.

    min  sum_j price_j * x_j + cost of shortages - earnings of margin to spare
    s.t. clear_l + per_kg_l @ x + shortage_l - spare_l >= tangent of margin_l,    lower <= x <= upper

The margin is a convex function of the kilograms: tangent planes are moved to the first answer, and further
ones added where one does not hold at the next, which is seldom. Money is counted in the dearest additive, so
that any currency is in scale.
"""

import threading
from functools import lru_cache
from typing import NamedTuple

import highspy
import numpy as np
from numpy.typing import NDArray

from model_service.errors import OptimiserFailed
from model_service.problem import OUTSIDE, Array, Problem, margin_sd

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
_OPTIMAL = highspy.HighsModelStatus.kOptimal
_ROWWISE, _MINIMIZE = int(highspy.MatrixFormat.kRowwise), int(highspy.ObjSense.kMinimize)


class Optimum(NamedTuple):
    """Kilograms, their cost, the objective; per limit the shortage (sd) and what one sd of relief saves, per
    additive what a kilogram more of its upper limit saves; 0 where one does not bind."""

    kilograms: Array
    cost: float
    objective: float
    short_sd: Array
    price: Array
    upper_price: Array


def solve(problem: Problem, *, free: bool = False) -> Optimum:
    """Return the optimum; `free` takes additives for nothing, so that duals tell what stops a limit.

    Raises OptimiserFailed where HiGHS finds none, which only numbers out of all scale can do.
    """
    limits, additives = problem.per_kg.shape
    pieces = problem.spare_sd.shape[1]
    layout = _layout(limits, additives, pieces)
    money = max(float(problem.price.max(initial=0.0)), 1e-6)

    # Columns: kilograms; then for each limit the shortage within the margin and outside, and pieces to spare.
    cost, lower, upper = np.zeros(layout.columns), np.zeros(layout.columns), layout.no_end.copy()
    of_limits = cost[additives:].reshape(limits, 2 + pieces)
    their_upper = upper[additives:].reshape(limits, 2 + pieces)
    if not free:
        cost[:additives] = problem.price / money
    of_limits[:, :2] = problem.shortage_price / money * _WITHIN_AND_OUTSIDE
    lower[:additives], upper[:additives] = problem.lower_kg, problem.upper_kg
    their_upper[:, 0] = problem.z
    if pieces:
        of_limits[:, 2:] = 0.0 if free else -problem.spare_price / money
        their_upper[:, 2:] = problem.spare_sd

    def pass_with_tangents_at(added: Array) -> None:
        values, bounds = _tangents(problem, layout, added)
        highs.passModel(
            layout.columns,
            limits,
            len(layout.columns_of),
            _ROWWISE,
            _MINIMIZE,
            0.0,
            cost,
            lower,
            upper,
            bounds,
            layout.no_end[:limits],
            layout.start,
            layout.columns_of,
            values.ravel(),
            layout.continuous,
        )

    highs = _highs()
    pass_with_tangents_at(problem.likely)
    found = np.array(_solved(highs).col_value)
    # The first answer only tells where the tangents are to be, and nearly always what binds.
    basis = highs.getBasis()
    pass_with_tangents_at(problem.growth @ found[:additives])
    highs.setBasis(basis)
    rows = [layout.every_limit]
    for _ in range(_ROUNDS):
        solution = _solved(highs)
        found = np.array(solution.col_value)
        kilograms, slack = found[:additives], found[additives:].reshape(limits, 2 + pieces) @ layout.slack
        added = problem.growth @ kilograms
        short = margin_sd(problem.z, added) - problem.clear - problem.per_kg @ kilograms - slack
        if not short.max(initial=0.0) > TOLERANCE_SD:
            break
        rows.append(np.flatnonzero(short > TOLERANCE_SD))
        _add(highs, layout, rows[-1], *_tangents(problem, layout, added))

    price: Array = np.maximum(solution.row_dual, 0.0)
    if len(rows) > 1:
        of_rows, price = price, np.zeros(limits)
        np.add.at(price, np.concatenate(rows), of_rows)
    reduced = np.array(solution.col_dual[:additives])
    return Optimum(
        kilograms=np.minimum(np.maximum(kilograms, problem.lower_kg), problem.upper_kg),
        cost=float(kilograms @ problem.price),
        objective=money * float(cost @ found),
        short_sd=np.maximum(slack, 0.0),
        price=money * price,
        upper_price=money * np.where(kilograms >= problem.upper_kg - 1e-6, np.maximum(-reduced, 0.0), 0.0),
    )


def _solved(highs: highspy.Highs) -> highspy.HighsSolution:
    highs.run()
    if highs.getModelStatus() != _OPTIMAL:
        raise OptimiserFailed(f"HiGHS: {highs.modelStatusToString(highs.getModelStatus())}")
    return highs.getSolution()


class _Layout(NamedTuple):
    """What depends on the sizes alone: columns, where rows start, their columns, and constants."""

    columns: int
    start: NDArray[np.int32]
    columns_of: NDArray[np.int32]
    no_end: Array
    continuous: NDArray[np.int32]
    slack: Array
    every_limit: NDArray[np.intp]


_WITHIN_AND_OUTSIDE = np.array((1.0, OUTSIDE))


@lru_cache(maxsize=256)
def _layout(limits: int, additives: int, pieces: int) -> _Layout:
    slack = np.array([1.0, 1.0] + [-1.0] * pieces)
    width, columns = additives + len(slack), additives + limits * len(slack)
    index = np.empty((limits, width), dtype=np.int32)
    index[:, :additives] = np.arange(additives)
    index[:, additives:] = np.arange(additives, columns).reshape(limits, len(slack))
    return _Layout(
        columns,
        np.arange(limits, dtype=np.int32) * width,
        index.ravel(),
        np.full(columns, np.inf),
        np.zeros(columns, dtype=np.int32),
        slack,
        np.arange(limits),
    )


def _tangents(problem: Problem, layout: _Layout, added: Array) -> tuple[Array, Array]:
    """Return the rows of all limits (l, width), with the tangents of their margins at `added`, and what each
    must give at least."""
    limits, additives = problem.per_kg.shape
    sd = np.sqrt(1.0 + added * added)
    values = np.empty((limits, additives + len(layout.slack)))
    values[:, :additives] = problem.per_kg - (problem.z * added / sd)[:, None] * problem.growth
    values[:, additives:] = layout.slack
    return values, problem.z / sd - problem.clear


def _add(
    highs: highspy.Highs, layout: _Layout, which: NDArray[np.intp], values: Array, bounds: Array
) -> None:
    some = len(which)
    index = layout.columns_of.reshape(values.shape)[which]
    highs.addRows(
        some,
        bounds[which],
        layout.no_end[:some],
        index.size,
        layout.start[:some],
        index.ravel(),
        values[which].ravel(),
    )


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
