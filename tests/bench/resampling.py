"""Confidence intervals of ratios of sums, by resampling whole groups: a line's heats share lots and crews."""

import random
from collections.abc import Callable, Sequence

DRAWS, SEED = 500, 20260101
Sums = Sequence[float]
"""What is summed over the heats of one group."""


def interval(groups: Sequence[Sums], figure: Callable[[Sums], float]) -> list[float]:
    """[low, value, high]: the figure of all groups' sums, and its 95 % interval (percentile bootstrap)."""
    drawn = random.Random(SEED)
    found = sorted(figure(_added(drawn.choices(groups, k=len(groups)))) for _ in range(DRAWS))
    value = figure(_added(groups))
    low, high = found[round(0.025 * (DRAWS - 1))], found[round(0.975 * (DRAWS - 1))]
    return [min(low, value), value, max(high, value)]


def _added(groups: Sequence[Sums]) -> list[float]:
    return [sum(column) for column in zip(*groups, strict=True)]
