"""Back up and restore the whole database as one file: a line of JSON per row, gzipped, for either kind.

A backup is of one moment: it is read in one transaction. It is restored into a database that is migrated to
the same version and holds nothing yet, and so also moves a plant from SQLite to PostgreSQL.
"""

import gzip
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import DateTime, Engine, Table, func, insert, select, text
from sqlmodel import Session, SQLModel

from backend.database import reading, run, writing
from backend.errors import BackendError
from backend.migrations import current, tables

FORMAT = "backend-backup.v1"
AT_ONCE = 500


def back_up(engine: Engine, file: Path) -> int:
    """Write every row to the file, whole or not at all; how many there were."""
    part = file.with_name(f"{file.name}.part")
    many = 0
    with reading(engine) as session, gzip.open(part, "wb", compresslevel=5) as lines:
        if session.get_bind().dialect.name == "postgresql":
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        lines.write(orjson.dumps({"format": FORMAT, "version": current(engine)}) + b"\n")
        for table in _tables():
            result = session.connection().execution_options(yield_per=AT_ONCE).execute(select(table))
            for row in result.mappings():
                lines.write(orjson.dumps({"table": table.name, "row": dict(row)}) + b"\n")
                many += 1
    part.replace(file)
    return many


def restore(engine: Engine, file: Path) -> int:
    """Put every row of the file into a database that holds nothing yet; how many there were."""
    many = 0
    with writing(engine) as session:
        by_name = {table.name: table for table in _tables()}
        for table in by_name.values():
            if run(session, select(func.count()).select_from(table)).scalar():
                raise BackendError(
                    where="BACKEND_DATABASE_URL", what=f"{table.name} has rows", allowed="an empty database"
                )
        with gzip.open(file, "rb") as lines:
            head = orjson.loads(lines.readline())
            wanted = {"format": FORMAT, "version": current(engine)}
            if head != wanted:
                raise BackendError(where=str(file), what=f"it is {head}", allowed=f"{wanted}")
            for name, rows in _grouped(lines):
                run(session, insert(by_name[name]), [_read(by_name[name], row) for row in rows])
                many += len(rows)
        _go_on_numbering(session)
    return many


def _tables() -> list[Table]:
    """Every table, what is referred to before what refers to it."""
    names = {model.__tablename__ for model in tables.ALL}
    return [table for table in SQLModel.metadata.sorted_tables if table.name in names]


def _grouped(lines: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Rows of one table, up to AT_ONCE together."""
    name, rows = "", list[dict[str, Any]]()
    for line in lines:
        one = orjson.loads(line)
        if rows and (one["table"] != name or len(rows) == AT_ONCE):
            yield name, rows
            rows = []
        name = one["table"]
        rows.append(one["row"])
    if rows:
        yield name, rows


def _read(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if value is not None and _is_time(table, name) else value
        for name, value in row.items()
    }


def _is_time(table: Table, name: str) -> bool:
    kind = table.c[name].type
    return isinstance(getattr(kind, "impl_instance", getattr(kind, "impl", kind)), DateTime)


def _go_on_numbering(session: Session) -> None:
    """PostgreSQL counts rows beside the table: it goes on after the highest number that was restored."""
    if session.get_bind().dialect.name != "postgresql":
        return
    for table in _tables():
        column = table.autoincrement_column
        if column is not None:
            highest = f"(SELECT max({column.name}) FROM {table.name})"  # noqa: S608 - names of our own tables
            sequence = f"pg_get_serial_sequence('{table.name}', '{column.name}')"
            run(session, text(f"SELECT setval({sequence}, {highest}) WHERE {highest} IS NOT NULL"))
