"""The database's versions: bring it up to date, and refuse to work on one that is not."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from backend.errors import BackendError


def config(url: str) -> Config:
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.attributes["url"] = url
    return made


def upgrade(url: str, revision: str = "head") -> None:
    command.upgrade(config(url), revision)


def downgrade(url: str, revision: str) -> None:
    command.downgrade(config(url), revision)


def current(engine: Engine) -> str | None:
    """The version of the database's tables; None where it has none."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def check_current(engine: Engine) -> None:
    """BackendError where the database is not at this program's version."""
    wanted = ScriptDirectory.from_config(config("")).get_current_head()
    try:
        found = current(engine)
    except OperationalError as failed:
        raise BackendError(
            where="BACKEND_DATABASE_URL", what=str(failed.orig), allowed="a database that is there"
        ) from None
    if found != wanted:
        raise BackendError(
            where="BACKEND_DATABASE_URL",
            what=f"the tables are at version {found or 'none'}",
            allowed=f"version {wanted}: run `backend migrate`",
        )
