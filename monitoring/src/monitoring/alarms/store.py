"""Alarms that people see to: kept in a small SQLite file, acknowledged and commented, never raised twice."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from monitoring.diagnosis.findings import Finding
from monitoring.errors import UnknownAlarmError

MOST_SHOWN = 50

_TABLE = """
CREATE TABLE IF NOT EXISTS alarms (
  alarm_id TEXT PRIMARY KEY, plant_id TEXT NOT NULL, bundle_hash TEXT, detected_at TEXT NOT NULL,
  diagnosis TEXT NOT NULL, cause TEXT NOT NULL, sentence TEXT NOT NULL, station TEXT, elements TEXT NOT NULL,
  evidence TEXT NOT NULL, acknowledged_at TEXT, acknowledged_by TEXT, note TEXT, told_at TEXT
)
"""
_KEEP = """
INSERT INTO alarms (alarm_id, plant_id, bundle_hash, detected_at, diagnosis, cause, sentence,
  station, elements, evidence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (alarm_id) DO UPDATE SET diagnosis = excluded.diagnosis, cause = excluded.cause,
  sentence = excluded.sentence, station = excluded.station, elements = excluded.elements,
  evidence = excluded.evidence
"""


class Alarm(NamedTuple):
    """A finding as it is kept; `told_at` is when the webhook took it."""

    alarm_id: str
    plant_id: str
    bundle_hash: str | None
    detected_at: datetime
    diagnosis: str
    cause: str
    sentence: str
    station: str | None
    elements: list[str]
    evidence: dict[str, Any]
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    note: str | None
    told_at: datetime | None


class AlarmStore:
    """May be used from several threads: each call opens the file anew."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(_TABLE)

    def keep(self, findings: Iterable[Finding], bundle_hash: str | None) -> int:
        """Take up findings; return how many are new. One that is known gets its newest cause, sentence and
        evidence.
        """
        new = 0
        with self._open() as db:
            for one in findings:
                known = db.execute("SELECT 1 FROM alarms WHERE alarm_id = ?", [alarm_id(one)]).fetchone()
                new += known is None
                db.execute(
                    _KEEP,
                    [
                        alarm_id(one),
                        one.plant_id,
                        bundle_hash,
                        one.detected_at.isoformat(),
                        one.diagnosis,
                        one.cause,
                        one.sentence,
                        one.station,
                        json.dumps(one.elements),
                        json.dumps(one.evidence),
                    ],
                )
        return new

    def newest(self) -> list[Alarm]:
        """Return alarms, those that nobody has seen to first, then by time."""
        return self._select("ORDER BY acknowledged_at IS NOT NULL, detected_at DESC LIMIT ?", [MOST_SHOWN])

    def untold(self) -> list[Alarm]:
        """Return the alarms that the webhook has not taken yet, the oldest first."""
        return self._select("WHERE told_at IS NULL ORDER BY detected_at", [])

    def open_count(self) -> int:
        with self._open() as db:
            return int(db.execute("SELECT count(*) FROM alarms WHERE acknowledged_at IS NULL").fetchone()[0])

    def told(self, alarm: Alarm) -> None:
        with self._open() as db:
            db.execute("UPDATE alarms SET told_at = ? WHERE alarm_id = ?", [_now(), alarm.alarm_id])

    def acknowledge(self, alarm_id: str, by: str, note: str | None) -> None:
        """Somebody has seen to it; again, with another note, is fine. Raises UnknownAlarmError."""
        with self._open() as db:
            done = db.execute(
                "UPDATE alarms SET acknowledged_at = coalesce(acknowledged_at, ?), acknowledged_by = ?, "
                "note = ? WHERE alarm_id = ?",
                [_now(), by, note, alarm_id],
            )
            if not done.rowcount:
                raise UnknownAlarmError("is not known", where=alarm_id, allowed="an id from /api/v1/alarms")

    def _select(self, rest: str, values: list[object]) -> list[Alarm]:
        with self._open() as db:
            query = f"SELECT {', '.join(Alarm._fields)} FROM alarms {rest}"  # noqa: S608
            return [_alarm(row) for row in db.execute(query, values)]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._file, timeout=10)
        try:
            with db:
                yield db
        finally:
            db.close()


def alarm_id(finding: Finding) -> str:
    """The same finding has the same id, whatever it is called later on."""
    named = finding.named[0]
    parts = [finding.plant_id, finding.detected_at.isoformat(), named.cause, named.subject or ""]
    return sha256("/".join(parts).encode()).hexdigest()[:16]


def _alarm(row: tuple[Any, ...]) -> Alarm:
    of = dict(zip(Alarm._fields, row, strict=True))
    times = {name: _time(of[name]) for name in ("detected_at", "acknowledged_at", "told_at")}
    return Alarm(
        **(of | times | {"elements": json.loads(of["elements"]), "evidence": json.loads(of["evidence"])})
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _now() -> str:
    return datetime.now(UTC).isoformat()
