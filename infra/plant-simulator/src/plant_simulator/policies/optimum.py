"""The cheapest additions for one heat whose outcome is (locally) affine in the kilograms: a linear program.

Windows are soft. A ladder prices how much of a window's margin is given up, in standard deviations of the
outcome: so a heat that cannot reach its grade still has an answer, and a margin costs what a miss would.
"""

from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import highspy
import numpy as np

from plant_simulator.elements import Floats

RUNGS_Z = (3.5, 3.0, 2.5, 2.0, 1.5, 1.0, 0.5, 0.0)
LEAST_SD_PCT = 1e-4


@dataclass(frozen=True)
class Ladder:
    """What giving up margin costs: from `top_z` standard deviations inside a window, `width_z` at `price` per
    standard deviation, rung after rung, dearer each; the last rung has no end.
    """

    top_z: float
    width_z: tuple[float, ...]
    price: tuple[float, ...]

    def price_of(self, z: Floats) -> Floats:
        """What it costs to be only z standard deviations inside."""
        lacking = np.maximum(self.top_z - z, 0)
        total = np.zeros_like(lacking)
        for width, price in zip(self.width_z, self.price, strict=True):
            taken = np.minimum(lacking, width)
            total += price * taken
            lacking = lacking - taken
        return total


def by_price_of_a_miss(miss_price: float) -> Ladder:
    """Pay for margin what it saves in expected misses: miss_price x (1 - Phi(z)) per side of a window, in
    straight pieces (convex as long as a side is more likely held than not; beyond, the slope at the edge).
    """
    normal = NormalDist()
    pairs = list(pairwise(RUNGS_Z))
    price = [miss_price * (normal.cdf(high) - normal.cdf(low)) / (high - low) for high, low in pairs]
    return Ladder(
        RUNGS_Z[0],
        (*(high - low for high, low in pairs), np.inf),
        (*price, miss_price * normal.pdf(0)),
    )


def by_confidence(confidence: float, miss_price: float) -> Ladder:
    """Each side of a window holds with this probability, wherever it can: a standard deviation of margin may
    cost as much as a miss.
    """
    return Ladder(NormalDist().inv_cdf(confidence), (np.inf,), (miss_price,))


@dataclass(frozen=True)
class Affine:
    """Outcome of some heats around a point: expected chemistry (heat, element; wt %) = base_pct + kg @ slope
    (heat, additive, element; wt % per kg), with standard deviation sd_pct.
    """

    base_pct: Floats
    slope: Floats
    sd_pct: Floats


def expected(affine: Affine, kg: Floats) -> Floats:
    """Expected chemistry (heat, element; wt %)."""
    mean: Floats = affine.base_pct + np.einsum("na,nae->ne", kg, affine.slope)
    return mean


class Solver:
    """One HiGHS instance, kept: a heat's program has few rows, so most of its time is the start."""

    def __init__(self) -> None:
        self._highs = highspy.Highs()  # type: ignore[no-untyped-call]
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        self._highs.setOptionValue("presolve", "off")

    def cheapest(
        self,
        affine: Affine,
        min_pct: Floats,
        max_pct: Floats,
        price_per_kg: Floats,
        most_kg: Floats,
        least_kg: Floats,
        ladder: Ladder,
    ) -> Floats:
        """Kilograms (heat, additive) at least cost; windows NaN where there is none, the rest (heat,
        additive).
        """
        return np.array(
            [
                self._one(
                    affine.base_pct[i],
                    affine.slope[i],
                    np.maximum(affine.sd_pct[i], LEAST_SD_PCT),
                    (min_pct[i], max_pct[i]),
                    price_per_kg[i],
                    (least_kg[i], most_kg[i]),
                    ladder,
                )
                for i in range(len(price_per_kg))
            ]
        ).reshape(price_per_kg.shape)

    def _one(
        self,
        base: Floats,
        slope: Floats,
        sd: Floats,
        window: tuple[Floats, Floats],
        price: Floats,
        limits: tuple[Floats, Floats],
        ladder: Ladder,
    ) -> Floats:
        """Rows in standard deviations: (base + kg @ slope) / sd + given up >= min / sd + top_z, and so for
        max.
        """
        low, high = (np.flatnonzero(~np.isnan(bound)) for bound in window)
        of = np.concatenate([low, high])
        sign = np.concatenate([np.ones(len(low)), -np.ones(len(high))])
        bound = np.concatenate([window[0][low], window[1][high]])
        additives, rows, rungs = len(price), len(of), len(ladder.price)
        needed = sign * (bound - base[of]) / sd[of] + ladder.top_z

        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = additives + rows * rungs, rows
        lp.col_cost_ = np.concatenate([price, np.tile(ladder.price, rows)])
        lp.col_lower_ = np.concatenate([limits[0], np.zeros(rows * rungs)])
        lp.col_upper_ = np.concatenate([limits[1], np.tile(ladder.width_z, rows)])
        lp.row_lower_, lp.row_upper_ = needed, np.full(rows, np.inf)
        matrix = np.hstack(
            [sign[:, None] * slope[:, of].T / sd[of, None], np.kron(np.eye(rows), np.ones(rungs))]
        )
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        is_there = matrix != 0
        lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum(is_there.sum(axis=1))]).astype(np.int32)
        lp.a_matrix_.index_ = np.nonzero(is_there)[1].astype(np.int32)
        lp.a_matrix_.value_ = matrix[is_there]
        self._highs.passModel(lp)
        self._highs.run()
        answer: Floats = np.clip(np.array(self._highs.getSolution().col_value[:additives]), *limits)
        return answer
