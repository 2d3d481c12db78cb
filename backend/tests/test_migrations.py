"""The database's versions: from empty to now is what the tables say, and back."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect
from sqlmodel import SQLModel

from backend import migrations
from backend.database import open_engine
from backend.errors import BackendError


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'backend.sqlite'}"


def test_upgraded_from_empty_there_is_no_difference_to_the_tables(url: str) -> None:
    migrations.upgrade(url)

    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, SQLModel.metadata) == []
    engine.dispose()


def test_downgraded_nothing_is_left_but_the_version(url: str) -> None:
    migrations.upgrade(url)

    migrations.downgrade(url, "base")

    engine = create_engine(url)
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()
    migrations.upgrade(url)


def test_a_database_that_is_not_migrated_is_refused_with_what_to_do(url: str) -> None:
    engine = open_engine(url)

    with pytest.raises(BackendError, match="run `backend migrate`"):
        migrations.check_current(engine)
    engine.dispose()


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'no such folder' / 'backend.sqlite'}")

    with pytest.raises(BackendError, match="BACKEND_DATABASE_URL"):
        migrations.check_current(engine)
    engine.dispose()
