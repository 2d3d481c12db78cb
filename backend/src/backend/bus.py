"""The bus: connect for good, see that the stream one uses is there, and hear what comes on it."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

import nats
import nats.errors
import nats.js.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig

log = logging.getLogger(__name__)

STREAMS = {"PLANT": "plant.>", "PRODUCT": "product.>", "DEADLETTER": "deadletter.>"}
# What the client raises where the server is away for a moment. Some calls raise the builtin TimeoutError.
BUS_ERRORS = (nats.errors.Error, TimeoutError, OSError)
RETRY_AFTER_S = 0.5
# So many messages are asked for at a time; each comes as soon as it is there.
ASKED_FOR = 32
ASK_EVERY_S = 5.0
LATE_S = 1.0
ANSWER_WITHIN_S = 5.0
EXPIRED = "408"


async def connect(
    url: str, name: str, streams: Sequence[str], stop: asyncio.Event
) -> tuple[Client, JetStreamContext] | None:
    """Connect and see that the streams are there, for as long as it takes; None where `stop` comes first."""
    connecting = asyncio.create_task(_connect(url, name, streams))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((connecting, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not connecting.done():
        connecting.cancel()
        return None
    return connecting.result()


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


async def hear(client: Client, stream: str, durable: str, heard: asyncio.Queue[Msg]) -> None:
    """Put what comes to the durable consumer into the queue, until it is cancelled or the bus has an error.

    The client's own `fetch` of several waits for all of them, and of one asks the server for each.
    """
    inbox = client.new_inbox()
    answers = await client.subscribe(inbox)
    asking = orjson.dumps({"batch": ASKED_FOR, "expires": int(ASK_EVERY_S * 1e9)})
    loop = asyncio.get_running_loop()
    try:
        while True:
            await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}", asking, reply=inbox)
            end = loop.time() + ASK_EVERY_S + LATE_S
            for _ in range(ASKED_FOR):
                try:
                    message = await answers.next_msg(max(end - loop.time(), LATE_S))
                except TimeoutError:  # nats.errors.TimeoutError is one; the server has forgotten the request
                    break
                status = (message.headers or {}).get("Status")
                if status == EXPIRED:
                    break
                if status is not None:
                    raise nats.errors.Error(f"{durable} of {stream} is answered {message.headers}")
                await heard.put(message)
    finally:
        with suppress(*BUS_ERRORS):
            await answers.unsubscribe()


async def stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait that long, or until `stop`; whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True


async def _connect(url: str, name: str, streams: Sequence[str]) -> tuple[Client, JetStreamContext]:
    said: list[str] = []

    async def say(error: Exception) -> None:
        """Once for each thing that is wrong, however often it is tried."""
        text = str(error) or type(error).__name__
        if said[-1:] != [text]:
            log.warning("bus at %s: %s; trying on", url, text)
            said.append(text)

    # Without a limit the client tries the first connection too for as long as it takes.
    client = await nats.connect(
        url, name=name, max_reconnect_attempts=-1, reconnect_time_wait=0.25, error_cb=say
    )
    jetstream = client.jetstream(timeout=ANSWER_WITHIN_S)
    while True:
        try:
            for stream in streams:
                await ensure_stream(jetstream, stream)
        except BUS_ERRORS as failed:
            await say(failed)
            await asyncio.sleep(RETRY_AFTER_S)
        else:
            return client, jetstream
