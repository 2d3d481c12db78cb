"""What is told on the bus: kept first, published after, each under an id that never changes.

So an event that is published twice (a crash in between) is stored once by the bus, and known by its id to
whoever reads it after the bus has forgotten it.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import nats
from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

STREAM, SUBJECTS = "MONITORING", "monitoring.>"
DEGRADED = "monitoring.model.degraded.v1"
JUDGED = "monitoring.shadow.judged.v1"
APPROVED = "monitoring.promotion.approved.v1"
CONNECT_S = 5.0

_TABLE = """
CREATE TABLE IF NOT EXISTS announcements (
  event_id TEXT PRIMARY KEY, type TEXT NOT NULL, key TEXT NOT NULL, made_at TEXT NOT NULL,
  body TEXT NOT NULL, published_at TEXT
)
"""


class Announcement(NamedTuple):
    event_id: str
    type: str
    body: bytes


class Announcements:
    """May be used from several threads: each call opens the file anew."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as db:
            db.execute(_TABLE)

    def announce(
        self,
        event_type: str,
        key: str,
        data: dict[str, Any],
        *,
        again_after: timedelta | None = None,
        now: datetime | None = None,
    ) -> bool:
        """Keep an event; whether it is new. The same key is told once, or once more after `again_after`."""
        at = now or datetime.now(UTC)
        with self._open() as db:
            last = db.execute(
                "SELECT max(made_at), count(*) FROM announcements WHERE type = ? AND key = ?",
                [event_type, key],
            ).fetchone()
            if last[0] and (again_after is None or datetime.fromisoformat(last[0]) + again_after > at):
                return False
            event_id = sha256(f"{event_type}/{key}/{last[1]}".encode()).hexdigest()[:32]
            event = {
                "specversion": "1.0",
                "id": event_id,
                "source": "monitoring",
                "type": event_type,
                "subject": key,
                "time": _instant(at),
                "datacontenttype": "application/json",
                "data": data,
            }
            body = msgspec.json.encode(event).decode()
            db.execute(
                "INSERT INTO announcements VALUES (?, ?, ?, ?, ?, NULL)",
                [event_id, event_type, key, at.isoformat(), body],
            )
        return True

    def unpublished(self) -> list[Announcement]:
        with self._open() as db:
            rows = db.execute(
                "SELECT event_id, type, body FROM announcements WHERE published_at IS NULL ORDER BY made_at"
            ).fetchall()
        return [Announcement(event_id, event_type, body.encode()) for event_id, event_type, body in rows]

    def publish(self, nats_url: str) -> int:
        """Publish what is not on the bus yet; return how many. Raises OSError or an error of NATS."""
        waiting = self.unpublished()
        if waiting:
            asyncio.run(_publish(nats_url, waiting))
            with self._open() as db:
                at = _instant(datetime.now(UTC))
                db.executemany(
                    "UPDATE announcements SET published_at = ? WHERE event_id = ?",
                    [(at, one.event_id) for one in waiting],
                )
        return len(waiting)

    def newest(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest events, whole, newest first."""
        with self._open() as db:
            rows = db.execute(
                "SELECT body FROM announcements ORDER BY made_at DESC LIMIT ?", [limit]
            ).fetchall()
        return [msgspec.json.decode(body) for (body,) in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file, timeout=10)) as db, db:
            yield db


async def _publish(nats_url: str, waiting: list[Announcement]) -> None:
    client = await nats.connect(
        nats_url,
        name="monitoring",
        allow_reconnect=False,
        max_reconnect_attempts=1,  # counts before the first connection too: without it, it tries for ever
        reconnect_time_wait=0.1,
        connect_timeout=CONNECT_S,
        error_cb=_quiet,
    )
    try:
        jetstream = client.jetstream()
        await _ensure_stream(jetstream)
        for one in waiting:
            await jetstream.publish(one.type, one.body, stream=STREAM, headers={"Nats-Msg-Id": one.event_id})
    finally:
        await client.close()


async def _ensure_stream(jetstream: JetStreamContext) -> None:
    try:
        await jetstream.stream_info(STREAM)
    except NotFoundError:
        with suppress(BadRequestError):  # somebody made it at the same moment
            await jetstream.add_stream(
                StreamConfig(name=STREAM, subjects=[SUBJECTS], storage=StorageType.FILE)
            )


async def _quiet(_: Exception) -> None:
    """It is raised too."""


def now_text() -> str:
    return _instant(datetime.now(UTC))


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
