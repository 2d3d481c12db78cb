"""The bus: connect for good, and see that the stream one uses is there."""

import asyncio
import logging

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig

log = logging.getLogger(__name__)

STREAMS = {"PLANT": "plant.>", "PRODUCT": "product.>", "DEADLETTER": "deadletter.>"}
# What the client raises where the server is away for a moment. Some calls raise the builtin TimeoutError.
BUS_ERRORS = (nats.errors.Error, TimeoutError, OSError)
RETRY_AFTER_S = 0.5


async def connect(
    url: str, name: str, streams: list[str], stop: asyncio.Event
) -> tuple[Client, JetStreamContext]:
    """Connect and see that the streams are there, trying for as long as it takes or until `stop`."""
    complained = False
    while True:
        try:
            client = await nats.connect(
                url,
                name=name,
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.25,
                error_cb=_log_error,
            )
            jetstream = client.jetstream(timeout=5)
            for stream in streams:
                await ensure_stream(jetstream, stream)
        except BUS_ERRORS as failed:
            if not complained:
                log.warning("no bus at %s yet (%s); trying on", url, failed or type(failed).__name__)
                complained = True
            if await stopped_within(stop, RETRY_AFTER_S):
                raise
        else:
            return client, jetstream


async def ensure_stream(jetstream: JetStreamContext, name: str) -> None:
    """Make the stream with file storage if it is missing; one that is there stays as it is."""
    try:
        await jetstream.stream_info(name)
    except nats.js.errors.NotFoundError:
        try:
            await jetstream.add_stream(
                StreamConfig(name=name, subjects=[STREAMS[name]], storage=StorageType.FILE)
            )
        except nats.js.errors.BadRequestError:
            await jetstream.stream_info(name)  # another process was faster


async def stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait that long, or until `stop`; whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True


async def _log_error(error: Exception) -> None:
    log.warning("bus: %s", error or type(error).__name__)
