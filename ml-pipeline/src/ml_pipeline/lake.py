"""The lake's Delta tables: reading a pinned version, appending rows that are not there yet."""

from importlib.resources import files
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, Schema, write_deltalake

from ml_pipeline.errors import ExtractError

TableName = Literal["heats", "quarantine"]
Lake = Path | str
"""A folder, or a place in an S3-compatible store (`s3://bucket/lake`) whose endpoint and keys are read from
the `AWS_*` variables."""
ROWS_PER_WRITE = 50_000
RETENTION = {
    "delta.logRetentionDuration": "interval 365 days",
    "delta.deletedFileRetentionDuration": "interval 365 days",
}
"""As monitoring keeps it: a pinned version can be read for a year."""


def arrow_schema(name: TableName) -> pa.Schema:
    """The contract's schema of a table; the copy in this package is held byte-equal to the contract by a
    test."""
    text = files("ml_pipeline").joinpath(f"{name}.v1.delta-schema.json").read_text(encoding="utf-8")
    return pa.schema(Schema.from_json(text).to_arrow())


def polars_schema(name: TableName) -> pl.Schema:
    """The same, as Polars sees it."""
    empty = pl.from_arrow(arrow_schema(name).empty_table())
    assert isinstance(empty, pl.DataFrame)  # noqa: S101 (a table never becomes a series)
    return empty.schema


def place(text: str) -> Lake:
    """The lake that a setting names."""
    return text if "://" in text else Path(text)


def address(lake: Lake, name: TableName) -> str:
    """Where a table of it is, whatever the working folder."""
    return f"{lake.resolve() if isinstance(lake, Path) else lake}/{name}"


def append(lake: Lake, name: TableName, rows: pl.DataFrame) -> int:
    """Append rows and return the table's version; the table is made where it is missing. No rows: nothing is
    written."""
    path = address(lake, name)
    schema = arrow_schema(name)
    if not DeltaTable.is_deltatable(path):
        if isinstance(lake, Path):
            lake.mkdir(parents=True, exist_ok=True)
        DeltaTable.create(path, schema=Schema.from_arrow(schema), mode="ignore", configuration=RETENTION)
    if rows.height:
        chunks = (
            batch
            for start in range(0, rows.height, ROWS_PER_WRITE)
            for batch in rows.slice(start, ROWS_PER_WRITE).to_arrow().cast(schema).to_batches()
        )
        write_deltalake(path, pa.RecordBatchReader.from_batches(schema, chunks), mode="append")
    return int(DeltaTable(path).version())


def exists(lake: Lake, name: TableName) -> bool:
    """Whether the lake has this table."""
    return DeltaTable.is_deltatable(address(lake, name))


def scan(lake: Lake, name: TableName, version: int | None = None) -> tuple[pl.LazyFrame, int]:
    """Return the table at a version (default: now) and that version.

    Raises ExtractError where the table, or that version of it, is not there.
    """
    path = address(lake, name)
    if not DeltaTable.is_deltatable(path):
        raise ExtractError(f"{path}: no Delta table; import an extract first, or collect heats from the bus")
    try:
        table = DeltaTable(path, version=version)
    except Exception as error:
        raise ExtractError(
            f"{path}: version {version} cannot be read; allowed: 0 to {DeltaTable(path).version()} while kept"
        ) from error
    return pl.scan_delta(table), int(table.version())


def identity(lake: Lake, version: int | None = None) -> str:
    """Names the heats table and its version, so that another table in the same place is another input."""
    _, at = scan(lake, "heats", version)
    return f"{DeltaTable(address(lake, 'heats')).metadata().id}@v{at}"
