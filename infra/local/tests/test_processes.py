"""Processes are started, watched and ended: ours, with all their children, and nothing else."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_runner.errors import ProcessDied, StepFailed, StopAsked
from local_runner.leftovers import MARK, end_leftovers
from local_runner.processes import Command, Processes
from local_runner.progress import Step


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path, os.environ)
    yield started
    started.stop_all()


def python(name: str, source: str) -> Command:
    return Command(name, (sys.executable, "-c", source))


def shell(name: str, source: str) -> Command:
    return Command(name, ("sh", "-c", source))


def quiet_step() -> Step:
    return Step("a step", sys.stdout)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]
    except (ProcessLookupError, FileNotFoundError):
        return False


def wait_for_file(path: Path, processes: Processes) -> str:
    assert processes.wait(lambda: path.exists() and path.read_text().endswith("\n"), timeout_s=20)
    return path.read_text()


def test_a_step_returns_the_last_line_of_its_command(processes: Processes) -> None:
    assert processes.run(shell("count", "echo one; echo two"), quiet_step()) == "two"


def test_a_step_that_fails_shows_how_and_the_end_of_its_log(processes: Processes) -> None:
    with pytest.raises(StepFailed, match=r"(?s)train ended with exit code 3.*no such lake.*train\.log"):
        processes.run(shell("train", "echo no such lake >&2; exit 3"), quiet_step())


def test_a_process_that_dies_is_named_with_the_end_of_its_log(processes: Processes) -> None:
    processes.start(shell("backend", "echo out of memory; kill -KILL $$"))

    with pytest.raises(ProcessDied, match=r"(?s)backend was ended by SIGKILL.*out of memory"):
        processes.wait(lambda: False, timeout_s=20)


def test_stopping_ends_grandchildren_and_stubborn_ones_too(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local_runner.processes.GRACE_S", 0.2)
    note = tmp_path / "grandchild"
    processes.start(
        shell("stubborn", f"trap '' TERM; sleep 600 & echo $! > {note}; while :; do sleep 1; done")
    )
    grandchild = int(wait_for_file(note, processes))

    processes.stop_all()

    assert processes.wait(lambda: not exists(grandchild), timeout_s=20)  # the kernel takes a moment
    assert json.loads((tmp_path / "pids.json").read_text()) == {}


def test_stopping_leaves_others_alone(processes: Processes) -> None:
    other = subprocess.Popen(["sleep", "600"])
    try:
        processes.start(shell("mine", "sleep 600"))
        processes.stop_all()

        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_process_that_died_is_started_again_where_that_is_asked_for(tmp_path: Path) -> None:
    processes = Processes(tmp_path, os.environ, restart=True)
    note = tmp_path / "starts"
    try:
        processes.start(shell("backend", f"echo $$ >> {note}; exec sleep 600"))
        first = int(wait_for_file(note, processes))
        os.kill(first, signal.SIGKILL)

        assert processes.wait(lambda: len(note.read_text().splitlines()) == 2, timeout_s=20)
        second = json.loads((tmp_path / "pids.json").read_text())["backend"]
        assert second != first
    finally:
        processes.stop_all()


def test_a_process_that_cannot_start_is_given_up(tmp_path: Path) -> None:
    processes = Processes(tmp_path, os.environ, restart=True)

    processes.start(shell("backend", "exit 1"))

    with pytest.raises(ProcessDied, match="backend ended with exit code 1"):
        processes.wait(lambda: False, timeout_s=30)


def test_a_signal_stops_at_the_next_look_and_not_amid_a_start(processes: Processes) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        processes.catch_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        processes.start(shell("late", "sleep 600"))

        with pytest.raises(StopAsked):
            processes.check()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_what_a_killed_demo_left_behind_is_ended_and_nothing_else(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    left = subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: str(mine)})
    foreign = subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: str(other)})
    try:
        deadline = (
            time.monotonic() + 20
        )  # the environment shows the mark once the program has replaced the fork
        ended: list[int] = []
        while not ended and time.monotonic() < deadline:
            ended = end_leftovers(mine)

        assert ended == [left.pid]
        assert left.wait(timeout=20) == -signal.SIGKILL
        assert foreign.poll() is None
    finally:
        for process in (left, foreign):
            process.kill()
            process.wait()


def test_nothing_of_make_leaks_into_the_components(tmp_path: Path) -> None:
    processes = Processes(tmp_path, {**os.environ, "MAKEFLAGS": "-j9", "VIRTUAL_ENV": "/other", "LANG": "C"})

    printed = processes.run(shell("env", 'echo "$MAKEFLAGS|$VIRTUAL_ENV|$LANG"'), quiet_step())

    assert printed == "||C"
