"""Alarms of lots are held to what the simulator knows of them."""

import pytest

from local_runner.true_alarms import Alarmed, alarmed, off_by

SENTENCE = "Since heat H0003130 lot SM-0039 of SiMn brings 3.7 % less manganese than its certificate says."
TRUTH = [
    {
        "additive": "SiMn",
        "lot": "SM-0039",
        "first_heat_no": 3120,
        "assay": {"Mn": {"certificate_pct": 66.0, "true_pct": 64.35}},
    }
]


def alarm(sentence: str, cause: str = "lot") -> dict[str, object]:
    return {"sentence": sentence, "cause": cause, "elements": ["Mn"]}


def test_each_lot_that_an_alarm_names_is_judged_once() -> None:
    found = alarmed([alarm("People aim lower.", "aim"), alarm(SENTENCE), alarm(SENTENCE)])

    assert found == [Alarmed("SiMn", "SM-0039", "Mn")]


def test_a_lot_is_as_far_off_as_its_true_assay_is_from_its_certificate() -> None:
    assert off_by(Alarmed("SiMn", "SM-0039", "Mn"), TRUTH) == pytest.approx(-0.025)


def test_the_lot_of_the_scenario_is_as_far_off_as_the_scenario_says() -> None:
    assert off_by(Alarmed("SiMn", "SM-9001", "Mn"), []) == -0.04
    assert off_by(Alarmed("SiMn", "SM-9001", "Si"), []) == 0.0
