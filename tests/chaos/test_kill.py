"""kill -9 of any process of a running demo, under load: no heat, decision or event is lost or doubled."""

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import lake
from running_demo import ROOT, RUNNER, RunningDemo, demo_running, get, runner_environment, wait_until

HEATS = 300
ROUNDS = 2
BETWEEN_KILLS_S = 2.0
VICTIMS = (
    "backend-serve",
    "backend-consume",
    "backend-publish",
    "monitoring-collect",
    "monitoring-serve",
    "model-service",
    "nats",
)


def start_headless(folder: Path, heats: int) -> RunningDemo:
    """Start a demo that plays to completion and starts what dies again, as an orchestrator would."""
    output_file = folder / "output.txt"
    with output_file.open("w") as output:
        settings = {"HEADLESS": "1", "RESTART": "1", "HEATS": str(heats), "HISTORY_HEATS": "600"}
        command = [str(RUNNER), "demo", "--root", str(ROOT)]
        environment = runner_environment(folder, **settings)
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, text=True
        )
    demo = RunningDemo(folder, process, output_file)
    wait_until(lambda: process.poll() is not None or "plant" in playing(folder), timeout_s=300)
    assert process.poll() is None, demo.output
    return demo


def playing(folder: Path) -> dict[str, int]:
    """Return the processes of a demo, none while it has not written them down."""
    try:
        found: dict[str, int] = json.loads((folder / "pids.json").read_text())
    except (OSError, ValueError):
        return {}
    return found


def kill_each_while_it_plays(demo: RunningDemo) -> list[str]:
    """Kill one process after the other, round after round, while the plant plays; return whom."""
    killed: list[str] = []
    for victim in VICTIMS * ROUNDS:
        if "plant" not in (pids := playing(demo.folder)):
            break
        with suppress(ProcessLookupError):  # it is being started again just now
            os.kill(pids[victim], signal.SIGKILL)
            killed.append(victim)
        time.sleep(BETWEEN_KILLS_S)
    return killed


def test_nothing_is_lost_or_doubled_when_every_process_is_killed_in_turn(tmp_path: Path) -> None:
    demo = start_headless(tmp_path, HEATS)
    try:
        killed = kill_each_while_it_plays(demo)
        code = demo.process.wait(timeout=300)
    finally:
        demo.stop(signal.SIGTERM)

    report = json.loads((tmp_path / "plant-report.json").read_text())
    rows = lake.rows(tmp_path)
    told = {tuple(treatment[name] for name in lake.KEY) for treatment in report["treatments"]}
    assert code == 0, demo.output
    assert set(killed) == set(VICTIMS), demo.output
    assert {tuple(row) for row in rows.select(lake.KEY).iter_rows()} == told
    assert len(told) == HEATS
    assert rows["event_id"].n_unique() == rows.height
    assert rows.select([*lake.KEY, "revision"]).n_unique() == rows.height
    assert lake.latest(rows)["decision_id"].n_unique() == report["decided"]


def test_after_everything_was_killed_at_once_the_next_start_goes_on(tmp_path: Path) -> None:
    demo = start_headless(tmp_path, HEATS)
    completed_before = wait_until(lambda: completed(demo))
    pids = demo.pids

    for pid in (demo.process.pid, *pids.values()):
        os.kill(pid, signal.SIGKILL)
    demo.process.wait()
    with demo_running(tmp_path) as again:
        done = wait_until(lambda: all_collected(again))

    assert completed_before <= done
    rows = lake.rows(tmp_path)
    assert rows.select([*lake.KEY, "revision"]).n_unique() == rows.height


def all_collected(demo: RunningDemo) -> set[tuple[Any, ...]] | None:
    """Return the treatments that the backend calls completed, None while the lake has others."""
    done = completed(demo)
    return (
        done if done == {tuple(row) for row in lake.rows(demo.folder).select(lake.KEY).iter_rows()} else None
    )


def completed(demo: RunningDemo) -> set[tuple[Any, ...]]:
    """Return the key of every treatment that the backend calls completed."""
    found: set[tuple[Any, ...]] = set()
    before: Any = None
    while True:
        query = "state=completed&limit=100" + (f"&before={before}" if before else "")
        page = get(f"{demo.urls['backend']}/api/v1/treatments?{query}", demo.headers) or {}
        found |= {tuple(known["treatment"][name] for name in lake.KEY) for known in page["treatments"]}
        before = page["next"]
        if not before:
            return found
