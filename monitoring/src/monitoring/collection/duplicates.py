"""Which events the lake already holds, in bounded memory.

The position keeps a message from being stored twice; it cannot know that the *same event* was published again
at another place of the stream, or in a new stream, after the bus had forgotten its id. So the keys of the
newest rows are kept in memory, and the lake is asked about events that are older than all of them.
"""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import polars as pl
from deltalake import DeltaTable

from monitoring.lake.tables import scan

REMEMBERED_ROWS = 100_000

Key = tuple[str, str, str, int, int]
_NEVER = datetime.min.replace(tzinfo=UTC)
_COLUMNS = ["event_id", "plant_id", "heat_uid", "station", "treatment_no", "revision", "available_at"]


class StoredEvents:
    """The events that are in the lake: every one with `available_at` after `_horizon` is in memory."""

    def __init__(self, heats: DeltaTable, remembered_rows: int = REMEMBERED_ROWS) -> None:
        self._heats = heats
        self._remembered_rows = remembered_rows
        self._keys: OrderedDict[str, tuple[Key, datetime]] = OrderedDict()
        self._revisions: set[Key] = set()
        self._horizon = _NEVER
        newest = _bus_rows(heats).top_k(remembered_rows + 1, by="available_at").collect()
        self.remember(newest.sort("available_at").iter_rows(named=True))

    def new_among(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows whose event id, and whose revision of the treatment, are neither stored nor earlier
        in `rows`.
        """
        old = [row for row in rows if row["available_at"] <= self._horizon]
        ids, revisions = self._stored(old) if old else (set(), set())
        new = []
        for row in rows:
            key = _key(row)
            if (
                row["event_id"] in self._keys
                or row["event_id"] in ids
                or key in self._revisions
                or key in revisions
            ):
                continue
            ids.add(row["event_id"])
            revisions.add(key)
            new.append(row)
        return new

    def remember(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take up rows that have been stored; let go of the ones taken up first."""
        for row in rows:
            key = _key(row)
            self._keys[row["event_id"]] = (key, row["available_at"])
            self._revisions.add(key)
        while len(self._keys) > self._remembered_rows:
            _, (key, available_at) = self._keys.popitem(last=False)
            self._revisions.discard(key)
            self._horizon = max(self._horizon, available_at)

    def _stored(self, rows: list[dict[str, Any]]) -> tuple[set[str], set[Key]]:
        uids = list({row["heat_uid"] for row in rows})
        event_ids = [row["event_id"] for row in rows]
        asked = pl.col("event_id").is_in(event_ids) | pl.col("heat_uid").is_in(uids)
        found = _bus_rows(self._heats).filter(asked).collect().rows(named=True)
        return {row["event_id"] for row in found}, {_key(row) for row in found}


def _bus_rows(heats: DeltaTable) -> pl.LazyFrame:
    return scan(heats).filter(pl.col("origin") == "bus").select(_COLUMNS)


def _key(row: dict[str, Any]) -> Key:
    return (row["plant_id"], row["heat_uid"], row["station"], row["treatment_no"], row["revision"])
