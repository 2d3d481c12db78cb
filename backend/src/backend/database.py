"""The database: engine, column types, sessions that read or write, and statements without the ORM's cost.

SQLite is used by three processes at once: WAL, and BEGIN IMMEDIATE for what writes, so that a writer waits
for its turn at the start and never fails in the middle. Writers queue at a lock on a file beside the
database: SQLite's own waiting is sleeping and looking again, which costs its users up to a tenth of a second
each time. What waits in one process shares the next transaction, so the disk is waited for once for all.
PostgreSQL needs and gets none of this.

Statements of the way of a heat are built once, with named parameters: to build one costs more than to run it.
"""

import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, overload
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import CursorResult, Dialect, Engine, Executable, Table, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import SessionTransaction
from sqlalchemy.pool import Pool
from sqlalchemy.types import DateTime, TypeDecorator
from sqlmodel import Session, SQLModel

from backend.prepared import Prepared, Rows

BUSY_TIMEOUT_MS = 10_000
# Where nobody brings the journal into the database (`journal.py`), a commit does when it has so many pages.
MOST_PAGES_IN_JOURNAL = 8_000
MOST_TOGETHER = 64

Values = Sequence[Mapping[str, Any]] | Mapping[str, Any]
ValueT = TypeVar("ValueT")

_AT_END = "at_end"


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
    with turn() if turn is not None else nullcontext(), _begun(engine) as session:
        yield session


def write(engine: Engine, work: Callable[[Session], ValueT]) -> ValueT:
    """Do the work in a transaction that others of this process may share; what it returned, once it is kept.

    Work that fails spoils nobody else's: then each is done again in a transaction of its own. So work touches
    nothing but its session, and may be done twice.
    """
    turn = _turns.get(engine.pool)
    if turn is not None:
        return turn.share(engine, work)
    with writing(engine) as session:
        return work(session)


def turn_of(engine: Engine) -> Callable[[], AbstractContextManager[None]] | None:
    """What one waits in for the turn to write; None where the database needs none."""
    return _turns.get(engine.pool)


def at_end(session: Session, write: Callable[[Session], None]) -> None:
    """Have this written when the work is done, before it is committed."""
    session.info.setdefault(_AT_END, []).append(write)


def table_of(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


@overload
def run(session: Session, statement: Prepared, values: Values | None = None) -> Rows: ...


@overload
def run(
    session: Session, statement: Executable, values: Values | None = None
) -> CursorResult[*tuple[Any, ...]]: ...


def run(session: Session, statement: Prepared | Executable, values: Values | None = None) -> Any:
    """Execute in the session's transaction without the ORM; flush what it relies on."""
    if isinstance(statement, Prepared):
        return statement.run(session, values)
    return session.connection().execute(statement, values)


@contextmanager
def _begun(engine: Engine) -> Iterator[Session]:
    options = engine.execution_options(writes=True)
    with Session(options, expire_on_commit=False) as session, session.begin():
        yield session
        _finish(session)


def _finish(session: Session) -> None:
    session.flush()
    for write_changes in session.info.get(_AT_END, ()):
        write_changes(session)


def _forget(session: Any, transaction: SessionTransaction) -> None:
    """What was read in a transaction, and the connection that it had, end with it."""
    if transaction.parent is None:
        session.info.clear()


event.listen(Session, "after_transaction_end", _forget)


class _Job(Generic[ValueT]):
    """Work that waits for a transaction, and what became of it."""

    def __init__(self, work: Callable[[Session], ValueT]) -> None:
        self.work = work
        self.is_done = False
        self.value: ValueT
        self.failed: Exception | None = None


class _Turn:
    """One writer at a time: threads of this process by a lock, other processes by one on a file.

    The file's lock is let go when its process dies, however it dies.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._file: int | None = None
        self._jobs: deque[_Job[Any]] = deque()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._threads, self._of_processes():
            yield

    def share(self, engine: Engine, work: Callable[[Session], ValueT]) -> ValueT:
        """Whose turn it is does what waits for all; the others find theirs done."""
        job = _Job(work)
        self._jobs.append(job)
        with self._threads:
            if not job.is_done:
                with self._of_processes():
                    _do_all(engine, [job, *self._others(job)])
        if job.failed is not None:
            raise job.failed
        return job.value

    def _others(self, own: _Job[Any]) -> Iterator[_Job[Any]]:
        for _ in range(min(len(self._jobs), MOST_TOGETHER)):
            job = self._jobs.popleft()
            if job is not own and not job.is_done:
                yield job

    @contextmanager
    def _of_processes(self) -> Iterator[None]:
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


def _do_all(engine: Engine, jobs: Sequence[_Job[Any]]) -> None:
    """All in one transaction; where one fails, each in one of its own."""
    try:
        with _begun(engine) as session:
            for job in jobs:
                job.value = job.work(session)
                _finish(session)  # the next one looks with statements that do not flush
    except Exception as failed:
        if len(jobs) == 1:
            jobs[0].failed = failed
        else:
            for job in jobs:
                _do_all(engine, [job])
    for job in jobs:
        job.is_done = True


# By pool, which an engine shares with its copies that have other options.
_turns: WeakKeyDictionary[Pool, _Turn] = WeakKeyDictionary()


def _prepare_sqlite(connection: DBAPIConnection, record: object) -> None:  # noqa: ARG001
    raw: Any = connection
    raw.isolation_level = None  # transactions are begun by _begin_sqlite, not guessed by the driver
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        f"wal_autocheckpoint = {MOST_PAGES_IN_JOURNAL}",
        "foreign_keys = ON",
    ):
        raw.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
