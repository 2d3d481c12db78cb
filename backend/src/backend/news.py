"""News for the pages: each treatment that changed, as server-sent events.

Other processes change heats too, so the database is looked at, once for all who listen.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from backend.access.gate import needs
from backend.access.rules import READ
from backend.clock import instant_text, now
from backend.database import reading, run, table_of
from backend.heats.tables import HeatRecord

log = logging.getLogger(__name__)

HEATS = table_of(HeatRecord)
LOOK_EVERY_S = 0.25
STILL_HERE_AFTER_S = 15.0
# Then the browser comes again by itself, and shows again who it is.
LONGEST_S = 600.0
MOST_UNHEARD = 1000
# A transaction ends after the time that it wrote down; within this, it is still seen.
LATE = timedelta(seconds=3)

router = APIRouter()

Seen = dict[int, datetime]


class News:
    """Who listens, and the one look at the database while somebody does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._listeners: set[asyncio.Queue[bytes]] = set()
        self._looking: asyncio.Task[None] | None = None

    async def listen(self) -> AsyncIterator[bytes]:
        """Events as they go over the wire; comments keep the line open."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(MOST_UNHEARD)
        self._listeners.add(queue)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        loop = asyncio.get_running_loop()
        end = loop.time() + LONGEST_S
        try:
            yield b"retry: 1000\n: listening\n\n"
            while (left_s := end - loop.time()) > 0:
                try:
                    yield await asyncio.wait_for(queue.get(), min(STILL_HERE_AFTER_S, left_s))
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._listeners.discard(queue)

    async def _look(self) -> None:
        """Tell what changes from now on, as long as somebody listens."""
        since, seen = now(), Seen()
        while self._listeners:
            try:
                changed = await asyncio.to_thread(_changed, self._engine, since - LATE)
            except DBAPIError as failed:
                log.warning("the database is away (%s); looking on", failed.orig)
                changed = []
            for heat_id, at, event in changed:
                if at >= since - LATE and seen.get(heat_id) != at:
                    self._tell(event)
                seen[heat_id] = at
                since = max(since, at)
            seen = {heat_id: at for heat_id, at in seen.items() if at >= since - LATE}
            await asyncio.sleep(LOOK_EVERY_S)

    def _tell(self, event: bytes) -> None:
        for queue in self._listeners:
            if not queue.full():  # who has not heard a thousand is gone, or will look at everything anew
                queue.put_nowait(event)


@router.get("/events", dependencies=[needs(READ)])
async def events(request: Request) -> StreamingResponse:
    """`treatment` events: key, heat_no, grade, station, state and changed_at of what has changed."""
    news: News = request.app.state.news
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(news.listen(), media_type="text/event-stream", headers=headers)


def _changed(engine: Engine, since: datetime) -> list[tuple[int, datetime, bytes]]:
    names = ("plant_id", "heat_uid", "station", "treatment_no", "heat_no", "grade", "state")
    columns = [HEATS.c[name] for name in names]
    query = select(HEATS.c.id, HEATS.c.changed_at, *columns).where(HEATS.c.changed_at > since)
    with reading(engine) as session:
        rows = run(session, query.order_by(HEATS.c.changed_at).limit(MOST_UNHEARD)).all()
    return [(row.id, row.changed_at, _event(row)) for row in rows]


def _event(row: Any) -> bytes:
    key = f"{row.plant_id}/{row.heat_uid}/{row.station}/{row.treatment_no}"
    told = {"key": key, "changed_at": instant_text(row.changed_at)}
    told |= {name: getattr(row, name) for name in ("heat_no", "grade", "station", "state")}
    return b"event: treatment\ndata: " + orjson.dumps(told) + b"\n\n"
