"""Money against the handbook's rule, on heats where the answer can be worked out by hand."""

from typing import Any

import pytest

from monitoring.measures.savings import LEAST_HEATS, savings, teaching
from tests.diagnosis.plants import ASSAYS, MASS_T, Trouble, rows

HEATS = 240  # 80 of each grade


def by_the_rule(more_kg: float, own_cost: float, rule_cost: float, *, least_mn: float = 0.0) -> Trouble:
    """A plant whose rule would have tipped `more_kg` more FeMn, and where Mn has a minimum above or below."""

    def change(row: dict[str, Any]) -> None:
        row["handbook"] = [
            {
                "additive": one["additive"],
                "lot": one["lot"],
                "added_kg": one["added_kg"] + more_kg * (one["additive"] == "FeMn"),
            }
            for one in row["weighed"]
        ]
        row["weighed_cost"], row["handbook_cost"], row["currency"] = own_cost, rule_cost, "EUR"
        measured = next(a["pct"] for a in row["samples"][0]["chemistry"] if a["element"] == "Mn")
        row["windows"] = [{"element": "Mn", "min_pct": measured + least_mn, "aim_pct": None, "max_pct": 9.0}]

    return Trouble(change=change)


def test_cheaper_additions_at_the_same_result_are_saved() -> None:
    found = savings(rows(HEATS, by_the_rule(0.0, 1080.0, 1200.0)), price_per_miss_per_t=5.0)

    assert [(one.station, one.grade) for one in found] == [
        (station, grade) for station in ("tapping", "ladle_furnace") for grade in "ABC"
    ]
    assert all(one.per_t == pytest.approx(1.0) for one in found)
    assert all(one.sd == pytest.approx(5.0 / one.heats) for one in found)  # one heat's miss
    assert sum(one.heats for one in found) == 2 * HEATS


def test_a_rule_that_would_have_missed_is_charged_the_price_of_a_miss() -> None:
    """10 kg of FeMn less in 120 t are 0.063 % Mn less; every heat is in window by 0.03 %."""
    found = savings(
        rows(HEATS, by_the_rule(-10.0, 1200.0, 1200.0, least_mn=-0.003)), price_per_miss_per_t=5.0
    )
    less_pct = 10 * ASSAYS["FeMn"]["Mn"] / (1000 * MASS_T)

    assert less_pct > 0.003
    assert {one.in_window for one in found} == {1.0}
    assert {one.rule_in_window for one in found} == {0.0}
    assert all(one.per_t == pytest.approx(5.0) and one.additives_per_t == pytest.approx(0.0) for one in found)


def test_a_rule_that_would_have_met_what_was_missed_is_credited() -> None:
    found = savings(rows(HEATS, by_the_rule(10.0, 1200.0, 1200.0, least_mn=0.003)), price_per_miss_per_t=5.0)

    assert {(one.in_window, one.rule_in_window, round(one.per_t, 6)) for one in found} == {(0.0, 1.0, -5.0)}


def test_a_grade_with_few_heats_is_left_out() -> None:
    assert savings(rows(LEAST_HEATS * 3 - 3, by_the_rule(0.0, 1.0, 2.0)), price_per_miss_per_t=5.0) != []
    assert savings(rows(20, by_the_rule(0.0, 1.0, 2.0)), price_per_miss_per_t=5.0) == []


def test_additions_that_vary_can_teach_and_those_that_do_not_cannot() -> None:
    def exact(row: dict[str, Any]) -> None:
        """Everybody adds just what the heat asks for."""
        first = {one["element"]: one["pct"] for one in row["chemistry"]}
        added = dict.fromkeys(first, 0.0)
        for one in row["weighed"]:
            for element, pct in ASSAYS[one["additive"]].items():
                added[element] += one["added_kg"] * pct / (1000 * MASS_T)
        for window in row["windows"]:
            window["aim_pct"] = (
                first[window["element"]] + added[window["element"]] + 1e-6 * int(row["heat_no"])
            )

    varied = {
        (one.station, one.element): one.can_teach for one in teaching(rows(HEATS, Trouble(change=wide)))
    }
    accepted = {
        (one.station, one.element): one.can_teach for one in teaching(rows(HEATS, Trouble(change=exact)))
    }

    assert varied["tapping", "Mn"]
    assert set(accepted.values()) == {False}


def wide(row: dict[str, Any]) -> None:
    """Everybody aims at the grade's own figure, and tips more or less."""
    for window in row["windows"]:
        window["aim_pct"] = {"Mn": 1.0, "Si": 0.3, "C": 0.3}[window["element"]]


def test_a_rule_that_is_moved_to_the_edge_of_a_window_meets_it_by_chance() -> None:
    """The moved result is just the least that is allowed; predictions off the line are doubt of it."""
    less_pct = 10 * ASSAYS["FeMn"]["Mn"] / (1000 * MASS_T)
    to_the_edge = by_the_rule(-10.0, 1200.0, 1200.0, least_mn=-less_pct)

    def off_the_line(row: dict[str, Any]) -> None:
        to_the_edge.change(row)
        for one in row["weighed_predicted"]:
            one["base_pct"] += 0.02 * (-1) ** int(row["heat_no"])

    found = savings(rows(HEATS, Trouble(change=off_the_line)), price_per_miss_per_t=5.0)

    assert all(one.rule_in_window == pytest.approx(0.5, abs=0.1) for one in found if one.station == "tapping")
    assert all(one.sd > 5.0 * (0.25 / one.heats) ** 0.5 for one in found if one.station == "tapping")
