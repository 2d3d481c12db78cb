"""What is made to go wrong in a small plant is what is told, and a healthy one is left in peace."""

from functools import cache
from typing import Any

import polars as pl
import pytest

from monitoring.diagnosis.building import build
from monitoring.diagnosis.diagnose import Diagnosed, diagnose
from monitoring.diagnosis.facts import Fact, facts
from monitoring.diagnosis.findings import Finding
from monitoring.diagnosis.reference import Reference
from tests.diagnosis.plants import Trouble, rows

BEGIN, HEATS = 120, 320


@cache
def reference() -> Reference:
    return build(rows(1200, seed=99))


def diagnosed(trouble: Trouble | None = None, seed: int = 5) -> Diagnosed:
    return diagnose(rows(HEATS, trouble, seed=seed), reference())


def told(trouble: Trouble, seed: int = 5) -> list[Finding]:
    return [one for one in diagnosed(trouble, seed).findings if int(one.alarm_heat) >= BEGIN]


def test_a_healthy_plant_is_left_in_peace() -> None:
    found = [one for seed in range(11, 17) for one in diagnosed(seed=seed).findings]

    assert len(found) <= 1  # 1,920 heats, at most one in 2,000 on average


@pytest.mark.parametrize(
    ("trouble", "diagnosis", "cause"),
    [
        (Trouble(lot=("SiMn", "Mn", -0.04)), "material", "lot"),
        (Trouble(scale=0.02), "instrument", "scale"),
        (Trouble(spectrometer=("Mn", 0.03)), "instrument", "element"),
        (Trouble(practice=("B", "Si", 0.06)), "model", "practice"),
        (Trouble(aim_pct=-0.03), "people", "aim"),
        (Trouble(carry_over_kg_t=4.0), "material", "carry_over"),
        (Trouble(copper_pct=0.08), "material", "scrap"),
        (Trouble(oxygen_is_missing=True), "instrument", "reading_missing"),
    ],
)
def test_what_went_wrong_is_named(trouble: Trouble, diagnosis: str, cause: str) -> None:
    trouble.begin = BEGIN
    found = told(trouble)

    assert [(one.diagnosis, one.cause) for one in found[:1]] == [(diagnosis, cause)]


def test_a_lot_is_named_with_its_additive_element_and_first_heat() -> None:
    finding = told(Trouble(begin=BEGIN, lot=("SiMn", "Mn", -0.04)))[0]

    assert finding.subject == "SiMn SiMn-9001"
    assert finding.elements == ["Mn"]
    assert finding.since_heat == str(BEGIN)
    assert "brings" in finding.sentence
    assert "less manganese than its certificate says" in finding.sentence
    assert finding.evidence["effect"] == pytest.approx(-0.04, abs=0.012)


def test_a_practice_is_named_with_its_grade_and_station() -> None:
    finding = told(Trouble(begin=BEGIN, practice=("B", "Si", 0.06)))[0]

    assert (finding.grades, finding.station, finding.elements) == (["B"], "tapping", ["Si"])
    assert "retrain" in finding.sentence


def test_people_who_aim_lower_are_no_error_of_the_model() -> None:
    assert {one.diagnosis for one in told(Trouble(begin=BEGIN, aim_pct=-0.03))} == {"people"}


def test_nothing_to_look_at_tells_nothing() -> None:
    nothing = rows(5).filter(pl.lit(False))

    assert diagnose(nothing, reference()).findings == []
    assert facts(nothing, reference()) == []


def test_an_element_or_a_grade_that_the_reference_does_not_know_is_not_judged() -> None:
    def unknown(row: dict[str, Any]) -> None:
        if int(row["heat_no"]) >= BEGIN:
            row["grade"] = "new"
            row["weighed_predicted"][0]["base_pct"] = 9.0

    assert told(Trouble(change=unknown)) == []


class TestFacts:
    def since_begin(self, trouble: Trouble) -> list[Fact]:
        trouble.begin = BEGIN
        return facts(rows(HEATS, trouble), reference())

    def test_nothing_is_a_fact_in_a_plant_where_nothing_changes(self) -> None:
        assert facts(rows(HEATS), reference()) == []

    def test_a_price_is_told_once_per_additive(self) -> None:
        found = self.since_begin(Trouble(price=1.35))

        assert [(one.cause, one.heat) for one in found] == [("price", str(BEGIN))] * 4
        assert "costs 35 % more" in found[0].sentence

    def test_an_alloy_that_has_run_out_is_told_at_each_station(self) -> None:
        found = self.since_begin(Trouble(without="FeMn"))

        assert [(one.cause, one.subject, one.station) for one in found] == [
            ("stock_out", "FeMn", "tapping"),
            ("stock_out", "FeMn", "ladle_furnace"),
        ]

    def test_a_grade_that_was_not_trained_on_is_told(self) -> None:
        found = self.since_begin(Trouble(grade="X70M"))

        assert [(one.cause, one.subject) for one in found] == [("new_grade", "X70M")]

    def test_late_results_are_told(self) -> None:
        def late(row: dict[str, Any]) -> None:
            if int(row["heat_no"]) >= BEGIN:
                row["samples"][0]["available_at"] = row["completed_at"].replace(minute=59, hour=23)

        assert [one.cause for one in self.since_begin(Trouble(change=late))] == ["late"]
