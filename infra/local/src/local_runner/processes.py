"""Starts processes, each in a group of its own with a log, watches them, and ends exactly those."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from local_runner.errors import ProcessDied, StepFailed, StopAsked
from local_runner.folder import write_json
from local_runner.leftovers import MARK
from local_runner.logs import last_lines
from local_runner.progress import Step, say

GRACE_S = 8.0
POLL_S = 0.1
EARLY_DEATH_S = 3.0
MOST_EARLY_DEATHS = 5


@dataclass(frozen=True)
class Command:
    """What to run and with which settings, on top of the caller's own environment."""

    name: str
    argv: Sequence[str]
    settings: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@dataclass
class Running:
    """A process; `ends` where it is meant to come to an end by itself."""

    command: Command
    popen: subprocess.Popen[bytes]
    started: float
    early_deaths: int = 0
    ends: bool = False


class Processes:
    """The processes of one demo. Not for threads.

    After `catch_signals`, Ctrl-C and SIGTERM become a `StopAsked` at the next `check`, never amid a start.
    """

    def __init__(self, demo_dir: Path, environment: Mapping[str, str], *, restart: bool = False) -> None:
        self._demo_dir = demo_dir
        self._logs = demo_dir / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._environment = {**clean_environment(environment), MARK: str(demo_dir), "PYTHONUNBUFFERED": "1"}
        self._restart = restart
        self._running: dict[str, Running] = {}
        self._log_starts: dict[str, int] = {}
        self._signals: list[int] = []

    def catch_signals(self) -> None:
        """From now on note SIGINT, SIGTERM and SIGHUP instead of dying of them."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note_signal)

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def start(self, command: Command) -> None:
        """Start a process that should run on."""
        self._running[command.name] = Running(command, self._open(command), time.monotonic())
        self._write_pids()

    def launch(self, command: Command) -> None:
        """Start a process that should come to an end: see `finished` and `require_success`."""
        self._running[command.name] = Running(command, self._open(command), time.monotonic(), ends=True)
        self._write_pids()

    def finished(self, name: str) -> bool:
        """Return whether the process `name` has come to its end."""
        return has_ended(self._running[name].popen)

    def require_success(self, name: str) -> str:
        """Forget a finished process and return its last line; raise `StepFailed` where it failed."""
        popen = self._running[name].popen
        self.stop(name)
        if popen.returncode:
            raise StepFailed(f"{name} {ending(popen.returncode)}.\n{self.tail(name)}")
        return self.last_line(name)

    def exit_code(self, name: str) -> int:
        """Forget a finished process and return its exit code."""
        popen = self._running[name].popen
        self.stop(name)
        return int(popen.returncode)

    def pids(self) -> dict[str, int]:
        """What runs now, by name."""
        return {name: process.popen.pid for name, process in self._running.items()}

    def run(self, command: Command, step: Step) -> str:
        """Run a command to its end and return its last line; raise `StepFailed` with its last lines."""
        self.launch(command)
        while not self.finished(command.name):
            self.pause()
            step.tick(self.last_line(command.name))
        return self.require_success(command.name)

    def pause(self) -> None:
        """Let a moment pass, and see that everything that should run on does."""
        self.check()
        time.sleep(POLL_S)

    def check(self) -> None:
        """Raise `StopAsked` after a signal; where a process died, raise `ProcessDied` or start it again."""
        if self._signals:
            raise StopAsked(self._signals[0])
        for name, process in list(self._running.items()):
            if not process.ends and has_ended(process.popen):
                self._died(name, process)

    def wait(
        self, until: Callable[[], bool], timeout_s: float, step: Step | None = None, detail: str = ""
    ) -> bool:
        """Watch the processes until `until()` holds; return False when it does not within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not until():
            if time.monotonic() >= deadline:
                return False
            self.pause()
            if step:
                step.tick(detail)
        return True

    def stop(self, *names: str) -> None:
        """End these processes and their groups: SIGTERM, after a grace time (or a second Ctrl-C) SIGKILL."""
        leaving = [self._running.pop(name) for name in names if name in self._running]
        asked_before = len(self._signals)
        for process in leaving:
            if not has_ended(process.popen):
                os.killpg(process.popen.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while not all(has_ended(process.popen) for process in leaving):
            if time.monotonic() >= deadline or len(self._signals) > max(asked_before, 1):
                break
            time.sleep(0.02)
        for process in leaving:
            _end_group(process.popen)
        self._write_pids()

    def stop_all(self) -> None:
        """End everything that was started; the first one, which the others depend on, last."""
        names = list(self._running)
        self.stop(*names[1:])
        self.stop(*names[:1])

    def last_line(self, name: str) -> str:
        """Return the last line that `name` has printed since it was started."""
        return next(iter(last_lines(self._logs / f"{name}.log", 1, self._log_starts.get(name, 0))), "")

    def tail(self, name: str) -> str:
        """Return the end of what `name` has printed since it was started, with the place of the whole log."""
        log = self._logs / f"{name}.log"
        lines = last_lines(log, 20, self._log_starts.get(name, 0))
        return "\n".join([*(f"    {line}" for line in lines), f"    (whole log: {log})"])

    def _open(self, command: Command) -> subprocess.Popen[bytes]:
        with (self._logs / f"{command.name}.log").open("ab") as log:
            self._log_starts[command.name] = log.tell()
            return subprocess.Popen(
                list(command.argv),
                cwd=command.cwd or self._demo_dir,
                env={**self._environment, **command.settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C reaches us alone and we end the whole group
            )

    def _died(self, name: str, process: Running) -> None:
        _end_group(process.popen)
        how = ending(process.popen.returncode)
        early = time.monotonic() - process.started < EARLY_DEATH_S
        early_deaths = process.early_deaths + 1 if early else 0
        if not self._restart or early_deaths >= MOST_EARLY_DEATHS:
            del self._running[name]
            self._write_pids()
            raise ProcessDied(f"{name} {how}.\n{self.tail(name)}")
        say(f"     {name} {how}; starting it again")
        self._running[name] = Running(
            process.command, self._open(process.command), time.monotonic(), early_deaths
        )
        self._write_pids()

    def _write_pids(self) -> None:
        write_json(self._demo_dir / "pids.json", self.pids())


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` without what would leak from make or a virtual environment into the components."""
    leaks = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    return {name: value for name, value in environment.items() if name not in leaks}


def has_ended(popen: subprocess.Popen[bytes]) -> bool:
    """Return whether a process has ended, without reaping it: its id stays ours until `_end_group`."""
    if popen.returncode is not None:
        return True
    return os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def ending(returncode: int) -> str:
    """Say how a process ended."""
    if returncode < 0:
        return f"was ended by {signal.Signals(-returncode).name}"
    return f"ended with exit code {returncode}"


def _end_group(popen: subprocess.Popen[bytes]) -> None:
    if popen.returncode is None:
        with suppress(ProcessLookupError, PermissionError):  # only the leader is left, and it has ended
            os.killpg(popen.pid, signal.SIGKILL)  # it is not reaped yet, so the id of the group is still ours
    popen.wait()
