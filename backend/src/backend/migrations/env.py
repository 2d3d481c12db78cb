"""Alembic's environment: the tables of this package, on the database it is given."""

from alembic import context
from sqlmodel import SQLModel

from backend.database import open_engine
from backend.migrations import tables

target_metadata = SQLModel.metadata
assert tables.ALL  # noqa: S101 - importing them is what fills the metadata


def run() -> None:
    engine = open_engine(context.config.attributes["url"])
    with engine.execution_options(writes=True).connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=target_metadata,
            render_as_batch=connection.dialect.name == "sqlite",
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    engine.dispose()


run()
