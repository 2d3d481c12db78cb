"""Take the heats of one version of the lake and keep them, so that a later reader gets the same rows."""

import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import polars as pl

from ml_pipeline import lake
from ml_pipeline.errors import ExtractError


class Extract(NamedTuple):
    """The rows that were taken: `data_version` names the lake's version, `data_sha256` the Parquet file."""

    heats: pl.DataFrame
    data_version: str
    data_sha256: str
    path: Path


def extract(lake_folder: Path, artifacts: Path, version: int | None = None) -> Extract:
    """Take the rows in force (highest revision of each treatment) and write them as content-addressed
    Parquet."""
    rows, at = lake.scan(lake_folder, "heats", version)
    heats = in_force(rows.collect())
    if heats.is_empty():
        raise ExtractError(
            f"{lake_folder}/heats at version {at} has no heats; import an extract first, or let heats come in"
        )
    buffer = io.BytesIO()
    heats.write_parquet(buffer, compression="zstd")
    content = buffer.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    path = artifacts / "data" / f"{sha256}.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(content)
        part.replace(path)
    return Extract(heats, f"heats@v{at}", sha256, path)


def in_force(rows: pl.DataFrame) -> pl.DataFrame:
    """The latest revision of each treatment, oldest first, in an order that doesn't depend on the lake's
    files."""
    key = ["plant_id", "heat_uid", "station", "treatment_no"]
    return (
        rows.sort("revision", "available_at", "event_id")
        .unique(key, keep="last", maintain_order=True)
        .sort("registered_at", "completed_at", *key)
    )
