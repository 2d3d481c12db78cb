"""A real NATS server and a real collector process per test that wants them."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NATS_SERVER = Path(sys.executable).with_name("nats-server")


class NatsServer:
    """A NATS server with JetStream on its own port; it can be killed and started again with its data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [NATS_SERVER, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", self.folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: _listens(self.port), "the NATS server")

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wipe(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Collector:
    """`monitoring collect` as a process."""

    def __init__(self, lake: Path, nats_url: str, log: Path) -> None:
        self._environment = os.environ | {"MONITORING_LAKE": str(lake), "MONITORING_NATS_URL": nats_url}
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Collector":
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [Path(sys.executable).with_name("monitoring"), "collect"],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        return self

    def kill(self) -> None:
        """kill -9"""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(timeout=60)
        self._process = None
        return code


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "plant" / "lake"


@pytest.fixture
def collector(lake: Path, nats_server: NatsServer, tmp_path: Path) -> Iterator[Collector]:
    process = Collector(lake, nats_server.url, tmp_path / "collector.log")
    yield process
    process.kill()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(done: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
    """Wait until `done`; the time is only to end a test that hangs."""
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s} s for {what}")
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
