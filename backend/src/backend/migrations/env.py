"""Alembic's environment: the tables of this package, on the database it is given."""

from typing import Any

from alembic import context
from sqlalchemy import Connection, Engine, event
from sqlmodel import SQLModel

from backend.database import open_engine
from backend.migrations import tables

target_metadata = SQLModel.metadata
assert tables.ALL  # noqa: S101 - importing them is what fills the metadata


def run() -> None:
    engine = open_engine(context.config.attributes["url"])
    if engine.dialect.name == "sqlite":
        _let_tables_be_made_anew(engine)
    with engine.execution_options(writes=True).connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=target_metadata,
            render_as_batch=connection.dialect.name == "sqlite",
        )
        with context.begin_transaction():
            context.run_migrations()
            _check_references(connection)
        connection.commit()
    engine.dispose()


def _let_tables_be_made_anew(engine: Engine) -> None:
    """SQLite changes a table by making it anew: what refers to it must bear that it is away for a moment."""

    def allow(connection: Any, _: object) -> None:
        connection.execute("PRAGMA foreign_keys = OFF")

    event.listen(engine, "connect", allow)


def _check_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise RuntimeError(f"after the migration {len(broken)} rows refer to nothing: {broken[:3]}")


run()
