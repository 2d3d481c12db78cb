"""The database's versions: from empty to now is what the tables say, and back."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, inspect
from sqlmodel import SQLModel

from backend import migrations
from backend.access import machines
from backend.access.rules import SCOPES
from backend.database import open_engine, writing
from backend.errors import BackendError
from backend.worker import Worker
from tests import plant
from tests.life import complete, decision, events, known, recommended


def difference(engine: Engine) -> list[object]:
    """What Alembic would still change to make the database what the tables say."""
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        found: list[object] = compare_metadata(context, SQLModel.metadata)
        return found


def test_upgraded_from_empty_there_is_no_difference_to_the_tables(empty_url: str) -> None:
    migrations.upgrade(empty_url)

    engine = create_engine(empty_url)
    assert difference(engine) == []
    engine.dispose()


def test_downgraded_nothing_is_left_but_the_version(empty_url: str) -> None:
    migrations.upgrade(empty_url)

    migrations.downgrade(empty_url, "base")

    engine = create_engine(empty_url)
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()
    migrations.upgrade(empty_url)


def test_heats_survive_the_way_down_to_the_first_tables_and_up_again(
    client: TestClient, worker: Worker, engine: Engine, database_url: str
) -> None:
    """With rows in every table that the first version has."""
    heat = recommended(client, worker)
    client.put(f"{plant.path(heat['treatment'])}/decision", json=decision(client, heat))
    complete(client, worker, heat)
    before = known(client, heat)
    waiting = [event["id"] for event in events(engine, "product.heat.completed.v1")]
    engine.dispose()

    migrations.downgrade(database_url, "0001")
    at_first = create_engine(database_url)
    tables = set(inspect(at_first).get_table_names())
    at_first.dispose()
    migrations.upgrade(database_url)
    with writing(engine) as session:  # who has access is forgotten on the way down
        secret = str(client.headers["Authorization"]).removeprefix("Bearer ")
        machines.set_token(session, "tests", SCOPES, by="tests", secret=secret)

    assert "master_data_versions" not in tables
    assert difference(engine) == []
    assert known(client, heat) == before
    assert [event["id"] for event in events(engine, "product.heat.completed.v1")] == waiting
    second = recommended(client, worker)
    complete(client, worker, second)
    assert known(client, second)["state"] == "completed"


def test_a_database_that_is_not_migrated_is_refused_with_what_to_do(empty_url: str) -> None:
    engine = open_engine(empty_url)

    with pytest.raises(BackendError, match="run `backend migrate`"):
        migrations.check_current(engine)
    engine.dispose()


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'no such folder' / 'backend.sqlite'}")

    with pytest.raises(BackendError, match="BACKEND_DATABASE_URL"):
        migrations.check_current(engine)
    engine.dispose()
