"""The page of the detection bench: its figures are those of the run; what was not named stands there too."""

import math
from pathlib import Path

from bench import rows
from bench.detection_figures import (
    Alarm,
    Found,
    Named,
    bad_lots,
    confusion,
    healthy,
    poisson,
    read,
    scenarios,
    wilson,
)
from bench.detection_report import write

FOUND = Found(
    expected={"simn-lot-low": "lot", "scale-bias": "scale"},
    delays=[6.0, 15.0, 30.0, math.inf],
    alarms=[Alarm("lot", False), Alarm("lot", True), Alarm("aim", False)],
    healthy_heats=8000,
    named=[
        Named("simn-lot-low", {"lot": 9.0}, True),
        Named("simn-lot-low", {"lot": 12.0, "practice": 40.0}, True),
        Named("scale-bias", {}, False),
        Named("scale-bias", {"scale": 80.0}, True),
    ],
    replays=2,
    seeds=[1, 2, 3, 4],
)


def test_what_a_run_found_is_read_again_as_it_was() -> None:
    assert read(FOUND.document()) == FOUND


def test_a_lot_that_is_truly_off_is_no_false_alarm() -> None:
    figures = healthy(FOUND.alarms, FOUND.healthy_heats)

    assert figures["false alarms in 2,000 heats"] == ([0.5], "alarms")


def test_a_lot_that_was_never_named_counts_as_not_named_in_time() -> None:
    figures = bad_lots(FOUND.delays)

    assert figures["-4 % Mn lots named within 15 affected heats"] == ([0.5], "share")
    assert figures["affected heats until a -4 % Mn lot is named"] == ([6.0, 15.0, 30.0], "heats")


def test_a_replay_in_which_nothing_was_named_counts_against_its_scenario() -> None:
    assert scenarios(FOUND)["scale-bias: scale named"] == ([0.5], "share")
    assert confusion(FOUND)["simn-lot-low"] == {"lot": 1.0, "practice": 0.5}


def test_intervals_hold_what_they_are_of() -> None:
    assert wilson(180, 200)[0] < 0.9 < wilson(180, 200)[1]
    assert poisson(4)[0] < 4 < poisson(4)[1]
    assert poisson(0)[0] == 0.0


def test_the_page_says_what_was_missed_and_its_pictures_are_pictures(tmp_path: Path) -> None:
    bars = [{"what": "-4 % Mn lots named within 15 affected heats", "unit": "share", "at_least": 0.9}]
    write(FOUND, rows.judge(bars, bad_lots(FOUND.delays)), tmp_path)

    page = (tmp_path / "README.md").read_text()
    assert "**missed**" in page
    assert "in 2 of 4 replays" in page
    assert "there were 2 false alarms" in page
    assert "| scale-bias | a scale | 1 of 2 | 80 |" in page
    for name in ("confusion.svg", "delays.svg"):
        picture = (tmp_path / name).read_text()
        assert picture.startswith("<svg xmlns=")
        assert picture.endswith("</svg>\n")
        assert name in page
