"""An outside recommender in the loop: what it is told, what becomes of its advice, who is beside it."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import advisor
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from contracts import faults

from plant_simulator import cli
from plant_simulator.catalogue import STATIONS, TAPPING, Catalogue
from plant_simulator.history import LATE_RESULT_AFTER_MIN
from plant_simulator.parameters import Parameters
from plant_simulator.policies import closed_loop, reference, scenes
from plant_simulator.policies.cases import do
from plant_simulator.policies.closed_loop import BEST_AIM, CORNERS, RECOMMENDER
from plant_simulator.policies.recommender import MINUTES_BETWEEN_HEATS, Recommender, RecommenderGoneError

LINES, HEATS, SKIP = 3, 40, 8


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Station to the folder of a loop, which also has what was asked: requests.jsonl."""
    folders = {}
    for station in STATIONS:
        folders[station] = tmp_path_factory.mktemp(station)
        _run(folders[station], "--station", station, "--scenario", "late-and-twice@12")
    return folders


def test_what_it_is_told_agrees_with_the_contract(played: dict[str, Path]) -> None:
    for folder in played.values():
        requests = _requests(folder)

        assert len(requests) == LINES * HEATS
        for request in requests[:: LINES * 5 + 1]:
            assert request["heat"]["price_of_a_miss"] == {"amount": 6000.0, "currency": "EUR"}
            assert "confidence" not in request
            assert faults("model-service/recommendation-request.v1.schema.json", request) == []


def test_results_come_back_late_as_a_plant_has_them(played: dict[str, Path]) -> None:
    last = [request for request in _requests(played[TAPPING]) if request["heat"]["heat_no"] == "H0000040"]
    waits = set()
    for request in last:
        recent = request["recent_heats"]
        times = [heat["completed_at"] for heat in recent]

        assert len(recent) == 30
        assert times == sorted(times)
        assert times[-1] <= request["heat"]["registered_at"]
        assert {heat["treatment"]["plant_id"] for heat in recent} == {
            request["heat"]["treatment"]["plant_id"]
        }
        waits |= {_minutes(heat["heat"]["registered_at"], heat["completed_at"]) for heat in recent}
    assert max(waits) == LATE_RESULT_AFTER_MIN > MINUTES_BETWEEN_HEATS
    assert len(waits) == 2


def test_a_recent_heat_has_the_prediction_made_then_for_what_was_weighed(played: dict[str, Path]) -> None:
    recent = [heat for request in _requests(played[TAPPING])[-LINES:] for heat in request["recent_heats"]]
    advised = [heat for heat in recent if int(heat["heat"]["heat_no"][1:]) % 2]

    assert 30 < len(advised) < len(recent)
    for heat in advised:
        weighed = {a["additive"]: a["added_kg"] for a in heat["additions"]}
        assert heat["bundle_hash"] == advisor.HASH
        assert heat["base_prediction_pct"] == {
            "Mn": pytest.approx(0.59 + advisor.SLOPE * (weighed["SiMn"] - 1000))
        }
    assert all("bundle_hash" not in heat for heat in recent if heat not in advised)


def test_where_it_abstains_the_handbook_is_tipped_and_counted(played: dict[str, Path]) -> None:
    heats, summary = _heats(played[TAPPING]), _summary(played[TAPPING])
    advised, rule = heats[RECOMMENDER], heats[reference.HANDBOOK]
    even = np.array(advised["heat_no"]) % 2 == 0

    assert np.array_equal(np.array(advised["cost"])[even], np.array(rule["cost"])[even])
    assert np.abs(np.array(advised["tipped_kg_SiMn"])[~even] - 1000).max() < 12
    assert summary["heats"] == LINES * (HEATS - SKIP) == 2 * summary["advised"]
    assert summary["reasons"] == {"outside_training_range": LINES * HEATS // 2}


def test_every_policy_is_judged_on_the_steelmakers_own_heats(
    played: dict[str, Path], plant: Catalogue, figures: Parameters
) -> None:
    for station, folder in played.items():
        heats = _heats(folder)
        scene = scenes.Scene(7, 0, "late-and-twice@12")
        blocks = scenes.cases_of(plant, figures, scene, station, range(1, LINES + 1), HEATS)
        costs = []
        for cases in blocks:
            outcome = do(plant, figures, cases, cases.steelmaker_kg)
            cost = (outcome.tipped_kg * cases.hidden.price_per_t).sum(axis=1) / 1000
            costs.append(cost[cases.observed.heat_no > SKIP])
        everybody = {RECOMMENDER, reference.STEELMAKER, reference.HANDBOOK, BEST_AIM, *CORNERS.values()}

        assert np.array_equal(np.array(heats[reference.STEELMAKER]["cost"]), np.concatenate(costs))
        assert everybody < set(heats)
        assert {(*h["line"], *h["heat_no"]) for name, h in heats.items() if name in everybody} == {
            (*heats[RECOMMENDER]["line"], *heats[RECOMMENDER]["heat_no"])
        }
        assert set(heats[reference.ALL_KNOWING]["line"]) == {1}


def test_by_chance_the_advice_is_not_tipped(tmp_path: Path, played: dict[str, Path]) -> None:
    _run(tmp_path, "--station", TAPPING, "--randomised", "--confidence", "0.99")
    asked = _requests(tmp_path)[0]
    by_chance, advised = (pq.read_table(f / "answers.parquet") for f in (tmp_path, played[TAPPING]))
    b500b, odd = pc.equal(by_chance["grade"], "B500B"), np.array(by_chance["heat_no"]) % 2 == 1
    amounts = np.array(by_chance["added_pct_Mn"])

    assert asked["confidence"] == 0.99
    assert "price_of_a_miss" not in asked["heat"]
    assert not (tmp_path / "heats.parquet").exists()
    assert np.ptp(np.array(advised["added_pct_Mn"])[odd]) < 0.1
    assert np.ptp(amounts[odd & np.array(b500b)]) > 0.2


def test_a_line_is_the_same_whatever_lines_are_played_with_it(
    tmp_path: Path, played: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closed_loop, "LINES_AT_ONCE", 2)
    _run(tmp_path, "--station", TAPPING, "--scenario", "late-and-twice@12", "--alone")
    keys = [("line", "ascending"), ("heat_no", "ascending")]
    alone, among = (pq.read_table(f / "heats.parquet").sort_by(keys) for f in (tmp_path, played[TAPPING]))

    assert set(alone["policy"].to_pylist()) == {RECOMMENDER}
    assert alone.equals(among.filter(pc.equal(among["policy"], RECOMMENDER)))
    assert _summary(tmp_path)["reasons"] == _summary(played[TAPPING])["reasons"]


def test_a_recommender_that_ends_is_said_to_have_ended() -> None:
    with (
        Recommender(f"{sys.executable} -c 'input()'") as recommender,
        pytest.raises(RecommenderGoneError, match="0 of 2 requests"),
    ):
        recommender.answers(["{}", "{}"])
    with pytest.raises(RecommenderGoneError, match="cannot be started"):
        Recommender("no-such-command")


def _run(folder: Path, *more: str) -> None:
    command = f"{sys.executable} {advisor.__file__} {folder / 'requests.jsonl'}"
    size = (
        "--lines",
        str(LINES),
        "--heats-per-line",
        str(HEATS),
        "--skip",
        str(SKIP),
        "--optimum-lines",
        "1",
    )
    cli.main(["closed-loop", "--recommender", command, *size, "--output", str(folder), *more])


def _requests(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "requests.jsonl").read_text().splitlines()]


def _summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def _heats(folder: Path) -> dict[str, dict[str, list[Any]]]:
    table = pq.read_table(folder / "heats.parquet")
    names = dict.fromkeys(table["policy"].to_pylist())
    return {name: table.filter(pc.equal(table["policy"], name)).to_pydict() for name in names}


def _minutes(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() / 60
