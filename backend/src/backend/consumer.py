"""The data consumer: from the bus into the database, then do what the news asks for.

What has come while the last transaction was under way is stored together in the next one, and acknowledged
after its commit. Where one of these messages fails, each gets a transaction of its own. One that is refused
goes to the dead letters with the reason, and the rest goes on. One that fails otherwise comes again, and is
set aside after a few.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from datetime import timedelta

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from backend import metrics
from backend.bus import (
    ANSWER_WITHIN_S,
    BUS_ERRORS,
    RETRY_AFTER_S,
    connect,
    ensure_stream,
    hear,
    stopped_within,
)
from backend.clock import now
from backend.database import write
from backend.errors import BackendError, Detail
from backend.intake import pruning
from backend.intake import service as intake
from backend.journal import checkpoint
from backend.worker import Worker

log = logging.getLogger(__name__)

STREAMS = ("PLANT", "DEADLETTER")
DURABLE = "backend"
# A consumer that was killed had one message in hand: this is how long it waits to be redelivered.
ACK_WITHIN_S = 3
POLL_S = 0.05  # for tasks that other processes leave behind
MOST_AT_ONCE = 64
REFRESH_S = 0.5
FORGET_EVERY_S = 3600.0
CHECKPOINT_EVERY_S = 0.25
TRIES = 5
RETRY_MESSAGE_AFTER_S = 1.0


async def consume(
    engine: Engine,
    worker: Worker,
    nats_url: str,
    plant_id: str,
    stop: asyncio.Event,
    keep_ids: timedelta = timedelta(days=30),
) -> None:
    """Consume and work until `stop`; ids of messages are forgotten after `keep_ids`."""
    news = asyncio.Event()
    working = asyncio.create_task(_work(worker, news, stop))
    refreshing = asyncio.create_task(_refresh(worker, stop))
    forgetting = asyncio.create_task(_forget(engine, keep_ids, stop))
    checkpointing = asyncio.create_task(_checkpoint(engine, stop))
    try:
        await asyncio.gather(_hear(engine, nats_url, plant_id, news, stop), working)
    finally:
        for task in (working, refreshing, forgetting, checkpointing):
            task.cancel()
        await asyncio.to_thread(worker.close)


async def _work(worker: Worker, news: asyncio.Event, stop: asyncio.Event) -> None:
    """Start what is due as soon as there is news, and look every 50 ms; a broken database ends no process."""
    while not stop.is_set():
        try:
            await asyncio.to_thread(worker.start_due)
        except OperationalError as failed:
            log.warning("cannot see what is due: %s", failed.orig)
            await stopped_within(stop, RETRY_AFTER_S)
        if not await stopped_within(news, POLL_S):
            continue
        news.clear()


async def _refresh(worker: Worker, stop: asyncio.Event) -> None:
    """See now and then whether what waits is still of today."""
    while not await stopped_within(stop, REFRESH_S):
        try:
            await asyncio.to_thread(worker.refresh_stale)
        except OperationalError as failed:
            log.warning("cannot see what is stale: %s", failed.orig)


async def _forget(engine: Engine, keep_ids: timedelta, stop: asyncio.Event) -> None:
    """Forget what is old, at the start and then now and then."""
    while not stop.is_set():
        try:
            forgotten = await asyncio.to_thread(pruning.forget, engine, now() - keep_ids)
        except OperationalError as failed:
            log.warning("cannot forget what is old: %s", failed.orig)
        else:
            if forgotten:
                log.info("forgot the ids of %s messages", forgotten)
        await stopped_within(stop, FORGET_EVERY_S)


async def _checkpoint(engine: Engine, stop: asyncio.Event) -> None:
    """Keep the journal short, so that no heat waits for it in a commit."""
    while not await stopped_within(stop, CHECKPOINT_EVERY_S):
        try:
            await asyncio.to_thread(checkpoint, engine)
        except (OperationalError, sqlite3.OperationalError) as failed:
            log.warning("cannot bring the journal into the database: %s", failed)


async def _hear(
    engine: Engine, nats_url: str, plant_id: str, news: asyncio.Event, stop: asyncio.Event
) -> None:
    connection = await connect(nats_url, "backend-consumer", STREAMS, stop)
    if connection is None:
        return
    client, jetstream = connection
    log.info("consuming plant.> from %s as %s", nats_url, DURABLE)
    try:
        while not stop.is_set():
            try:
                for stream in STREAMS:
                    await ensure_stream(jetstream, stream)
                await _ensure_consumer(jetstream)
                await _store_all(engine, client, plant_id, news, stop)
            except BUS_ERRORS as failed:
                log.warning("the bus is away (%s); trying on", failed or type(failed).__name__)
                await stopped_within(stop, RETRY_AFTER_S)
    finally:
        await client.close()


async def _ensure_consumer(jetstream: JetStreamContext) -> None:
    try:
        await jetstream.consumer_info("PLANT", DURABLE)
    except NotFoundError:
        config = ConsumerConfig(
            durable_name=DURABLE,
            filter_subject="plant.>",
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WITHIN_S,
            max_ack_pending=1000,
        )
        await jetstream.add_consumer("PLANT", config)


async def _store_all(
    engine: Engine, client: Client, plant_id: str, news: asyncio.Event, stop: asyncio.Event
) -> None:
    """Hear on while what was heard is stored, until `stop` or an error of the bus."""
    heard: asyncio.Queue[Msg] = asyncio.Queue(MOST_AT_ONCE)
    jetstream = client.jetstream(timeout=ANSWER_WITHIN_S)

    async def store() -> None:
        while True:
            together = [await heard.get()]
            while not heard.empty():
                together.append(heard.get_nowait())
            await handle(engine, jetstream, plant_id, together)
            news.set()

    tasks = [asyncio.create_task(task) for task in (hear(client, "PLANT", DURABLE, heard), store())]
    stopping = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait((*tasks, stopping), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        # What is heard and not stored comes again: it is not acknowledged.
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.gather(*tasks, stopping, return_exceptions=True)


async def handle(engine: Engine, jetstream: JetStreamContext, plant_id: str, messages: Sequence[Msg]) -> None:
    """Store the messages in their order and acknowledge them; one that cannot be stored is set aside."""
    try:
        await asyncio.to_thread(_store, engine, plant_id, messages)
    except Exception as failed:
        if len(messages) > 1:
            for message in messages:
                await handle(engine, jetstream, plant_id, [message])
        else:
            await _not_stored(jetstream, messages[0], failed)
    else:
        metrics.MESSAGES.labels("stored").inc(len(messages))
        for message in messages:
            await message.ack()


def _store(engine: Engine, plant_id: str, messages: Sequence[Msg]) -> None:
    heard = [intake.read(plant_id, message.subject, _json(message.data)) for message in messages]

    def keep(session: Session) -> None:
        for fact in heard:
            intake.store(session, fact)

    write(engine, keep)
    for fact in heard:
        log.info("heard %s", fact.type, extra={"told": fact.about() | {"event_id": fact.event_id}})


def _json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as broken:
        raise BackendError(where="$", what=f"not JSON: {broken}", allowed="a CloudEvent in JSON") from None


async def _not_stored(jetstream: JetStreamContext, message: Msg, failed: Exception) -> None:
    if isinstance(failed, BackendError):
        metrics.MESSAGES.labels("refused").inc()
        log.warning("refused %s: %s", message.subject, failed)
        await _set_aside(jetstream, message, failed.errors)
    elif isinstance(failed, OperationalError):
        metrics.MESSAGES.labels("again").inc()
        log.warning("the database is away (%s); %s comes again", failed.orig, message.subject)
        await message.nak(delay=RETRY_MESSAGE_AFTER_S)
    else:
        log.error("%s could not be stored: %r", message.subject, message.data[:2000], exc_info=failed)
        if message.metadata.num_delivered < TRIES:
            await message.nak(delay=RETRY_MESSAGE_AFTER_S)
        else:
            what = f"could not be stored: {type(failed).__name__}: {failed}"
            await _set_aside(
                jetstream, message, [Detail(where="$", what=what, allowed="see the backend's log")]
            )


async def _set_aside(jetstream: JetStreamContext, message: Msg, details: list[Detail]) -> None:
    headers = {
        "Dead-Letter-What": _one_line("; ".join(detail.what for detail in details)),
        "Dead-Letter-Where": _one_line("; ".join(detail.where for detail in details)),
        "Dead-Letter-Allowed": _one_line("; ".join(detail.allowed for detail in details)),
        "Nats-Msg-Id": f"backend-{message.metadata.stream}-{message.metadata.sequence.stream}",
    }
    await jetstream.publish(f"deadletter.backend.{message.subject}", message.data, headers=headers)
    await message.term()


def _one_line(text: str) -> str:
    """A header is one line of ASCII; other characters are written as \\u escapes."""
    return " ".join(text.split())[:1000].encode("ascii", "backslashreplace").decode()
