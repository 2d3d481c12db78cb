"""The event publisher: from the outbox to the bus.

An event is taken out after the bus has acknowledged it, so none is lost; one that was acknowledged and not
yet taken out when the process was killed is sent again with the same id, so none is invented.
"""

import asyncio
import logging
from collections.abc import Sequence

from nats.js import JetStreamContext
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from backend import metrics
from backend.bus import BUS_ERRORS, RETRY_AFTER_S, connect, stopped_within
from backend.database import reading, writing
from backend.outbox import service as outbox
from backend.outbox.service import Waiting

log = logging.getLogger(__name__)

POLL_S = 0.02
IN_FLIGHT = 128
ACK_WITHIN_S = 5.0


async def publish(engine: Engine, nats_url: str, stop: asyncio.Event) -> None:
    """Publish what waits, and what comes, until `stop`."""
    connection = await connect(nats_url, "backend-publisher", ["PRODUCT"], stop)
    if connection is None:
        return
    client, jetstream = connection
    log.info("publishing product.> to %s", nats_url)
    try:
        while not stop.is_set():
            try:
                published = await publish_waiting(engine, jetstream)
            except OperationalError as failed:
                log.warning("the database is away (%s); trying on", failed.orig)
                published = 0
            if not published:
                await stopped_within(stop, POLL_S)
    finally:
        await client.close()


async def publish_waiting(engine: Engine, jetstream: JetStreamContext) -> int:
    """Publish the oldest events that wait, several in flight; how many the bus has acknowledged."""
    events = await asyncio.to_thread(_waiting, engine)
    if not events:
        return 0
    # Sent in the order of their ids: each goes out before the next one starts to wait for its
    # acknowledgement.
    answers = await asyncio.gather(*(_send(jetstream, event) for event in events), return_exceptions=True)
    acknowledged = []
    for event, answer in zip(events, answers, strict=True):
        if not isinstance(answer, BaseException):
            acknowledged.append(event.id)
        elif not isinstance(answer, BUS_ERRORS):
            raise answer
    if len(acknowledged) < len(events):
        log.warning(
            "%s of %s events are not acknowledged; trying on", len(events) - len(acknowledged), len(events)
        )
        await asyncio.sleep(RETRY_AFTER_S)
    await asyncio.to_thread(_remove, engine, acknowledged)
    metrics.EVENTS_PUBLISHED.inc(len(acknowledged))
    return len(acknowledged)


async def _send(jetstream: JetStreamContext, event: Waiting) -> None:
    headers = {"Nats-Msg-Id": event.event_id, "Content-Type": "application/cloudevents+json"}
    await jetstream.publish(event.type, event.body.encode(), timeout=ACK_WITHIN_S, headers=headers)


def _waiting(engine: Engine) -> Sequence[Waiting]:
    with reading(engine) as session:
        return outbox.waiting(session, IN_FLIGHT)


def _remove(engine: Engine, ids: Sequence[int]) -> None:
    if ids:
        with writing(engine) as session:
            outbox.remove(session, ids)
