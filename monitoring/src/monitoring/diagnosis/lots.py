"""Does a lot bring what its certificate says?

A lot is tested from its first heat, at both stations together: `b` is by how much (relative) it brings more
than its certificate says. Honest lots differ too, by the spread in the reference; so while nothing is wrong
`b`'s estimate has the variance of that spread plus that of the estimate. It is looked at a few times, most of
them soon enough to matter, and more eagerly for lots that bring too little: those make heats miss. What it
must be off by is the same in per cent for every lot of an additive, however much its heats tell: where they
tell little, limits in standard deviations would let a bad lot pass, and where they tell much they would call
an honest one bad.
"""

import math
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

import polars as pl

from monitoring.diagnosis.budget import FALSE_ALARMS, HEATS, SHARES
from monitoring.diagnosis.furthest import Look, furthest
from monitoring.diagnosis.looks import beyond
from monitoring.diagnosis.reference import LotSpread, Reference
from monitoring.measures.treatments import ROW

LOOK_AT = {6: (1.6, 0.6), 15: (1.0, 0.3), 30: (1.1, 0.3)}
"""After so many heats in which the lot was tipped, at whichever station: how many times the limit it must be
off by then, and how much they must tell at least, in units of what is known of such lots anyway. Of few heats
little is known, and every look costs: so there are few, and one when it begins to matter. Where six heats
tell little, chance is most of what they show, and the next look comes soon.
"""
IN_TIME = 15  # heats; of a lot that is soon used up, half of it
MATTERS_REL = 0.04  # a lot that is so far off should be found in time
WORTH_REL = 0.025  # and one that is so far off is no false alarm
TOLD = (0.6, 0.8, 1.0, 1.2, 1.4)  # by lots in time, in units of their mean: grades come in sequences
HARM_ABOVE = 0.005  # of a lot that brings too much, in units of one that brings as much too little
FIRST_THINGS_FIRST = (
    5.0  # power of the harm: at 1 no lot is found in time surely, the little ones take their part
)
_NORMAL = NormalDist()
_LIMITS = [1.5 + 0.05 * step for step in range(80)]


class Side(NamedTuple):
    """Too little or too much of an element in the lots of an additive."""

    of: LotSpread
    wander: float
    lots: float
    harm: float


def spreads(reference: Reference) -> pl.DataFrame:
    """Return one row per additive and element that lots are judged by: `sd_rel`, the chances of a false alarm
    that each lot may spend (`chance_below`, `chance_above`) and by how much it may be off (`below`, `above`).
    """
    pairs = tuple((a, e, of) for a, elements in reference.lots.items() for e, of in elements.items())
    return _spreads(pairs, reference.heats, reference.wander.get("lot", 1.0))


@cache
def _spreads(pairs: tuple[tuple[str, str, LotSpread], ...], heats: int, wander: float) -> pl.DataFrame:
    many = [max(1.0, of.lots * 2 * HEATS / heats) for _, _, of in pairs]
    sides = [
        Side(of, wander, lots, harm)
        for (_, _, of), lots in zip(pairs, many, strict=True)
        for harm in (1.0, HARM_ABOVE)
    ]
    chances = _shared(sides)
    rows = []
    for n, (additive, element, of) in enumerate(pairs):
        looks = [
            Look(of.information * min(1.0, at / of.heats_per_lot), times, least)
            for at, (times, least) in LOOK_AT.items()
        ]
        sides_of = chances[2 * n : 2 * n + 2]
        limits = [
            furthest(of.sd_rel, looks, told=TOLD, worth=WORTH_REL, chance=chance) for chance in sides_of
        ]
        rows.append((additive, element, of.sd_rel, many[n], *sides_of, *limits))
    figures = ("sd_rel", "lots", "chance_below", "chance_above", "below", "above")
    schema = {"additive": pl.String, "element": pl.String} | dict.fromkeys(figures, pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row")


def looks_at_lots(told: pl.DataFrame) -> pl.DataFrame:
    """Return the treatments after which lots are looked at, of `told_apart.ToldApart.lots`."""
    least = {at: least for at, (_, least) in LOOK_AT.items()}
    return told.filter(
        pl.col("told") >= pl.col("heats").replace_strict(least, default=None, return_dtype=pl.Float64)
    )


def lots(told: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Look at each lot when it is time; `told` as `told_apart.ToldApart.lots`."""
    of = {at: times for at, (times, _) in LOOK_AT.items()}
    times = pl.col("heats").replace_strict(of, return_dtype=pl.Float64)
    off_by = pl.when(pl.col("estimate") < 0).then("below").otherwise("above") * times
    looks = (
        looks_at_lots(told)
        .lazy()
        .join(spreads(reference).lazy(), on=["additive", "element"])
        .with_columns((pl.col("spread") * reference.wander.get("lot", 1.0)).alias("sd"))
        .select(
            ROW,
            "since",
            "element",
            pl.concat_str("additive", "lot", separator=" ", ignore_nulls=True).alias("subject"),
            "estimate",
            "sd",
            (off_by * reference.wander.get("lot", 1.0) / pl.col("sd")).alias("limit"),
        )
    )
    return beyond(looks, "lot")


def _shared(sides: list[Side]) -> list[float]:
    """Share the lots' budget so that it saves most: what counts is the squares by which a lot that matters
    would shift the results still to come (Taguchi's loss), times the chance that it is found in time; every
    chance of a false alarm costs. By bisection of what a false alarm is worth (Lagrange).
    """
    budget = FALSE_ALARMS * SHARES["lot"]
    low, high = -20.0, 60.0
    chosen: list[float] = []
    for _ in range(50):
        price = (low + high) / 2
        chosen = [_best(side, math.exp(price)) for side in sides]
        spent = sum(side.lots * chance for side, chance in zip(sides, chosen, strict=True))
        low, high = (price, high) if spent > budget else (low, price)
    return [chance * budget / spent for chance in chosen]


def _best(side: Side, price: float) -> float:
    of = side.of
    in_time = min(IN_TIME, of.heats_per_lot / 2)
    to_come = side.harm * (of.information * (1 - in_time / of.heats_per_lot)) ** FIRST_THINGS_FIRST
    told = [of.information * in_time / of.heats_per_lot * share for share in TOLD]
    sures = [(1 / math.sqrt(known), side.wander * math.sqrt(of.sd_rel**2 + 1 / known)) for known in told]

    def worth(limit: float) -> float:
        found = sum(_NORMAL.cdf((MATTERS_REL - limit * spread) / error) for error, spread in sures)
        return float(to_come * found / len(sures) - price * _NORMAL.cdf(-limit))

    return _NORMAL.cdf(-max(_LIMITS, key=worth))
