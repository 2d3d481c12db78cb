"""A migrated database, the application over it, a stub of the model service at its edge, and a real bus."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from backend import migrations
from backend.app import create_app
from backend.database import open_engine, writing
from backend.errors import validate
from backend.master_data import service as master_data
from backend.master_data.schemas import MasterData
from backend.model_client import ModelClient
from backend.settings import Settings
from backend.worker import Worker
from tests import bus
from tests.contracts import example
from tests.stub_model import StubModel


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("database") / "empty.sqlite"
    migrations.upgrade(f"sqlite:///{file}")
    engine = open_engine(f"sqlite:///{file}")
    with writing(engine) as session:
        document = example("master-data/examples/master-data.v1/valid/small-plant.json")
        master_data.replace(session, validate(MasterData, document), "demo")
    engine.dispose()
    return file


@pytest.fixture
def database_url(empty_database: Path, tmp_path: Path) -> str:
    """A database with the example's master data."""
    file = tmp_path / "backend.sqlite"
    shutil.copy(empty_database, file)
    return f"sqlite:///{file}"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def model() -> Iterator[StubModel]:
    with StubModel() as stub:
        yield stub


@pytest.fixture
def live(model: StubModel) -> Iterator[ModelClient]:
    client = ModelClient(model.url, timeout_s=0.5)
    yield client
    client.close()


@pytest.fixture
def worker(engine: Engine, live: ModelClient) -> Iterator[Worker]:
    made = Worker(engine, live, None)
    yield made
    made.close()


@pytest.fixture
def client(engine: Engine, database_url: str, model: StubModel) -> Iterator[TestClient]:
    settings = Settings(database_url=database_url, model_live_url=model.url, model_timeout_s=0.5)  # type: ignore[arg-type]
    with TestClient(create_app(settings, engine), raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server with JetStream on a free port of this machine."""
    with bus.server(tmp_path_factory.mktemp("nats"), bus.free_port()) as url:
        yield url
