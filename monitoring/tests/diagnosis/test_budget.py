"""The looks of all tests together spend no more than the budget of false alarms."""

import math
from statistics import NormalDist

import pytest

from monitoring.diagnosis import budget, grades
from monitoring.diagnosis.building import build
from monitoring.diagnosis.lots import LOOK_AT, SPENT_AT, spreads
from tests.diagnosis.plants import rows


def tail(limit: float) -> float:
    return 2 * NormalDist().cdf(-limit)


def test_the_shares_add_up() -> None:
    assert sum(budget.SHARES.values()) == pytest.approx(1.0)
    assert sum(SPENT_AT) == pytest.approx(1.0)


def test_all_looks_of_a_kind_spend_its_share() -> None:
    looks = budget.looks_of_windows(charts=7, windows=3)

    assert looks * tail(budget.limit("people", looks)) == pytest.approx(budget.SHARES["people"])


def test_the_looks_of_all_lots_of_2000_heats_spend_their_share() -> None:
    reference = build(rows(600, seed=3))
    spent = 0.0
    for row in spreads(reference).iter_rows(named=True):
        one_sided = [tail(row[f"{side}_{n}"]) / 2 for n in range(len(LOOK_AT)) for side in ("below", "above")]
        spent += max(1.0, row["lots"]) * sum(one_sided)

    assert spent == pytest.approx(budget.SHARES["lot"])


def test_grades_are_looked_at_after_each_treatment_within_their_share() -> None:
    looks = budget.TREATMENTS * 3 * len(grades.WINDOWS)

    assert looks * tail(budget.limit("grade", looks)) <= budget.SHARES["grade"] * (1 + 1e-9)


def test_a_limit_is_what_its_chance_says() -> None:
    assert budget.two_sided(0.05) == pytest.approx(1.959964, abs=1e-6)
    assert math.isclose(budget.two_sided(1.0), 0.6744897501960817)
