"""Rows of the lake without a bus: what a measure is tried on."""

from collections.abc import Iterable
from typing import Any

import polars as pl
import pyarrow as pa

from monitoring.events import read_event
from monitoring.lake.rows import row_of
from monitoring.lake.tables import arrow_schema, delta_schema
from tests.generator import body, completed, event


def as_row(data: dict[str, Any], sequence: int = 1) -> dict[str, Any]:
    return row_of(read_event(body(event(data))), {"stream": "PRODUCT then", "stream_seq": sequence})


def as_rows(many: Iterable[dict[str, Any]]) -> pl.LazyFrame:
    rows = [as_row(data, sequence) for sequence, data in enumerate(many, start=1)]
    batch = pa.Table.from_pylist(rows, schema=arrow_schema(delta_schema("heats")))
    frame = pl.from_arrow(batch)
    assert isinstance(frame, pl.DataFrame)
    return frame.lazy()


def heat(number: int = 1, *, revision: int = 1, **chemistry: Any) -> dict[str, Any]:
    """A heat whose final sample holds just `chemistry`; predicted are C 0.19, Si 0.199, Mn 0.776."""
    data = completed(number, revision=revision)
    if chemistry:
        data["x_prime"]["samples"][0]["chemistry"] = chemistry
    return data
