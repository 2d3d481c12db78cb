"""A demo of one's own: started through the runner, on free ports, in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]
RUNNER = ROOT / "infra" / "local" / ".venv" / "bin" / "local-runner"
FREE_PORTS = {"BACKEND_PORT": "0", "MODEL_PORT": "0", "MONITORING_PORT": "0", "MLFLOW_PORT": "0"}
START_S = 240.0
STOP_S = 60.0
SETTLE_S = 60.0


@dataclass
class RunningDemo:
    """A demo under way; `urls` and `pids` are what it wrote down."""

    folder: Path
    process: "subprocess.Popen[str]"
    output_file: Path

    @property
    def urls(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "urls.json").read_text())
        return found

    @property
    def pids(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.folder / "pids.json").read_text())
        return found

    @property
    def password(self) -> str:
        """Of every person of this demo: steelmaker, technologist, admin, viewer."""
        return str(self._access["users"][0]["password"])

    @property
    def headers(self) -> dict[str, str]:
        """What a program sends that may read, decide, tell and keep."""
        (secret,) = [one["secret"] for one in self.tokens if one["name"] == "programs"]
        return {"Authorization": f"Bearer {secret}"}

    @property
    def tokens(self) -> list[dict[str, Any]]:
        """Of programs: name, scopes and secret."""
        return list(self._access["tokens"])

    @property
    def _access(self) -> Any:
        return json.loads((self.folder / "access.json").read_text())

    @property
    def output(self) -> str:
        return self.output_file.read_text()

    def stop(self, how: int = signal.SIGINT) -> int:
        """Ask the demo to stop and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout=STOP_S)


def runner_environment(folder: Path, **settings: str) -> dict[str, str]:
    return {**os.environ, **FREE_PORTS, "DEMO_DIR": str(folder), **settings}


def run_headless(folder: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Play heats to completion; the output holds what a person would see."""
    return subprocess.run(
        [RUNNER, "demo", "--root", ROOT],
        env=runner_environment(folder, HEADLESS="1", **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )


@contextmanager
def demo_running(folder: Path, **settings: str) -> Iterator[RunningDemo]:
    """Start a demo and yield it when it is ready; stop it at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    output_file = folder / "output.txt"
    with output_file.open("w") as output:
        process = subprocess.Popen(
            [RUNNER, "demo", "--root", ROOT],
            env=runner_environment(folder, **{"MLFLOW": "0", "HEATS": "0", **settings}),
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        demo = RunningDemo(folder, process, output_file)
        try:
            wait_until(lambda: process.poll() is not None or "Ctrl-C stops" in demo.output, START_S)
            if process.poll() is not None:
                raise AssertionError(f"The demo did not start:\n{demo.output}")
            yield demo
        finally:
            if process.poll() is None:
                demo.stop()


def wait_until(holds: Callable[[], Any], timeout_s: float = SETTLE_S) -> Any:
    """Return the first truthy answer of `holds`; fail where none comes in time."""
    deadline = time.monotonic() + timeout_s
    while not (answer := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{holds} did not come to hold within {timeout_s:.0f} s")
        time.sleep(0.1)
    return answer


def get(url: str, headers: dict[str, str] | None = None) -> Any | None:
    """Return the JSON behind `url`, None where there is none (404)."""
    response = httpx.get(url, timeout=10, headers=headers)
    if response.status_code == httpx.codes.NOT_FOUND:
        return None
    response.raise_for_status()
    return response.json()


def main(command: list[str]) -> int:
    """Run `command` while a demo of its own runs (folder in DEMO_DIR) and return its exit code."""
    with tempfile.TemporaryDirectory() as made, demo_running(Path(made), HISTORY_HEATS="600") as running:
        environment = {**os.environ, "DEMO_DIR": str(running.folder)}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
