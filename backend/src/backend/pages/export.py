"""Rows as a table to take away: columns in order, fixed ones first, then one an element."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

CSV, PARQUET = "text/csv; charset=utf-8", "application/vnd.apache.parquet"
FIXED: Mapping[str, Any] = {
    "plant_id": pl.String,
    "heat_uid": pl.String,
    "station": pl.String,
    "treatment_no": pl.Int64,
    "heat_no": pl.String,
    "grade": pl.String,
    "state": pl.String,
    "registered_at": pl.String,
    "completed_at": pl.String,
    "steel_mass_t": pl.Float64,
    "temperature_c": pl.Float64,
    "oxygen_ppm": pl.Float64,
    "recommended_by": pl.String,
    "model_version": pl.String,
    "recommended": pl.String,
    "cost": pl.Float64,
    "currency": pl.String,
    "decided": pl.String,
    "decided_by": pl.String,
    "decided_at": pl.String,
    "reason_code": pl.String,
    "reasons": pl.String,
    "in_window": pl.Boolean,
}
INSTANTS = ("registered_at", "completed_at", "decided_at")


def frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """A table, the fixed columns first; below detection is the limit, with true in `_below`."""
    others = sorted({name for row in rows for name in row} - FIXED.keys())
    schema = dict(FIXED) | {name: pl.Boolean if name.endswith("_below") else pl.Float64 for name in others}
    table = pl.DataFrame(rows, schema=schema, strict=False)
    return table.with_columns(
        pl.col(name).str.to_datetime(time_zone="UTC", time_unit="us", strict=True) for name in INSTANTS
    )
