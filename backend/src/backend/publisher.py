"""The event publisher: from the outbox to the bus.

An event is taken out after the bus has acknowledged it, so none is lost; one that was acknowledged and not
yet taken out when the process was killed is sent again with the same id, so none is invented.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence

import orjson
from nats.js import JetStreamContext
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from backend import metrics
from backend.bus import BUS_ERRORS, RETRY_AFTER_S, connect, stopped_within
from backend.database import reading, writing
from backend.outbox import service as outbox
from backend.outbox.service import Waiting

log = logging.getLogger(__name__)

# How soon it looks again: where events have come lately, and where none have for a second.
POLL_S, IDLE_POLL_S = 0.01, 0.03
IDLE_AFTER_S = 1.0
# What the bus has is taken out together: each time is a wait for the disk, and a turn that no heat gets.
REMOVE_EVERY_S = 0.5
IN_FLIGHT = 128
ACK_WITHIN_S = 5.0


async def publish(engine: Engine, nats_url: str, stop: asyncio.Event) -> None:
    """Publish what waits, and what comes, until `stop`."""
    connection = await connect(nats_url, "backend-publisher", ["PRODUCT"], stop)
    if connection is None:
        return
    client, jetstream = connection
    log.info("publishing product.> to %s", nats_url)
    acknowledged: set[int] = set()
    loop = asyncio.get_running_loop()
    remove_at = busy_until = loop.time()
    try:
        while not stop.is_set():
            published = 0
            try:
                published = await publish_waiting(engine, jetstream, acknowledged)
                if len(acknowledged) >= IN_FLIGHT or loop.time() >= remove_at:
                    await asyncio.to_thread(_remove, engine, acknowledged)
                    remove_at = loop.time() + REMOVE_EVERY_S
            except OperationalError as failed:
                log.warning("the database is away (%s); trying on", failed.orig)
            if published:
                busy_until = loop.time() + IDLE_AFTER_S
            if published < IN_FLIGHT:
                await stopped_within(stop, POLL_S if loop.time() < busy_until else IDLE_POLL_S)
        await asyncio.to_thread(_remove, engine, acknowledged)
    finally:
        await client.close()


async def publish_waiting(engine: Engine, jetstream: JetStreamContext, acknowledged: set[int]) -> int:
    """Publish what waits and is not `acknowledged`, oldest first, many in flight; add what the bus has.

    How many those are.
    """
    events = await asyncio.to_thread(_waiting, engine, acknowledged)
    if not events:
        return 0
    # Sent in the order of their ids: each goes out before the next one starts to wait for its
    # acknowledgement.
    answers = await asyncio.gather(*(_send(jetstream, event) for event in events), return_exceptions=True)
    taken = []
    for event, answer in zip(events, answers, strict=True):
        if not isinstance(answer, BaseException):
            taken.append(event.id)
            told = {
                "treatment": orjson.loads(event.body)["data"].get("treatment"),
                "event_id": event.event_id,
            }
            log.info("published %s", event.type, extra={"told": told})
        elif not isinstance(answer, BUS_ERRORS):
            raise answer
    acknowledged.update(taken)
    metrics.EVENTS_PUBLISHED.inc(len(taken))
    if len(taken) < len(events):
        log.warning("%s of %s events are not acknowledged; trying on", len(events) - len(taken), len(events))
        await asyncio.sleep(RETRY_AFTER_S)
    return len(taken)


async def _send(jetstream: JetStreamContext, event: Waiting) -> None:
    headers = {"Nats-Msg-Id": event.event_id, "Content-Type": "application/cloudevents+json"}
    await jetstream.publish(event.type, event.body.encode(), timeout=ACK_WITHIN_S, headers=headers)


def _waiting(engine: Engine, acknowledged: Collection[int]) -> Sequence[Waiting]:
    with reading(engine) as session:
        return outbox.waiting(session, IN_FLIGHT, acknowledged)


def _remove(engine: Engine, acknowledged: set[int]) -> None:
    if acknowledged:
        with writing(engine) as session:
            outbox.remove(session, acknowledged)
        acknowledged.clear()
