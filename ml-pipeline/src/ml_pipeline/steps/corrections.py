"""LightGBM corrections of recovery and offset as functions of the heat's state, never of its kilograms."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import lightgbm
import numpy as np
from numpy.typing import NDArray

from ml_pipeline.steps.columns import Vector
from ml_pipeline.steps.outcome import tree_outputs

CAP_SD = 1.5
ROUNDS = 80
MIN_HEATS, MIN_JUDGED = 400, 50
BETTER_MAE = 0.99
BETTER_T = 2.0
PARAMETERS: dict[str, Any] = {
    "objective": "regression",
    "learning_rate": 0.05,
    "num_leaves": 7,
    "min_data_in_leaf": 40,
    "lambda_l2": 10.0,
    "max_bin": 63,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


class Growing(NamedTuple):
    """How trees are grown: `told` says what of `usual` is otherwise."""

    seed: int
    told: Mapping[str, Any] | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """All that LightGBM is told but the seed."""
        return {**usual(), **(self.told or {})}


def usual() -> dict[str, Any]:
    """What LightGBM is told where nobody has searched for better."""
    return {**PARAMETERS, "num_iterations": ROUNDS}


class Correction(NamedTuple):
    """A tree model as text and the most it may say."""

    text: str
    cap: float


def recovery_correction(
    residual: Vector, added_pct: Vector, matrix: NDArray[np.float64], cap: float, growing: Growing
) -> Correction:
    """Trees g with residual ~ added x g(state), weighted by added squared: a heat without additions says
    nothing of recovery."""
    some = added_pct > 0.05 * np.max(added_pct, initial=1e-9)
    return _trees(residual[some] / added_pct[some], added_pct[some] ** 2, matrix[some], cap, growing)


def offset_correction(
    residual: Vector, matrix: NDArray[np.float64], cap_pct: float, growing: Growing
) -> Correction:
    """Trees h with residual ~ h(state)."""
    return _trees(residual, np.ones_like(residual), matrix, cap_pct, growing)


def improves(before: Vector, after: Vector) -> bool:
    """Whether corrections make later heats' absolute error smaller by more than chance: 1 % and a paired t
    of 2."""
    if len(before) < MIN_JUDGED:
        return False
    gain = np.abs(before) - np.abs(after)
    error = np.std(gain) / np.sqrt(len(gain))
    smaller = np.mean(np.abs(after)) < BETTER_MAE * np.mean(np.abs(before))
    return bool(smaller and np.mean(gain) > BETTER_T * error)


def said(correction: Correction, matrix: NDArray[np.float64]) -> Vector:
    """What a correction says for each heat, capped."""
    return tree_outputs(correction.text, correction.cap, matrix)


def _trees(
    target: Vector, weight: Vector, matrix: NDArray[np.float64], cap: float, growing: Growing
) -> Correction:
    # Beyond twice the cap a target is a gross error, or nothing that the capped answer could follow.
    data = lightgbm.Dataset(matrix, label=np.clip(target, -2 * cap, 2 * cap), weight=weight / np.mean(weight))
    told = growing.parameters
    rounds = told.pop("num_iterations")
    booster = lightgbm.train({**told, "seed": growing.seed}, data, num_boost_round=rounds)
    return Correction(str(booster.model_to_string()), cap)
