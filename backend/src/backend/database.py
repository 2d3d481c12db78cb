"""The database: engine, column types, sessions that read or write, and statements without the ORM's cost.

SQLite is used by three processes at once: WAL, and BEGIN IMMEDIATE for what writes, so that a writer waits
for its turn at the start and never fails in the middle. Writers queue at a lock on a file beside the
database: SQLite's own waiting is sleeping and looking again, which costs its users up to a tenth of a second
each time. PostgreSQL needs and gets none of it.
"""

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import CursorResult, Dialect, Engine, Executable, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import Pool
from sqlalchemy.types import DateTime, TypeDecorator
from sqlmodel import Session, SQLModel

BUSY_TIMEOUT_MS = 10_000

Insert = postgresql.Insert | sqlite.Insert


class UtcDateTime(TypeDecorator[datetime]):
    """Aware in Python, UTC in the database, whatever the database thinks of time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def open_engine(url: str) -> Engine:
    engine = create_engine(
        url,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        pool_size=16,
        max_overflow=32,
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        if engine.url.database not in (None, "", ":memory:"):
            _turns[engine.pool] = _Turn(f"{engine.url.database}.lock")
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session that only reads; what it sees does not change under it."""
    with Session(engine) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session that writes: commits at the end, rolls back on an error."""
    turn = _turns.get(engine.pool)
    with turn() if turn is not None else nullcontext():
        options = engine.execution_options(writes=True)
        with Session(options, expire_on_commit=False) as session, session.begin():
            yield session


def table_of(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


def run(
    session: Session, statement: Executable, values: Sequence[Mapping[str, Any]] | None = None
) -> CursorResult[*tuple[Any, ...]]:
    """Execute in the session's transaction without the ORM: a sixth of the cost; flush what it relies on."""
    connection = session.connection()
    return connection.execute(statement) if values is None else connection.execute(statement, values)


def inserting(session: Session, model: type[SQLModel]) -> Insert:
    """An INSERT that knows ON CONFLICT, for the database of the session."""
    made = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement: Insert = made.insert(table_of(model))
    return statement


class _Turn:
    """One writer at a time: threads of this process by a lock, other processes by one on a file.

    The file's lock is let go when its process dies, however it dies.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._file: int | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._threads:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)


# By pool, which an engine shares with its copies that have other options.
_turns: WeakKeyDictionary[Pool, _Turn] = WeakKeyDictionary()


def _prepare_sqlite(connection: DBAPIConnection, record: object) -> None:  # noqa: ARG001
    raw: Any = connection
    raw.isolation_level = None  # transactions are begun by _begin_sqlite, not guessed by the driver
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        raw.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
