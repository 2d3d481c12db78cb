"""Diagnoses of every plant of a lake, as JSON."""

from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from monitoring.diagnosis.diagnose import diagnose
from monitoring.diagnosis.facts import facts
from monitoring.diagnosis.findings import Finding
from monitoring.diagnosis.reference import Reference
from monitoring.errors import UnreadableFileError
from monitoring.lake.tables import find_table, no_rows, scan
from monitoring.measures.treatments import of_the_bus


def lake_rows(lake: Path, plant_id: str | None) -> pl.LazyFrame:
    """Return the rows of a lake that came over the bus or from its files; none where there is no lake yet."""
    heats = find_table(lake, "heats")
    return of_the_bus(scan(heats) if heats else no_rows("heats"), plant_id)


def imported_rows(lake: Path, plant_id: str | None) -> pl.LazyFrame:
    """Return the rows of a lake that were imported: the past that the first model was trained on."""
    heats = find_table(lake, "heats")
    rows = (scan(heats) if heats else no_rows("heats")).filter(pl.col("origin") == "import")
    return rows if plant_id is None else rows.filter(pl.col("plant_id") == plant_id)


def kept_rows(file: Path, plant_id: str | None) -> pl.LazyFrame:
    """Return the rows of a lake that somebody kept as Parquet. Raises UnreadableFileError."""
    if not file.is_file():
        raise UnreadableFileError("not there", where=str(file), allowed="a Parquet file of rows of the lake")
    try:
        rows = pl.scan_parquet(file)
        missing = set(no_rows("heats").collect_schema().names()) - set(rows.collect_schema().names())
    except pl.exceptions.PolarsError as error:
        raise UnreadableFileError(
            str(error).splitlines()[0], where=str(file), allowed="a Parquet file of rows of the lake"
        ) from error
    if missing:
        raise UnreadableFileError(
            f"no column {', '.join(sorted(missing))}", where=str(file), allowed="rows of the lake's heats"
        )
    return rows if plant_id is None else rows.filter(pl.col("plant_id") == plant_id)


def as_json(rows: pl.LazyFrame, reference: Reference) -> str:
    """Return `{"plants": {plant_id: {"treatments", "findings": [...], "facts": [...]}}}`."""
    ids = rows.select(pl.col("plant_id").unique().sort()).collect()["plant_id"]
    plants = {
        plant_id: _plant(rows.filter(pl.col("plant_id") == plant_id).collect().lazy(), reference)
        for plant_id in ids
    }
    return msgspec.json.encode({"plants": plants}).decode()


def as_dict(finding: Finding) -> dict[str, Any]:
    """Return a finding with names instead of places."""
    return finding._asdict() | {"named": [naming._asdict() for naming in finding.named]}


def _plant(rows: pl.LazyFrame, reference: Reference) -> dict[str, Any]:
    found = diagnose(rows, reference)
    return {
        "treatments": found.surprises.heats.height,
        "findings": [as_dict(one) for one in found.findings],
        "facts": [one._asdict() for one in facts(rows, reference)],
    }
