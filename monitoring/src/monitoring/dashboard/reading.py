"""What the lake says now, cheap to ask: a new version of a table is read once, and only its new rows."""

import itertools
import logging
import time
from threading import Lock, Thread
from typing import Any, NamedTuple

import polars as pl
from deltalake import DeltaTable

from monitoring.dashboard.history import blocks_of, versions_of
from monitoring.dashboard.parts import Parts, in_force, superseded
from monitoring.errors import LakeBeingReadError, UnknownTreatmentError, UnreadableLakeError
from monitoring.lake.tables import Lake, find_table, no_rows, position, scan
from monitoring.measures.summary import Summary, assess, figures
from monitoring.measures.treatments import of_the_bus

NEWEST_QUARANTINED = 5
PLOTTED_ERRORS = 200  # of an element
ROWS_AT_ONCE = 50_000
WAITED_FOR_ROWS = 50_000  # a smaller lake is read in a moment
RESTS = 4.0  # times as long as a large lake took to read: the rest of the time is for the pages

_NO_STREAMS = pl.DataFrame(schema={"stream": pl.String, "rows": pl.UInt32, "stream_seq": pl.Int64})

log = logging.getLogger(__name__)


class Reading(NamedTuple):
    """One consistent view of the lake; whatever a page needs of it is small, and worked out once.

    `streams`: where the rows of the bus come from, how many, and the last sequence that has one;
    `treatments`: of all parts; `counts` of them and `cells` of their errors are what figures are made from;
    `versions`: of models, by bundle hash; `newest_errors`: those that are plotted, of each element.
    """

    heats: DeltaTable | None
    lake_version: int | None
    rows: int
    streams: pl.DataFrame
    parts: Parts
    treatments: pl.DataFrame
    counts: pl.DataFrame
    cells: pl.DataFrame
    summary: Summary
    blocks: pl.DataFrame
    versions: dict[str, str]
    newest_errors: pl.DataFrame
    quarantined: int = 0
    quarantined_imports: int = 0
    newest_quarantined: tuple[dict[str, Any], ...] = ()

    @property
    def last_stored(self) -> tuple[str | None, int | None]:
        """The newest stream and its last sequence that has a row, the position as rows tell it."""
        return max(self.streams.select("stream", "stream_seq").iter_rows(), default=(None, None))

    def position_in(self, stream: str) -> int:
        """Return the last sequence of a stream that the lake has seen."""
        return position(self.heats, stream) if self.heats else 0


class LakeReader:
    """Keeps the last reading. May be asked from several threads."""

    def __init__(self, lake: Lake, plant_id: str | None) -> None:
        self._lake = lake
        self._plant_id = plant_id
        self._lock = Lock()
        self._is_large = False
        self._again_at = 0.0
        self._of: tuple[object, ...] | None = None
        self._nothing = _reading(None, _NO_STREAMS, _read_in_parts(no_rows("heats"), 0))
        self._reading = self._nothing

    def now(self) -> Reading:
        """Return the lake as it is now; a large one as it was a moment ago, where it has changed since:
        the new heats are read meanwhile, and nobody waits. Raises UnreadableLakeError, and LakeBeingReadError
        until a large one has been read once.
        """
        if not self._is_large:
            with self._lock:
                heats = find_table(self._lake, "heats")
                self._is_large = heats is not None and heats.count() >= WAITED_FOR_ROWS
                if not self._is_large or self._of is not None:
                    return self._refreshed(heats)
        if time.monotonic() >= self._again_at and self._lock.acquire(blocking=False):
            Thread(target=self._refresh_and_release, daemon=True).start()
        if self._of is None:
            raise LakeBeingReadError(
                "is read for the first time since the start", where=str(self._lake), allowed="ask again later"
            )
        return self._reading

    def _refresh_and_release(self) -> None:
        began = time.monotonic()
        try:
            self._refreshed(find_table(self._lake, "heats"))
        except UnreadableLakeError as error:
            log.warning("the lake is shown as it was: %s", error)
        finally:
            self._again_at = time.monotonic() + RESTS * (time.monotonic() - began)
            self._lock.release()

    def _refreshed(self, heats: DeltaTable | None) -> Reading:
        quarantine = find_table(self._lake, "quarantine")
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
                    newest_quarantined=tuple(newest.rows(named=True)),
                )
            self._reading, self._of = reading, of
        return self._reading

    def treatment(self, plant_id: str, heat_uid: str, station: str, treatment_no: int) -> dict[str, Any]:
        """Return the row in force of one treatment, of whatever origin. Raises UnknownTreatmentError."""
        key = {"plant_id": plant_id, "heat_uid": heat_uid, "station": station, "treatment_no": treatment_no}
        reading = self.now()
        if reading.heats:
            # The time tells which of the lake's files it is in, and is compared faster than the key.
            at = reading.treatments.filter(**key)["completed_at"]
            rows = scan(reading.heats).filter(**({"completed_at": at[0]} if at.len() else key)).collect()
            if (found := rows.filter(**key)).height:
                return found.sort("revision").row(-1, named=True)
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
            return self._nothing
        rows = of_the_bus(scan(heats), self._plant_id)
        streams = rows.group_by("stream").agg(pl.len().alias("rows"), pl.col("stream_seq").max()).collect()
        parts = self._with_new_rows(heats, rows, streams) or _read_in_parts(rows, int(streams["rows"].sum()))
        return _reading(heats, streams, parts)

    def _with_new_rows(self, heats: DeltaTable, rows: pl.LazyFrame, streams: pl.DataFrame) -> Parts | None:
        """Judge the rows that came after the last reading; None where that leaves a row out, or where they
        change what was long ago."""
        before = self._reading
        if before.heats is None or _table_id(before.heats) != _table_id(heats):
            return None
        new = rows.filter(~pl.any_horizontal(pl.lit(False), *(
            (pl.col("stream") == name) & (pl.col("stream_seq") <= last)
            for name, _, last in before.streams.iter_rows()
        )))  # fmt: skip
        count = _count(new)
        if before.streams["rows"].sum() + count != streams["rows"].sum() or count > ROWS_AT_ONCE:
            return None
        assessed = assess(new)
        return None if before.parts.reach_back(assessed.treatments) else before.parts.with_later(assessed)


def _read_in_parts(rows: pl.LazyFrame, bus_rows: int) -> Parts:
    """Judge all rows, some at a time in the order of their completion, so that memory holds for a large lake;
    a treatment whose revisions are in several parts counts with the newest.
    """
    parts = Parts((), assess(rows.clear()))
    if bus_rows <= ROWS_AT_ONCE:
        return parts.with_later(assess(rows))
    times = rows.select("completed_at").collect()["completed_at"].sort()
    corrected = superseded(rows)
    cuts = [*times.gather_every(ROWS_AT_ONCE).unique().sort(), None]
    for begin, end in itertools.pairwise(cuts):
        part = pl.col("completed_at") >= begin
        if end is not None:
            part &= pl.col("completed_at") < end
        parts = parts.with_later(in_force(assess(rows.filter(part)), corrected))
    return parts


def _reading(heats: DeltaTable | None, streams: pl.DataFrame, parts: Parts) -> Reading:
    counted, cells = parts.counts(), parts.cells()
    return Reading(
        heats=heats,
        lake_version=heats.version() if heats else None,
        rows=heats.count() if heats else 0,
        streams=streams,
        parts=parts,
        treatments=parts.treatments(),
        counts=counted,
        cells=cells,
        summary=figures(counted, cells),
        blocks=blocks_of(cells),
        versions=versions_of(counted),
        newest_errors=parts.newest.errors.group_by("element", maintain_order=True).tail(PLOTTED_ERRORS),
    )


def _identity(table: DeltaTable | None) -> tuple[object, ...]:
    return (_table_id(table), table.version()) if table else (None, None)


def _count(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect().item())


def _table_id(table: DeltaTable) -> object:
    return table.metadata().id
