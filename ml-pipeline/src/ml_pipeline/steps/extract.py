"""Take the heats of one version of the lake and keep them, so that a later reader gets the same rows."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow.parquet as pq

from ml_pipeline import lake
from ml_pipeline.errors import ExtractError

TREATMENT = ["plant_id", "heat_uid", "station", "treatment_no"]
ORDER = ["registered_at", "completed_at", *TREATMENT]
SLICE_HEATS = 50_000
"""Heats in memory at once; the lists of a row take some kilobytes."""


class Extract(NamedTuple):
    """The rows that were taken: `data_version` names the lake's version, `data_sha256` the Parquet file."""

    heats: int
    data_version: str
    data_sha256: str
    path: Path


def extract(
    lake_folder: lake.Lake,
    artifacts: Path,
    version: int | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Extract:
    """Take the rows in force (highest revision of each treatment) and write them as content-addressed
    Parquet.

    Raises ExtractError where none were complete from `since` to before `until` (UTC instants).
    """
    rows, at = lake.scan(lake_folder, "heats", version)
    window = [_instant("since", since), _instant("until", until)]
    if window[0] is not None:
        rows = rows.filter(pl.col("completed_at") >= window[0])
    if window[1] is not None:
        rows = rows.filter(pl.col("completed_at") < window[1])
    try:
        slices, count = _in_force_slices(rows)
        if not count:
            asked = f" complete from {since or 'the start'} to {until or 'the end'}" if since or until else ""
            raise ExtractError(
                f"{lake_folder}/heats at version {at} has no heats{asked}; import an extract first, or let "
                "heats come in"
            )
        path = _write(slices, artifacts / "data")
    except (OSError, pl.exceptions.PolarsError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ExtractError(
            f"{lake_folder}/heats at version {at}: files of it are gone ({first:.200}). Were they vacuumed? "
            "Take a newer version; the rows of registered models are in the artifact store, `reproduce` "
            "takes them there"
        ) from error
    return Extract(count, f"heats@v{at}", path.stem, path)


def keep(rows: pl.DataFrame, artifacts: Path) -> Path:
    """Write rows as content-addressed Parquet and return its path; the name's stem is its SHA-256."""
    return _write(iter([rows]), artifacts / "data")


def in_force(rows: pl.DataFrame) -> pl.DataFrame:
    """The latest revision of each treatment, oldest first, in an order that doesn't depend on the lake's
    files."""
    return (
        rows.sort("revision", "available_at", "event_id")
        .unique(TREATMENT, keep="last", maintain_order=True)
        .sort(ORDER)
    )


def slices_of(path: Path) -> Iterator[pl.DataFrame]:
    """Rows of a Parquet file in their order, some at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(SLICE_HEATS):
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)  # noqa: S101 (a batch never becomes a series)
            yield frame


def complete_between(path: Path, first: datetime, last: datetime) -> pl.LazyFrame:
    """Rows of a Parquet file that were complete in that time; what else the file holds is not read."""
    return pl.scan_parquet(path).filter(pl.col("completed_at").is_between(first, last))


def _in_force_slices(rows: pl.LazyFrame) -> tuple[Iterator[pl.DataFrame], int]:
    """`in_force` in slices of time, and how many heats they hold; only keys are in memory all at once."""
    keys = rows.select(*ORDER, "revision", "available_at", "event_id").collect()
    chosen = in_force(keys)

    def slices() -> Iterator[pl.DataFrame]:
        start = 0
        while start < chosen.height:
            # A slice ends where the time does, so that a range of times names its rows.
            end = min(start + SLICE_HEATS, chosen.height)
            last = chosen["registered_at"][end - 1]
            end = int(chosen["registered_at"].search_sorted(last, side="right"))
            wanted = chosen.slice(start, end - start).select("event_id", *TREATMENT, "revision")
            between = pl.col("registered_at").is_between(chosen["registered_at"][start], last)
            found = rows.filter(between).collect()
            yield in_force(found.join(wanted, on=wanted.columns, how="semi"))
            start = end

    return slices(), chosen.height


def _write(slices: Iterator[pl.DataFrame], folder: Path) -> Path:
    """Write Parquet under the hash of its bytes; a file that is there already is the same."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / ".part"
    first = next(slices).to_arrow()
    with pq.ParquetWriter(part, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for frame in slices:
            writer.write_table(frame.to_arrow().cast(first.schema))
    with part.open("rb") as file:
        path = folder / f"{hashlib.file_digest(file, 'sha256').hexdigest()}.parquet"
    part.replace(path)
    return path


def _instant(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ExtractError(f"--{name} {text!r}: not an instant; allowed: such as 2026-01-31T00:00:00Z")
    return moment
