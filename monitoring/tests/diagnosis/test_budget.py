"""The looks of all tests together spend no more than the budget of false alarms."""

import math
import random
from statistics import NormalDist

import polars as pl
import pytest

from monitoring.diagnosis import budget, grades
from monitoring.diagnosis.building import build
from monitoring.diagnosis.furthest import Look, furthest
from monitoring.diagnosis.lots import spreads
from tests.diagnosis.plants import rows


def tail(limit: float) -> float:
    return 2 * NormalDist().cdf(-limit)


def test_the_shares_add_up() -> None:
    assert sum(budget.SHARES.values()) == pytest.approx(1.0)


def test_all_looks_of_a_kind_spend_its_share() -> None:
    looks = budget.looks_of_windows(charts=7, windows=3)

    assert looks * tail(budget.limit("people", looks)) == pytest.approx(
        budget.FALSE_ALARMS * budget.SHARES["people"]
    )


def test_the_lots_of_2000_heats_spend_their_share() -> None:
    lots = spreads(build(rows(600, seed=3)))

    spent = (lots["lots"] * (lots["chance_below"] + lots["chance_above"])).sum()
    assert spent == pytest.approx(budget.FALSE_ALARMS * budget.SHARES["lot"])


LOOKS = [
    Look(5_000.0, 1.5, 0.6),
    Look(15_000.0, 1.0, 0.3),
    Look(20_000.0, 1.0, 0.3),
    Look(60_000.0, 1.1, 0.3),
]
TOLD = (0.6, 1.0, 1.4)


def test_honest_lots_are_beyond_their_limit_as_often_as_was_said() -> None:
    limit = furthest(0.01, LOOKS, told=TOLD, worth=0.025, chance=0.02)
    chance = random.Random(77)
    alarmed = sum(honest_lot_is_alarmed(chance, 0.01, limit) for _ in range(20_000))

    assert alarmed / 20_000 == pytest.approx(0.02, abs=0.004)


def honest_lot_is_alarmed(chance: random.Random, sd_rel: float, limit: float) -> bool:
    """Heat after heat, as it comes, of which some tell more than others; a lot that is 2.5 % off is no honest
    one.
    """
    off, share = chance.gauss(0, sd_rel), chance.choice(TOLD)
    known = told = 0.0
    for look in LOOKS:
        information = look.known * share
        told += (information - known) * off + chance.gauss(0, math.sqrt(information - known))
        known = information
        if known * sd_rel**2 >= look.at_least and -told / known > limit * look.times:
            return abs(off) < 0.025
    return False


def test_lots_of_which_some_tell_little_have_a_further_limit() -> None:
    looks = [Look(10_000.0, 1.0, 0.0)]
    alike, unlike = (
        furthest(0.01, looks, told=told, worth=1.0, chance=0.01) for told in ((1.0,), (0.2, 1.8))
    )

    assert unlike > alike


def test_the_rarer_an_alarm_may_be_the_further_its_limit() -> None:
    looks = [Look(10_000.0, 1.0, 0.0), Look(20_000.0, 1.0, 0.0)]
    chances = (0.05, 0.01, 0.004, 1e-4, 1e-8)
    limits = [furthest(0.01, looks, told=(1.0,), worth=0.025, chance=chance) for chance in chances]

    assert limits == sorted(limits)
    assert limits[-1] < 7 * math.hypot(0.01, 0.01)  # seven standard deviations of the first look


def test_grades_are_looked_at_after_each_treatment_within_their_share() -> None:
    looks = budget.TREATMENTS * 3 * len(grades.WINDOWS)

    assert looks * tail(budget.limit("grade", looks)) <= budget.FALSE_ALARMS * budget.SHARES["grade"] * (
        1 + 1e-9
    )


def test_a_limit_is_what_its_chance_says() -> None:
    assert budget.two_sided(0.05) == pytest.approx(1.959964, abs=1e-6)
    assert math.isclose(budget.two_sided(1.0), 0.6744897501960817)


def test_an_alloy_that_did_not_dissolve_in_a_few_heats_is_no_practice() -> None:
    off = [0.0] * 30 + [-4.0] * 4 + [0.0] * 30
    lasting = [0.0] * 30 + [-4.0] * 30

    assert grades.grades(errors_of(off)).is_empty()
    alarms = grades.grades(errors_of(lasting))
    assert alarms["since"].max() >= 30 > alarms["since"].min()  # type: ignore[operator]


def errors_of(y: list[float]) -> pl.DataFrame:
    heats = {"row": range(len(y)), "station": "tapping", "grade": "B", "element": "V", "y": y}
    return pl.DataFrame(heats)
