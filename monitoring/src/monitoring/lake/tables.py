"""The lake's Delta tables: made where missing, appended to together with a position, compacted, read.

A position is the last sequence of a bus stream whose effect is in the table. It is committed in the same
Delta commit as the rows, as an application transaction whose id holds the identity of the stream, so rows and
position cannot come apart. Delta does not refuse a position that was committed before, only one committed
*meanwhile*: so `append` says from which position it starts, and whoever appends has read that position first.
"""

from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    Field,
    Schema,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from monitoring.errors import PositionMovedError, UnreadableLakeError

TableName = Literal["heats", "quarantine", "shadows"]
Lake = Path | str
"""A folder, or a place in an S3-compatible store (`s3://bucket/lake`) whose endpoint and keys are read from
the `AWS_*` variables. A commit there is a put on the condition that the version is not there yet, which it
must know (`If-None-Match`): so two writers cannot overwrite one another, as in a folder.
"""
TABLES: tuple[TableName, ...] = ("heats", "quarantine", "shadows")

# Old versions must stay readable for as long as somebody may ask what a model was trained on or what a figure
# was made from.
RETENTION = {
    "delta.logRetentionDuration": "interval 365 days",
    "delta.deletedFileRetentionDuration": "interval 365 days",
}
COMPACTED_FILE_BYTES = 16_000_000  # rewritten in well under a second, so collecting does not fall behind
# Whoever looks for one heat reads the lists of all rows of its group.
WRITTEN = WriterProperties(compression="SNAPPY", max_row_group_size=1000)


def delta_schema(name: TableName) -> Schema:
    """Return the contract's schema of a table."""
    return Schema.from_json(files(__package__).joinpath(f"{name}.v1.delta-schema.json").read_text())


def arrow_schema(schema: Schema) -> pa.Schema:
    """Return the same for Arrow. Frames of Polars make every field nullable, and Delta refuses those."""
    exported: Any = schema.to_arrow()
    return pa.schema(exported)


def table_address(lake: Lake, name: TableName) -> str:
    return f"{lake}/{name}"


def open_table(lake: Lake, name: TableName) -> DeltaTable:
    """Open a table of the lake; make the folder and the table where they are missing, and columns that the
    contract has got since it was made.

    Raises UnreadableLakeError where a table is there that lacks columns that may not be null, or has others.
    """
    path = table_address(lake, name)
    wanted = delta_schema(name)
    try:
        if isinstance(lake, Path):
            (lake / name).mkdir(parents=True, exist_ok=True)
        table = DeltaTable.create(path, wanted, mode="ignore", configuration=RETENTION)
    except CommitFailedError:  # somebody made it at the same moment
        table = DeltaTable(path)
    except (DeltaError, OSError) as error:
        raise UnreadableLakeError(
            str(error), where=path, allowed="a folder or store to write to, or a Delta table"
        ) from error
    if missing := [column for column in missing_columns(table, wanted) if column.nullable]:
        with suppress(CommitFailedError):  # somebody did it at the same moment
            table.alter.add_columns(missing)
        table = DeltaTable(path)
    _check_columns(table, wanted, path)
    return table


def missing_columns(table: DeltaTable, wanted: Schema) -> list[Field]:
    """Return the columns of the contract that a table does not have."""
    found = {column.name for column in table.schema().fields}
    return [column for column in wanted.fields if column.name not in found]


def keep_past(table: DeltaTable) -> None:
    """Have the table keep its old versions, where whoever made it has not said for how long."""
    unsaid = {key: kept for key, kept in RETENTION.items() if key not in table.metadata().configuration}
    if unsaid:
        with suppress(CommitFailedError):  # somebody writes just now; next time then
            table.alter.set_table_properties(unsaid)


def find_table(lake: Lake, name: TableName) -> DeltaTable | None:
    """Open a table to read, or return None where there is none yet. Raises UnreadableLakeError."""
    path = table_address(lake, name)
    try:
        table = DeltaTable(path)
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise UnreadableLakeError(str(error), where=path, allowed="a readable Delta table") from error
    _check_columns(table, delta_schema(name), path)
    return table


def position(table: DeltaTable, stream: str) -> int:
    """Return the last sequence of `stream` whose effect is in this version of the table, 0 where there is
    none.
    """
    return table.transaction_version(_application(stream)) or 0


def append(table: DeltaTable, rows: list[dict[str, Any]], *, stream: str, after: int, upto: int) -> None:
    """Commit `rows`, made of the messages of `stream` after sequence `after` up to `upto`, and the position
    `upto`, at once.

    No rows is fine: then only the position moves. Rows that others append at the same time don't matter.
    Raises PositionMovedError, with nothing committed, where the position is not `after` any more.
    """
    if (now := position(table, stream)) != after:
        raise PositionMovedError(
            f"the position is {now}", where=f"{table.table_uri} of {stream}", allowed=f"{after}"
        )
    batch = pa.RecordBatch.from_pylist(rows, schema=arrow_schema(table.schema()))
    transaction = Transaction(_application(stream), upto)
    try:
        write_deltalake(
            table,
            batch,
            mode="append",
            writer_properties=WRITTEN,
            commit_properties=CommitProperties(app_transactions=[transaction]),
        )
    except CommitFailedError as error:
        raise PositionMovedError(
            str(error), where=f"{table.table_uri} of {stream}", allowed=f"{after}"
        ) from error


def compact(table_path: str) -> int:
    """Write small files together; return how many became fewer. Old versions stay readable.

    Needs its own view of the table, so it can go on beside appends; where it meets another compaction, the
    other one wins.
    """
    try:
        done = DeltaTable(table_path).optimize.compact(
            target_size=COMPACTED_FILE_BYTES, writer_properties=WRITTEN
        )
    except CommitFailedError:
        return 0
    return int(done["numFilesRemoved"]) - int(done["numFilesAdded"])


def vacuum(table_path: str) -> int:
    """Delete the files that no version within the table's retention needs any more; return how many."""
    return len(DeltaTable(table_path).vacuum(dry_run=False))


def scan(table: DeltaTable, name: TableName = "heats") -> pl.LazyFrame:
    """Return the rows of this version of the table; columns that it does not have yet are null."""
    rows = pl.scan_delta(table)
    if missing := {column.name for column in missing_columns(table, delta_schema(name))}:
        types = no_rows(name).collect_schema()
        rows = rows.with_columns(
            pl.lit(None, dtype=types[column]).alias(column) for column in sorted(missing)
        )
    return rows


def no_rows(name: TableName) -> pl.LazyFrame:
    """Return the columns of a table without rows."""
    return pl.DataFrame(arrow_schema(delta_schema(name)).empty_table()).lazy()


def _application(stream: str) -> str:
    return f"monitoring/{stream}"


def _check_columns(table: DeltaTable, wanted: Schema, path: str) -> None:
    found = {column.name: column.type for column in arrow_schema(table.schema())}
    for column in arrow_schema(wanted):
        if column.name not in found and column.nullable:
            continue
        if found.get(column.name) != column.type:
            raise UnreadableLakeError(
                f"column {column.name} is {found.get(column.name, 'missing')}",
                where=path,
                allowed=str(column.type),
            )
