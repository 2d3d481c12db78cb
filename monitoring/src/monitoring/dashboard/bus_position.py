"""How far the lake is behind the bus, asked of the bus itself; pages do without where it is away."""

import asyncio
import logging
import time
from contextlib import suppress

from nats.aio.client import Client
from pydantic import BaseModel

from monitoring.collection.bus import BUS_ERRORS, connect, pending, product_stream
from monitoring.dashboard.reading import Reading

ANSWER_WITHIN_S = 1.0
ASK_EVERY_S = 1.0

log = logging.getLogger(__name__)


class Position(BaseModel):
    """Last sequence of the stream that the lake has seen, and how many heats wait; None is not known."""

    stream: str | None = None
    sequence: int | None = None
    behind: int | None = None


class BusPosition:
    """A connection to the bus that is made in the background, and again for ever."""

    def __init__(self, nats_url: str) -> None:
        self._connecting = asyncio.create_task(connect(nats_url))
        self._asked_s = 0.0
        self._of: int | None = None
        self._answer: Position | None = None
        self._lock = asyncio.Lock()

    async def of(self, reading: Reading) -> Position:
        """Return the position of a reading; the bus is asked at most once a second per lake version."""
        async with self._lock:
            fresh = time.monotonic() - self._asked_s < ASK_EVERY_S and self._of == reading.lake_version
            if not fresh or self._answer is None:
                self._answer = await self._ask(reading)
                self._asked_s, self._of = time.monotonic(), reading.lake_version
            return self._answer

    async def close(self) -> None:
        self._connecting.cancel()
        with suppress(asyncio.CancelledError, *BUS_ERRORS):
            await (await self._connecting).close()

    async def _ask(self, reading: Reading) -> Position:
        if self._connecting.done() and self._connecting.result().is_connected:
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    return await _position(self._connecting.result(), reading)
            except BUS_ERRORS as error:
                log.info(
                    "the bus does not tell how far behind the lake is: %s", str(error) or type(error).__name__
                )
        stream, sequence = reading.last_stored
        return Position(stream=stream, sequence=sequence)


async def _position(client: Client, reading: Reading) -> Position:
    jetstream = client.jetstream()
    stream = await product_stream(jetstream)
    done = reading.position_in(stream.identity)
    return Position(stream=stream.identity, sequence=done, behind=await pending(jetstream, done))
