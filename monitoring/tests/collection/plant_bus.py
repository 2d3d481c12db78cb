"""What the collection tests do to the bus and see in the lake."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import polars as pl
from deltalake import DeltaTable
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from monitoring.collection.bus import DEADLETTER, READ, dead_letter_subject, ensure_streams, product_stream
from monitoring.collection.collector import collect
from monitoring.events import EVENT_TYPE
from tests.generator import body

Message = dict[str, Any] | bytes


@asynccontextmanager
async def bus(url: str) -> AsyncIterator[Client]:
    client = await nats.connect(url)
    yield client
    await client.close()


@asynccontextmanager
async def collecting(lake: Path, url: str) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(collect(lake, url, stop))
    yield
    stop.set()
    await task


async def publish(url: str, messages: Iterable[Message]) -> None:
    """Publish without a message id: as if the bus had forgotten all that it saw."""
    async with bus(url) as client:
        jetstream = client.jetstream()
        await ensure_streams(jetstream)
        sent = [_told(message) for message in messages]
        await asyncio.gather(*[await jetstream.publish_async(subject, content) for subject, content in sent])


def _told(message: Message) -> tuple[str, bytes]:
    """Subject and content: what is no event comes as if it were a completed heat."""
    return (EVENT_TYPE, message) if isinstance(message, bytes) else (message["type"], body(message))


async def until(done: Callable[[], bool], timeout_s: float = 60.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not done():
            await asyncio.sleep(0.02)


async def position_is(lake: Path, url: str, sequence: int) -> None:
    """Wait until the lake has seen the stream, as it is now, up to `sequence`."""
    async with bus(url) as client:
        stream = await product_stream(client.jetstream())

    def reached() -> bool:
        path = lake / "heats"
        if not DeltaTable.is_deltatable(str(path)):
            return False
        return DeltaTable(path).transaction_version(f"monitoring/{stream.identity}") == sequence

    await until(reached)


def rows(lake: Path, table: str = "heats") -> pl.DataFrame:
    return pl.scan_delta(DeltaTable(lake / table)).collect()


async def dead_letters(url: str) -> list[tuple[dict[str, str], bytes]]:
    async with bus(url) as client:
        jetstream = client.jetstream()
        found = []
        try:
            state = (await jetstream.stream_info(DEADLETTER)).state
            for sequence in range(state.first_seq, state.last_seq + 1):
                letter = await jetstream.get_msg(DEADLETTER, sequence)
                assert letter.subject in {dead_letter_subject(event_type) for event_type in READ}
                found.append((letter.headers or {}, letter.data or b""))
        except NotFoundError:
            return []
        return found
