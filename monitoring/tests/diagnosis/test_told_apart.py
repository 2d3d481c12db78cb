"""Lots are told apart from one another, and what comes out differently over all lots from a lot."""

import math
import random
from collections.abc import Callable

import polars as pl
import pytest

from monitoring.diagnosis.filters import ElementFilter
from monitoring.diagnosis.reference import Before, Beside, LotSpread, Memory, Reference
from monitoring.diagnosis.told_apart import ToldApart, told_apart

SD_REL, X, LOT_HEATS = 0.01, 30.0, 60
SPREAD = LotSpread(20, SD_REL, float(LOT_HEATS), 50_000.0)

Off = Callable[[int, str, str], float]


def reference(before: Before | None = None) -> Reference:
    lots = {"SiMn": {"Mn": SPREAD, "Si": SPREAD}, "FeMn": {"Mn": SPREAD}}
    beside = {s: {e: Beside(None, 0.0, 1.0) for e in ("Mn", "Si")} for s in ("tapping", "ladle_furnace")}
    if before:
        beside["ladle_furnace"]["Mn"] = Beside(None, 0.0, 1.0, before)
    return Reference(None, 1000, {}, lots, {}, "monitoring-reference/v1", beside)


def played(
    off: Off, heats: int = 420, seed: int = 3, of: Reference | None = None, memory: Memory | None = None
) -> ToldApart:
    """`off(heat, lot, element)`: by how much a lot truly is off; both alloys in each heat, at one station.
    `memory`: what heats lose of Mn, and the next ones too; it is part of their noise.
    """
    rng = random.Random(seed)
    lost = rng.gauss(0, memory.sd_rel) if memory else 0.0
    honest: dict[tuple[str, str], float] = {}
    pairs, results = [], []
    for n in range(heats):
        y = {"Mn": rng.gauss(0, 1), "Si": rng.gauss(0, 1)}
        if memory:
            lost = memory.kept * lost + rng.gauss(0, memory.sd_rel * math.sqrt(1 - memory.kept**2))
            y["Mn"] = y["Mn"] * math.sqrt(1 - (2 * X * memory.sd_rel) ** 2) + 2 * X * lost
        for additive, first in (("SiMn", 0), ("FeMn", 31)):
            lot = f"{additive}-{(n + first) // LOT_HEATS}"
            for element in ("Mn", "Si") if additive == "SiMn" else ("Mn",):
                b = honest.setdefault((lot, element), rng.gauss(0, SD_REL)) + off(n, lot, element)
                y[element] += X * b
                pairs.append((n, str(n), "tapping", additive, lot, element, X))
        results += [(n, "tapping", element, value) for element, value in y.items()]
    names = ["row", "heat", "station", "additive", "lot", "element", "x"]
    standard = pl.DataFrame(results, ["row", "station", "element", "y"], orient="row")
    return told_apart(pl.DataFrame(pairs, names, orient="row"), standard, of or reference())


def z(found: pl.DataFrame, kind: str, element: str | None, since: int) -> float:
    of = pl.col("element").eq_missing(pl.lit(element))
    row = found.filter(of, kind=kind, since=since).row(-1, named=True)
    return float(row["estimate"] / row["sd"])


def test_the_lot_that_is_off_is_blamed_and_not_the_one_beside_it() -> None:
    lots = played(lambda n, lot, e: -0.05 if (lot, e) == ("SiMn-3", "Mn") else 0.0).lots
    last = lots.filter(element="Mn").unique("lot", keep="last").with_columns(pl.col("estimate").round(3))

    assert last.filter(lot="SiMn-3")["estimate"][0] == pytest.approx(-0.05, abs=0.02)
    beside = last.filter(pl.col("lot").is_in(["FeMn-3", "FeMn-4"]))
    assert beside["estimate"].abs().max() < 0.03  # type: ignore[operator]


def test_honest_lots_are_as_far_off_as_their_spread_says() -> None:
    found = pl.concat(played(lambda n, lot, e: 0.0, seed=seed).lots for seed in range(12))
    at_30 = found.filter(pl.col("heats") == 30, element="Mn")

    assert (at_30["estimate"] / at_30["spread"]).std() == pytest.approx(1.0, abs=0.15)


def test_heats_that_hang_together_do_not_make_a_lot_surer_than_it_is() -> None:
    memory = Memory(0.012, 0.8)
    knows = reference()
    knows.beside["tapping"]["Mn"].memory = memory

    def far(of: Reference) -> float:
        """Of honest lots, in what is said to be their spread."""
        found = pl.concat(
            played(lambda n, lot, e: 0.0, seed=seed, of=of, memory=memory).lots for seed in range(12)
        )
        at_15 = found.filter(pl.col("heats") == 15, element="Mn")
        return float((at_15["estimate"] / at_15["spread"]).std())  # type: ignore[arg-type]

    assert far(knows) == pytest.approx(1.0, abs=0.15)
    assert far(reference()) > 1.2


def test_an_element_that_comes_out_more_from_every_lot_is_told_from_the_others() -> None:
    found = played(lambda n, lot, e: 0.03 if e == "Mn" and n >= 200 else 0.0).changes

    assert z(found, "element", "Mn", 200) > 5
    assert abs(z(found, "element", "Si", 200)) < 3.5


def test_everything_that_comes_out_more_is_a_scale() -> None:
    found = played(lambda n, lot, e: 0.03 if n >= 200 else 0.0).changes

    assert z(found, "scale", None, 200) > max(z(found, "element", e, 200) for e in ("Mn", "Si"))


def test_a_change_is_looked_for_within_chance_where_there_is_none() -> None:
    found = pl.concat(played(lambda n, lot, e: 0.0, seed=seed).changes for seed in range(12))

    for (kind,), of in found.group_by("kind"):
        assert (of["estimate"] / of["sd"]).pow(2).mean() == pytest.approx(1.0, abs=0.4), kind


def test_heats_that_hang_together_do_not_look_like_a_change() -> None:
    memory = Memory(0.012, 0.8)
    knows = reference()
    knows.beside["tapping"]["Mn"].memory = memory

    def far(of: Reference) -> float:
        """How far changes of Mn are found where there is none, in what is said to be chance."""
        found = pl.concat(
            played(lambda n, lot, e: 0.0, seed=seed, of=of, memory=memory).changes for seed in range(24)
        ).filter(element="Mn")
        return float(found.select((pl.col("estimate") / pl.col("sd")).pow(2).mean().sqrt()).item())

    assert far(knows) == pytest.approx(1.0, abs=0.25)
    assert far(reference()) > 1.25


def test_a_sample_that_read_high_at_tapping_is_no_news_at_the_ladle_furnace() -> None:
    of = reference(Before(-0.8, 0.6))
    heat = {"heat": "1", "additive": "SiMn", "lot": "SiMn-1", "element": "Mn", "x": 10.0}
    pairs = pl.DataFrame(
        [{"row": 0, "station": "tapping"} | heat, {"row": 1, "station": "ladle_furnace"} | heat]
    )
    results = {"row": [0, 1], "station": ["tapping", "ladle_furnace"], "element": "Mn", "y": [2.0, -1.6]}
    alone = {"row": [1], "station": ["ladle_furnace"], "element": "Mn", "y": [-1.6]}

    known = told_apart(pairs, pl.DataFrame(results), of).lots
    unknown = told_apart(pairs.filter(row=1), pl.DataFrame(alone), of).lots

    assert known["estimate"][1] > 0 > unknown["estimate"][0]


def test_a_lot_that_is_used_up_is_forgotten_and_the_next_ones_are_judged_as_before() -> None:
    one = ElementFilter()
    for n in range(3):
        lot = ("SiMn", str(n))
        one.meet(1000 * n, lot, SD_REL)
        one.learn([(lot, X)], -1.0, 1.0, [])

    assert one.expected([(("SiMn", "0"), X)]) == 0.0
    assert one.expected([(("SiMn", "2"), X)]) < 0.0
