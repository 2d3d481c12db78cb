"""What the lake says now, cheap to ask: a new version of a table is read once, and only its new rows."""

import itertools
import logging
import time
from threading import Lock, Thread
from typing import Any, NamedTuple

import polars as pl
from deltalake import DeltaTable

from monitoring.dashboard.history import blocks_of, versions_of
from monitoring.errors import UnknownTreatmentError, UnreadableLakeError
from monitoring.lake.tables import Lake, find_table, no_rows, position, scan
from monitoring.measures.summary import Assessed, Summary, assess, merged, summarise
from monitoring.measures.treatments import of_the_bus

NEWEST_QUARANTINED = 5
PLOTTED_ERRORS = 200  # of an element
ROWS_AT_ONCE = 50_000
WAITED_FOR_ROWS = 50_000  # a smaller lake is read in a moment
RESTS = 4.0  # times as long as a large lake took to read: the rest of the time is for the pages

log = logging.getLogger(__name__)


class Reading(NamedTuple):
    """One consistent view of the lake; whatever a page needs of it is small, and worked out once.

    `versions`: of models, by bundle hash; `newest_errors`: those that are plotted, of each element;
    `last_stored`: the newest stream and its last sequence that has a row, the position as rows tell it.
    """

    heats: DeltaTable | None
    lake_version: int | None
    rows: int
    bus_rows: int
    quarantined: int
    newest_quarantined: list[dict[str, Any]]
    assessed: Assessed
    summary: Summary
    blocks: pl.DataFrame
    versions: dict[str, str]
    newest_errors: pl.DataFrame
    last_stored: tuple[str | None, int | None]
    quarantined_imports: int = 0

    def position_in(self, stream: str) -> int:
        """Return the last sequence of a stream that the lake has seen."""
        return position(self.heats, stream) if self.heats else 0


class LakeReader:
    """Keeps the last reading. May be asked from several threads."""

    def __init__(self, lake: Lake, plant_id: str | None) -> None:
        self._lake = lake
        self._plant_id = plant_id
        self._lock = Lock()
        self._again_at = 0.0
        self._of: tuple[object, ...] | None = None
        self._nothing = assess(no_rows("heats"))
        self._reading = self._no_lake()

    def now(self) -> Reading:
        """Return the lake as it is now; a large one as it was a moment ago, where it has changed since:
        the new heats are read meanwhile, and nobody waits. Raises UnreadableLakeError.
        """
        if self._reading.rows < WAITED_FOR_ROWS:
            with self._lock:
                return self._refreshed()
        if time.monotonic() >= self._again_at and self._lock.acquire(blocking=False):
            Thread(target=self._refresh_and_release, daemon=True).start()
        return self._reading

    def _refresh_and_release(self) -> None:
        began = time.monotonic()
        try:
            self._refreshed()
        except UnreadableLakeError as error:
            log.warning("the lake is shown as it was: %s", error)
        finally:
            self._again_at = time.monotonic() + RESTS * (time.monotonic() - began)
            self._lock.release()

    def _refreshed(self) -> Reading:
        heats, quarantine = find_table(self._lake, "heats"), find_table(self._lake, "quarantine")
        of = (*_identity(heats), *_identity(quarantine))
        if of != self._of:
            reading = self._read(heats)
            if quarantine:
                newest = (
                    scan(quarantine, "quarantine")
                    .drop("row")
                    .top_k(NEWEST_QUARANTINED, by="quarantined_at")
                    .collect()
                )
                imports = scan(quarantine, "quarantine").filter(pl.col("origin") == "import")
                reading = reading._replace(
                    quarantined=quarantine.count(),
                    quarantined_imports=_count(imports),
                    newest_quarantined=newest.rows(named=True),
                )
            self._reading, self._of = reading, of
        return self._reading

    def treatment(self, plant_id: str, heat_uid: str, station: str, treatment_no: int) -> dict[str, Any]:
        """Return the row in force of one treatment, of whatever origin. Raises UnknownTreatmentError."""
        key = {"plant_id": plant_id, "heat_uid": heat_uid, "station": station, "treatment_no": treatment_no}
        known = self.now().assessed.treatments.filter(**key)
        heats = find_table(self._lake, "heats")
        if heats:
            found = scan(heats).filter(**key)
            if known.height:  # its time tells which of the lake's files it is in
                found = found.filter(pl.col("completed_at") == known["completed_at"][0])
            rows = found.collect()
            if rows.height:
                return rows.sort("revision").row(-1, named=True)
        raise UnknownTreatmentError(
            "is not in the lake",
            where=f"{plant_id}/{heat_uid}/{station}/{treatment_no}",
            allowed="a treatment that was completed or imported",
        )

    def rows(self) -> pl.LazyFrame:
        """Return the rows of the bus as they are in the lake now. Raises UnreadableLakeError."""
        heats = find_table(self._lake, "heats")
        return of_the_bus(scan(heats) if heats else no_rows("heats"), self._plant_id)

    def _read(self, heats: DeltaTable | None) -> Reading:
        if heats is None:
            return self._no_lake()
        rows = of_the_bus(scan(heats), self._plant_id)
        bus_rows = _count(rows)
        assessed = self._with_new_rows(heats, rows, bus_rows)
        return _reading(heats, (heats.version(), heats.count(), bus_rows), assessed)

    def _no_lake(self) -> Reading:
        return _reading(None, (None, 0, 0), self._nothing)

    def _with_new_rows(self, heats: DeltaTable, rows: pl.LazyFrame, bus_rows: int) -> Assessed:
        """Judge the rows that came after the last reading; all of them where that leaves a row out."""
        before = self._reading
        if before.heats and _table_id(before.heats) == _table_id(heats):
            seen = before.assessed.treatments.group_by("stream").agg(pl.col("stream_seq").max())
            known = [
                (pl.col("stream") == name) & (pl.col("stream_seq") <= last) for name, last in seen.rows()
            ]
            new = rows.filter(~pl.any_horizontal(pl.lit(False), *known))
            if before.bus_rows + _count(new) == bus_rows:
                return merged(before.assessed, assess(new))
        return _assessed_in_parts(rows, bus_rows)


def _assessed_in_parts(rows: pl.LazyFrame, bus_rows: int) -> Assessed:
    """Judge all rows, a part at a time in the order of their completion, so that memory holds for a large
    lake; a treatment whose revisions are in several parts counts with the newest.
    """
    if bus_rows <= ROWS_AT_ONCE:
        return assess(rows)
    times = rows.select("completed_at").collect()["completed_at"].sort()
    cuts = [*times.gather_every(ROWS_AT_ONCE).unique().sort(), None]
    found: Assessed | None = None
    for begin, end in itertools.pairwise(cuts):
        part = pl.col("completed_at") >= begin
        if end is not None:
            part &= pl.col("completed_at") < end
        new = assess(rows.filter(part))
        found = new if found is None else merged(found, new)
    return found or assess(rows)


def _reading(heats: DeltaTable | None, counts: tuple[int | None, int, int], assessed: Assessed) -> Reading:
    newest = assessed.treatments.top_k(1, by=["stream", "stream_seq"])
    last = (newest["stream"][0], newest["stream_seq"][0]) if newest.height else (None, None)
    errors = assessed.errors.group_by("element", maintain_order=True).tail(PLOTTED_ERRORS)
    summary, blocks = summarise(assessed), blocks_of(assessed.errors)
    versions = versions_of(assessed.treatments)
    return Reading(heats, *counts, 0, [], assessed, summary, blocks, versions, errors, last)


def _identity(table: DeltaTable | None) -> tuple[object, ...]:
    return (_table_id(table), table.version()) if table else (None, None)


def _count(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect().item())


def _table_id(table: DeltaTable) -> object:
    return table.metadata().id
