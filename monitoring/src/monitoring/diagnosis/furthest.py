"""How far the estimate of an honest lot goes by chance, over all the looks at it.

While nothing is wrong a lot is off its certificate by a normal number of known spread, and its estimate
wanders around that, the more the less its heats tell: they tell more of one lot than of another, as grades
come in sequences. The looks hang together, so their tail probabilities don't add up: what they spend together
is counted on many lots that are drawn, always the same ones. A lot that really is as far off as is worth an
alarm is no false one.
"""

import math
import random
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

import polars as pl

LOTS = 20_000
SURE = 0.004  # chances below are taken from the normal tail beyond this one: too few lots are drawn for them
_NORMAL = NormalDist()


class Look(NamedTuple):
    """`known`: information of the lots' mean, 1 / (standard error of a lot's estimate)^2; by how many `times`
    the limit the estimate must be off; and what must be known `at_least`, in units of 1 / spread^2.
    """

    known: float
    times: float
    at_least: float


def furthest(
    sd_rel: float, looks: Sequence[Look], *, told: Sequence[float], worth: float, chance: float
) -> float:
    """Return by how much, relative, an estimate of an honest lot is off below with this chance at any of its
    looks. `told`: what the heats of lots tell in units of their mean, each as often; `worth`: a lot that is
    so far off, relative, is not honest.
    """
    drawn = _drawn(len(looks))
    share = pl.Series("share", [told[n % len(told)] for n in range(LOTS)])
    noise = pl.lit(0.0)
    before, beyond, spread = 0.0, [], 0.0
    for n, (known, times, at_least) in enumerate(looks):
        noise = noise + pl.col(f"w{n}") * math.sqrt(max(0.0, known - before))
        off = pl.col("b") * sd_rel + noise / (known * pl.col("share").sqrt())
        is_looked = known * sd_rel**2 * pl.col("share") >= at_least
        beyond.append(pl.when(is_looked).then(-off / times).otherwise(-math.inf))
        spread = max(spread, math.sqrt(sd_rel**2 + 1 / known) / times)
        before = known
    honest = (pl.col("b") * sd_rel).abs() < worth
    far = drawn.with_columns(share).select(
        pl.when(honest).then(pl.max_horizontal(beyond)).otherwise(-math.inf).alias("far")
    )["far"]
    counted = max(chance, SURE)
    found = float(far.quantile(1 - counted, "higher") or 0.0)
    further = _NORMAL.inv_cdf(1 - min(chance, 0.5)) - _NORMAL.inv_cdf(1 - min(counted, 0.5))
    return max(0.0, found) + further * spread


@cache
def _drawn(looks: int) -> pl.DataFrame:
    chance = random.Random(1)  # noqa: S311 (no secret)
    names = ["b", *(f"w{n}" for n in range(looks))]
    return pl.DataFrame({name: [chance.gauss() for _ in range(LOTS)] for name in names})
