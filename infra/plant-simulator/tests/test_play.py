"""The live plant against a real bus and a stub of the backend's screen."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from bus_server import NatsServer
from contracts import event_faults
from nats.errors import TimeoutError as NatsTimeoutError
from screen import ADVICE, RECOMMENDATION_ID, Screen, screen

from plant_simulator import cli, events, life

FACTS = {events.REGISTERED, events.WEIGHED, events.ANALYSED, events.LOT, events.STOCK, events.PRICE}
FACTS |= {events.CANCELLED, events.DIVERTED}


@pytest.fixture
def backend() -> Iterator[Screen]:
    with screen() as told:
        yield told


def play(
    nats_url: str, backend: Screen, summary: Path, *more: str, heats: int = 12, seed: int = 5
) -> dict[str, Any]:
    """Play heats by the command; returns its report."""
    cli.main(
        [
            *(
                "play",
                "--heats",
                str(heats),
                "--seed",
                str(seed),
                "--nats-url",
                nats_url,
                "--backend-url",
                backend.url,
            ),
            *("--summary", str(summary), "--late-result-s", "0.05", "--run-id", "test", *more),
        ]
    )
    report: dict[str, Any] = json.loads(summary.read_text())
    return report


def told(nats_url: str) -> list[dict[str, Any]]:
    """Every event in the stream PLANT, in order."""

    async def fetch() -> list[dict[str, Any]]:
        client = await nats.connect(nats_url)
        subscription = await client.jetstream().subscribe("plant.>", ordered_consumer=True)
        found: list[dict[str, Any]] = []
        wanted = (await client.jetstream().stream_info("PLANT")).state.messages
        while len(found) < wanted:
            try:
                message = await subscription.next_msg(timeout=5)
            except (TimeoutError, NatsTimeoutError):
                break
            event = json.loads(message.data)
            assert message.subject == event["type"]
            assert message.headers is not None
            assert message.headers["Nats-Msg-Id"] == event["id"]
            found.append(event)
        await client.close()
        return found

    return asyncio.run(fetch())


def of(kind: str, told_events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event["data"] for event in told_events if event["type"] == kind]


def busy(tmp_path: Path) -> tuple[str, str]:
    """Figures of a plant in which every kind of report happens often."""
    file = tmp_path / "busy.yaml"
    rates = (
        "late_result_rate",
        "duplicate_rate",
        "corrected_result_rate",
        "corrected_weight_rate",
        "extra_sample_rate",
        "diverted_rate",
    )
    lots = "lot_life_min_heats: 4\nlot_life_mean_heats: 5\nlot_life_max_heats: 8\nprice_change_rate: 1\n"
    file.write_text(lots + "cancelled_rate: 0.2\n" + "".join(f"{rate}: 0.5\n" for rate in rates))
    return "--parameters", str(file)


def never_cancelled(tmp_path: Path) -> tuple[str, str]:
    file = tmp_path / "quiet.yaml"
    file.write_text("cancelled_rate: 0\n")
    return "--parameters", str(file)


def test_every_event_agrees_with_its_contract(tmp_path: Path, nats_url: str, backend: Screen) -> None:
    both = ("--stations", "both")
    report = play(nats_url, backend, tmp_path / "summary.json", *busy(tmp_path), *both, heats=40)
    events_told = told(nats_url)

    faults = [fault for event in events_told for fault in event_faults(event)]
    assert faults == []
    assert {event["type"] for event in events_told} == FACTS
    assert len(events_told) == report["events"]
    assert len({event["id"] for event in events_told}) == len(events_told)


def test_each_heat_is_registered_decided_weighed_and_analysed(
    tmp_path: Path, nats_url: str, backend: Screen
) -> None:
    quiet = never_cancelled(tmp_path)
    report = play(nats_url, backend, tmp_path / "summary.json", *quiet, heats=30)
    events_told = told(nats_url)

    assert {report[k] for k in ("registered", "decided", "weighed", "completed")} == {30}
    assert report["accepted"] + report["edited"] == 30
    assert len(backend.decisions) == len(backend.shown) == 30
    keys = Counter(events.key(data["treatment"]) for data in of(events.REGISTERED, events_told))
    assert set(keys.values()) == {1}
    assert set(keys) == {events.key(treatment) for treatment in report["treatments"]}
    finals = [data for data in of(events.ANALYSED, events_told) if data["sample"]["is_final"]]
    assert {events.key(data["treatment"]) for data in finals} == set(keys)
    assert {events.key(data["treatment"]) for data in of(events.WEIGHED, events_told)} == set(keys)


def test_a_heat_goes_on_to_the_ladle_furnace_with_the_result_of_tapping(
    tmp_path: Path, nats_url: str, backend: Screen
) -> None:
    report = play(nats_url, backend, tmp_path / "summary.json", "--stations", "both", heats=20)
    events_told = told(nats_url)
    heats = {events.key(data["treatment"]): data for data in of(events.REGISTERED, events_told)}
    finals = {
        events.key(data["treatment"]): data["sample"]["chemistry"]
        for data in of(events.ANALYSED, events_told)
        if data["sample"]["is_final"] and data["sample"]["revision"] == 1
    }
    ladles = [t for t in report["treatments"] if t["station"] == "ladle_furnace"]
    continued = 0
    for treatment in ladles:
        x = heats[events.key(treatment)]
        tapped = finals[events.key({**treatment, "station": "tapping"})]
        continued += x["chemistry"] == tapped
        assert "oxygen_ppm" not in x

    assert report["completed"] == len(report["treatments"]) == 40
    assert len(ladles) == 20
    assert continued >= 15  # some first samples are missing, some results are corrected
    order = [events.key(d["treatment"]) for d in of(events.REGISTERED, events_told)]
    for treatment in ladles:
        tapping = events.key({**treatment, "station": "tapping"})
        assert order.index(tapping) < order.index(events.key(treatment))


def test_cancelled_heats_are_told_and_others_are_made_in_their_place(
    tmp_path: Path, nats_url: str, backend: Screen
) -> None:
    report = play(nats_url, backend, tmp_path / "summary.json", *busy(tmp_path), heats=40)
    events_told = told(nats_url)
    cancelled = {events.key(d["treatment"]) for d in of(events.CANCELLED, events_told)}

    assert len(cancelled) == report["cancelled"] > 0
    assert report["completed"] == len(report["treatments"]) == 40
    assert report["registered"] == 40 + report["cancelled"]
    assert not cancelled & {events.key(t) for t in report["treatments"]}
    assert not cancelled & {events.key(d["treatment"]) for d in of(events.WEIGHED, events_told)}


def test_a_diverted_heat_was_told_as_another_grade_first(
    tmp_path: Path, nats_url: str, backend: Screen
) -> None:
    play(nats_url, backend, tmp_path / "summary.json", *busy(tmp_path), heats=40)
    events_told = told(nats_url)
    first = {events.key(d["treatment"]): d["grade"] for d in of(events.REGISTERED, events_told)}
    diverted = {events.key(d["treatment"]): d["grade"] for d in of(events.DIVERTED, events_told)}

    assert len(diverted) > 5
    assert all(first[key] != grade for key, grade in diverted.items())


def test_a_scenario_is_switched_on_while_the_plant_runs(
    tmp_path: Path, nats_url: str, backend: Screen
) -> None:
    control = tmp_path / "control"

    def switch() -> None:
        wait_for(lambda: len(backend.decisions) >= 5)
        control.write_text("oxygen-lost\nprice-change\n")

    trouble = threading.Thread(target=switch)
    trouble.start()
    pace = ("--heats-per-minute", "1200", "--in-flight", "2")
    play(nats_url, backend, tmp_path / "summary.json", *pace, "--control", str(control), heats=40)
    trouble.join()
    events_told = told(nats_url)
    sent = ["oxygen_ppm" in heat for heat in of(events.REGISTERED, events_told)]
    simn = [d["price_per_t"]["amount"] for d in of(events.PRICE, events_told) if d["additive"] == "SiMn"]

    assert sent[:5] == [True] * 5
    assert sent[-5:] == [False] * 5
    assert simn[-1] > 1.2 * simn[0]


def test_what_runs_out_is_told_and_not_decided(tmp_path: Path, nats_url: str, backend: Screen) -> None:
    backend.advises = False
    out = ("--scenario", "stock-out@3", "--recommendation-wait-s", "0.1")
    play(nats_url, backend, tmp_path / "summary.json", *out, heats=20)
    stock = [d["stock_kg"] for d in of(events.STOCK, told(nats_url)) if d["additive"] == "FeMnMC"]

    assert stock[0] > 0
    assert stock[-1] == 0


def test_decisions_name_what_was_shown_and_why_they_differ(
    tmp_path: Path, nats_url: str, backend: Screen
) -> None:
    play(nats_url, backend, tmp_path / "summary.json", heats=30)
    shown = {a["additive"]: a["added_kg"] for a in ADVICE}
    for (decision,) in backend.decisions.values():
        decided = {a["additive"]: a["added_kg"] for a in decision["additions"]}

        assert decision["recommendation_id"] == RECOMMENDATION_ID
        assert (decision["reason_code"] is None) == (decided == shown)
        assert all(a["lot"] for a in decision["additions"])


def test_what_was_weighed_is_near_what_was_decided(tmp_path: Path, nats_url: str, backend: Screen) -> None:
    play(nats_url, backend, tmp_path / "summary.json", heats=20)
    weighed = of(events.WEIGHED, told(nats_url))
    decided = {path.split("/")[5]: puts[0]["additions"] for path, puts in backend.decisions.items()}
    differences = []
    for data in weighed:
        by_name = {a["additive"]: a for a in data["additions"]}
        for addition in decided[data["treatment"]["heat_uid"]]:
            scale = by_name[addition["additive"]]
            assert scale["lot"] == addition["lot"]
            differences.append(scale["added_kg"] - addition["added_kg"])

    assert any(differences)
    assert max(map(abs, differences)) < 250  # slips of up to 10 % are corrected later


def test_reports_come_late_twice_and_corrected(tmp_path: Path, nats_url: str, backend: Screen) -> None:
    report = play(nats_url, backend, tmp_path / "summary.json", *busy(tmp_path), heats=40)
    samples = [data["sample"] | data["treatment"] for data in of(events.ANALYSED, told(nats_url))]
    finals = Counter((s["heat_uid"], s["revision"]) for s in samples if s["is_final"])

    assert sum(n == 2 for n in finals.values()) == report["sent_twice"] > 5
    assert sum(revision == 2 for _, revision in finals) == report["corrected"] > 5
    assert report["late"] > 5
    assert sum(not s["is_final"] for s in samples) > 5
    revisions = [a["revision"] for data in of(events.WEIGHED, told(nats_url)) for a in data["additions"]]
    assert set(revisions) == {1, 2}


def test_lots_are_told_before_the_heats_that_use_them(tmp_path: Path, nats_url: str, backend: Screen) -> None:
    play(nats_url, backend, tmp_path / "summary.json", *busy(tmp_path), heats=30)
    known: set[tuple[str, str]] = set()
    for event in told(nats_url):
        if event["type"] == events.LOT:
            known.add((event["data"]["additive"], event["data"]["lot"]))
        if event["type"] == events.WEIGHED:
            assert {(a["additive"], a["lot"]) for a in event["data"]["additions"]} <= known


def test_the_same_seed_and_run_give_the_same_heats(tmp_path: Path, nats_url: str, backend: Screen) -> None:
    first = play(nats_url, backend, tmp_path / "a.json", heats=5)
    again = play(nats_url, backend, tmp_path / "b.json", heats=5)
    other = play(nats_url, backend, tmp_path / "c.json", "--run-id", "another", heats=5)
    later = play(nats_url, backend, tmp_path / "d.json", "--first-heat-no", "6", heats=5)

    assert first["treatments"] == again["treatments"]
    uids = [t["heat_uid"] for r in (first, other, later) for t in r["treatments"]]
    assert len(set(uids)) == 15
    x = of(events.REGISTERED, told(nats_url))
    clock = {"registered_at", "sampled_at", "treatment"}
    bare = [{k: v for k, v in heat.items() if k not in clock} for heat in x]
    assert bare[0:5] == bare[5:10] == bare[10:15]


def test_without_advice_he_tips_his_own_figure_in_time(
    tmp_path: Path, nats_url: str, backend: Screen
) -> None:
    backend.advises = False
    report = play(nats_url, backend, tmp_path / "summary.json", "--recommendation-wait-s", "0.1", heats=4)

    assert report["without_advice"] == report["decided"] == report["completed"] == 4
    assert all(puts[0]["recommendation_id"] is None for puts in backend.decisions.values())


def test_a_decision_outlives_a_backend_that_breaks_off(
    tmp_path: Path, nats_url: str, backend: Screen
) -> None:
    backend.failures_left = 6
    report = play(nats_url, backend, tmp_path / "summary.json", heats=4)

    assert report["decided"] == 4
    assert backend.failures_left == 0
    assert all(len(puts) == 1 for puts in backend.decisions.values())


def test_no_backend_at_all_stops_no_heat(tmp_path: Path, nats_url: str, backend: Screen) -> None:
    backend.url = "http://127.0.0.1:9"
    waits = ("--recommendation-wait-s", "0.1", "--give-up-s", "0.1")
    report = play(nats_url, backend, tmp_path / "summary.json", *waits, heats=4)

    assert report["undecided"] == report["completed"] == 4
    assert report["decided"] == 0


def test_a_refused_decision_is_counted_and_the_heat_goes_on(
    tmp_path: Path, nats_url: str, backend: Screen
) -> None:
    backend.refuses = True
    report = play(nats_url, backend, tmp_path / "summary.json", heats=4)

    assert report["refused"] == report["completed"] == 4
    assert report["decided"] == 0


def test_heats_left_to_a_person_are_decided_by_him(tmp_path: Path, nats_url: str, backend: Screen) -> None:
    backend.person_decides = True
    report = play(nats_url, backend, tmp_path / "summary.json", "--leave-every", "3", heats=9)

    assert report["by_person"] == 3
    assert report["decided"] == report["completed"] == 9
    assert len(backend.decisions) == 6


def test_where_the_person_does_not_come_the_steelmaker_decides(
    tmp_path: Path, nats_url: str, backend: Screen
) -> None:
    waits = ("--leave-every", "2", "--person-wait-s", "0.1")
    report = play(nats_url, backend, tmp_path / "summary.json", *waits, heats=4)

    assert report["by_person"] == 0
    assert report["decided"] == 4


def test_a_signal_ends_the_shift_with_a_summary(tmp_path: Path, nats_url: str, backend: Screen) -> None:
    summary = tmp_path / "summary.json"
    plant = subprocess.Popen(
        [
            *(sys.executable, "-c", "from plant_simulator.cli import main; main()", "play", "--heats", "0"),
            *("--heats-per-minute", "600", "--nats-url", nats_url, "--backend-url", backend.url),
            *("--summary", str(summary)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    wait_for(lambda: bool(backend.decisions) or plant.poll() is not None)
    plant.send_signal(signal.SIGTERM)
    line, _ = plant.communicate(timeout=30)

    assert plant.returncode == 0
    report = json.loads(line)
    assert (
        report["registered"] - report["cancelled"]
        == report["treatments"]
        == len(json.loads(summary.read_text())["treatments"])
    )
    assert 0 < report["registered"] < 200


def test_a_signal_ends_a_plant_whose_bus_is_away(backend: Screen) -> None:
    command = ("play", "--nats-url", "nats://127.0.0.1:9", "--backend-url", backend.url)
    plant = subprocess.Popen(
        [sys.executable, "-c", "from plant_simulator.cli import main; main()", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert plant.stderr is not None
    said = plant.stderr.readline()
    plant.send_signal(signal.SIGTERM)
    line, _ = plant.communicate(timeout=30)

    assert "bus:" in said
    assert plant.returncode == 0
    assert json.loads(line)["registered"] == 0


def test_no_event_is_lost_or_doubled_when_the_bus_is_killed(
    tmp_path: Path, nats_server: NatsServer, backend: Screen
) -> None:
    def kill_and_start() -> None:
        wait_for(lambda: len(backend.decisions) >= 5)
        nats_server.kill()
        time.sleep(0.3)
        nats_server.start()

    trouble = threading.Thread(target=kill_and_start)
    trouble.start()
    report = play(nats_server.url, backend, tmp_path / "summary.json", "--heats-per-minute", "1200", heats=40)
    trouble.join()
    events_told = told(nats_server.url)

    assert report["completed"] == 40
    assert len(events_told) == report["events"] == len({event["id"] for event in events_told})


def wait_for(holds: Callable[[], bool]) -> None:
    for _ in range(1500):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come to hold within 30 s")


def test_treatments_differ_by_everything_that_makes_a_run() -> None:
    keys = [
        ("demo", 7, "a", 1),
        ("demo", 7, "a", 2),
        ("demo", 7, "b", 1),
        ("demo", 8, "a", 1),
        ("other", 7, "a", 1),
    ]

    assert len({life.treatment_of(*key)["heat_uid"] for key in keys}) == len(keys)
