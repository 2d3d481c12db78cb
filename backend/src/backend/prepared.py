"""Statements that are compiled once for each kind of database, and run on the driver's own cursor.

What SQLAlchemy does for each execution (cache keys, contexts, results, events) costs some ten times what the
database does for a small statement. The statements of the way of a heat are written with SQLAlchemy, so that
both databases have theirs and values have their types, and run without it.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Dialect, Executable, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import class_mapper
from sqlmodel import Session, SQLModel

Values = Mapping[str, Any]
Upsert = postgresql.Insert | sqlite.Insert
Process = Callable[[Any], Any] | None
ModelT = TypeVar("ModelT", bound=SQLModel)

_HELD = "driver"


class Rows:
    """What a statement gave, all of it; each row a named tuple."""

    def __init__(self, rows: Sequence[Any], count: int) -> None:
        self._rows, self.rowcount = rows, count

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> Sequence[Any]:
        return self._rows

    def one_or_none(self) -> Any:
        """The only row, or None; RuntimeError where there are more."""
        if len(self._rows) > 1:
            raise RuntimeError(f"{len(self._rows)} rows where one was looked for")
        return self._rows[0] if self._rows else None

    def scalar(self) -> Any:
        """The first column of the first row, or None."""
        return self._rows[0][0] if self._rows else None

    def scalars(self) -> list[Any]:
        return [row[0] for row in self._rows]


class Prepared:
    """A statement, or one for each kind of database; values are named as its parameters and columns are."""

    def __init__(self, statement: Executable | Mapping[str, Executable]) -> None:
        self._statement = statement
        self._compiled: WeakKeyDictionary[Dialect, dict[tuple[str, ...], _Compiled]] = WeakKeyDictionary()

    def run(self, session: Session, values: Values | Sequence[Values] | None = None) -> Rows:
        """Execute in the session's transaction; flush what it relies on. Errors are SQLAlchemy's."""
        held = _held_by(session)
        all_values = [values or {}] if values is None or isinstance(values, Mapping) else values
        compiled = self._on(held.dialect, tuple(all_values[0]))
        cursor = held.driver.cursor()
        try:
            if len(all_values) > 1:
                cursor.executemany(compiled.text, [compiled.arguments(each) for each in all_values])
            else:
                cursor.execute(compiled.text, compiled.arguments(all_values[0]))
            rows = compiled.rows(cursor) if compiled.row else ()
            return Rows(rows, cursor.rowcount)
        except held.dialect.loaded_dbapi.Error as failed:
            raise _as_ours(session, held, compiled.text, failed) from failed
        finally:
            cursor.close()

    def _on(self, dialect: Dialect, names: tuple[str, ...]) -> "_Compiled":
        known = self._compiled.setdefault(dialect, {})
        if names not in known:
            statement = self._statement
            if isinstance(statement, Mapping):
                statement = statement[dialect.name]
            known[names] = _Compiled(statement, dialect, names)
        return known[names]


def inserting(model: type[SQLModel], finish: Callable[[Upsert], Executable]) -> Prepared:
    """An INSERT that knows ON CONFLICT, for each database; `finish` says what then."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    return Prepared({"sqlite": finish(sqlite.insert(table)), "postgresql": finish(postgresql.insert(table))})


def loaded(model: type[ModelT], row: Any) -> ModelT:
    """A row of a model's table as an object that belongs to no session: nobody writes what changes in it."""
    # Asking for the mapper also makes it ready, where nobody has used one in this process.
    found: ModelT = class_mapper(model).class_manager.new_instance()
    found.__dict__.update(row._asdict())
    return found


class _Held(NamedTuple):
    """The driver's connection that a transaction has."""

    driver: Any
    dialect: Dialect


class _Compiled:
    """The statement's text, and what is done with values on the way in and out."""

    def __init__(self, statement: Executable, dialect: Dialect, names: tuple[str, ...]) -> None:
        if isinstance(statement, Insert) and not statement._returning:
            statement = statement.inline()  # nobody asks for the new row's number
        table = getattr(statement, "table", None)
        written = None if table is None else [name for name in names if name in table.c]
        compiled: Any = statement.compile(dialect=dialect, column_keys=written or None)  # type: ignore[attr-defined]
        if compiled.insert_prefetch or compiled.update_prefetch or compiled.post_compile_params:
            raise RuntimeError(f"give every value that is written and no list: {compiled}")
        self.text: str = compiled.string
        bound = {
            name: (bind.type.dialect_impl(dialect).bind_processor(dialect), bind)
            for name, bind in compiled.binds.items()
        }
        self._fixed = {
            name: _processed(process, bind.effective_value)
            for name, (process, bind) in bound.items()
            if not bind.required
        }
        self._positions: list[str] | None = compiled.positiontup  # None where parameters have names
        self._given: dict[str, Process] = {
            name: process for name, (process, bind) in bound.items() if name in names or bind.required
        }
        columns = getattr(statement, "exported_columns", ())
        self._types = [column.type.dialect_impl(dialect) for column in columns]
        self._dialect = dialect
        self._read: list[Process] | None = None
        keys = [str(column.key or f"value_{position}") for position, column in enumerate(columns)]
        self.row: Any = namedtuple("Row", keys) if columns else None

    def arguments(self, values: Values) -> Sequence[Any] | Values:
        given = self._fixed | {
            name: _processed(process, values[name]) for name, process in self._given.items()
        }
        return given if self._positions is None else [given[name] for name in self._positions]

    def rows(self, cursor: Any) -> list[Any]:
        """What a cursor that has run gives, each value in the type that its column has here."""
        make, read = self.row._make, self._read
        if read is None:  # what the driver gives is known once it has given something
            codes = [told[1] for told in cursor.description]
            read = self._read = [
                type_.result_processor(self._dialect, code)
                for type_, code in zip(self._types, codes, strict=True)
            ]
        return [make(map(_processed, read, values)) for values in cursor.fetchall()]


def _processed(process: Process, value: Any) -> Any:
    return value if process is None else process(value)


def _held_by(session: Session) -> _Held:
    held: _Held | None = session.info.get(_HELD)
    if held is None:
        connection = session.connection()
        held = session.info[_HELD] = _Held(connection.connection.driver_connection, connection.dialect)
    return held


def _as_ours(session: Session, held: _Held, text: str, failed: Any) -> BaseException:
    """The error as SQLAlchemy raises it; a connection that is lost is not used again, nor are its like."""
    lost = held.dialect.is_disconnect(failed, held.driver, None)
    if lost:
        connection = session.connection()
        connection.invalidate(failed)
        connection.engine.dispose(close=False)
    base = held.dialect.loaded_dbapi.Error
    ours: BaseException = DBAPIError.instance(
        text, None, failed, base, connection_invalidated=lost, dialect=held.dialect
    )
    return ours
