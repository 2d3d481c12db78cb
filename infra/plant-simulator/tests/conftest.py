"""What the tests share: the demo plant, some of its heats, a real NATS server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bus_server import NatsServer

from plant_simulator import bulk, catalogue
from plant_simulator.bulk import Block
from plant_simulator.catalogue import Catalogue
from plant_simulator.parameters import Parameters
from plant_simulator.tables import stack


@pytest.fixture(scope="session")
def plant() -> Catalogue:
    return catalogue.load()


@pytest.fixture(scope="session")
def figures() -> Parameters:
    return Parameters()


@pytest.fixture(scope="session")
def past(plant: Catalogue, figures: Parameters) -> Block:
    """Heats 1 to 320 of 32 lines as the crews made them: 10,240 heats, both stations."""
    return stack(list(bulk.simulate(plant, figures, seed=7, lines=32, heats_per_line=320)))


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
