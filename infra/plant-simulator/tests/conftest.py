"""What the tests share: the demo plant, a real NATS server, a stub of the backend's REST."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bus_server import NatsServer

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
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A NATS server of its own for one test."""
    server = NatsServer(tmp_path / "nats")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def nats_url(nats_server: NatsServer) -> str:
    return nats_server.url
