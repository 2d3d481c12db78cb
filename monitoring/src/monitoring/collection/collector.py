"""Collects completed heats from the bus into the lake, each exactly once.

    read the position from the lake -> read the bus after it -> rows and refused messages
        -> dead letters -> quarantine with its position -> heats with theirs -> ...

Whatever happens in between (kill -9, a bus that is gone, another collector), the next try begins at the
position in the lake. Heats, quarantine and shadows are tables of their own and cannot be committed at once;
so the last two go first and have positions of their own, and a message that is read again is not put
there again.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from deltalake import DeltaTable
from nats.js import JetStreamContext

from monitoring.collection.bus import (
    BUS_ERRORS,
    Message,
    OrderedReader,
    Refused,
    Stream,
    connect,
    ensure_streams,
    keep_aside,
    product_stream,
)
from monitoring.collection.duplicates import StoredEvents
from monitoring.errors import PositionMovedError, RefusedMessageError
from monitoring.events import RECOMMENDATION_TYPE, read_event, read_shadow
from monitoring.lake.rows import Origin, Row, row_of, shadow_row_of
from monitoring.lake.tables import TABLES, Lake, append, compact, keep_past, open_table, position, vacuum

BATCH_EVENTS = 1000
BATCH_LINGER_S = 0.2
COMMITS_BETWEEN_COMPACTIONS = 100
COMMITS_BETWEEN_VACUUMS = 20 * COMMITS_BETWEEN_COMPACTIONS
PAUSE_S = 0.5

log = logging.getLogger(__name__)


async def collect(lake: Lake, nats_url: str, stop: asyncio.Event) -> None:
    """Collect until `stop` is set. A bus that is away is waited for; errors of the lake are raised."""
    for name in TABLES:
        keep_past(open_table(lake, name))
    connecting = asyncio.ensure_future(connect(nats_url))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([connecting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not connecting.done():
        connecting.cancel()
        return
    client = connecting.result()
    try:
        while not stop.is_set():
            try:
                await _collect_stream(lake, client.jetstream(), stop)
            except PositionMovedError as error:
                log.warning("reading the position again: %s", error)
            except BUS_ERRORS as error:
                log.warning("reading the bus again: %s", str(error) or type(error).__name__)
                await asyncio.sleep(PAUSE_S)
    finally:
        stopping.cancel()
        await client.close()


async def _collect_stream(lake: Lake, jetstream: JetStreamContext, stop: asyncio.Event) -> None:
    """Collect from the stream as it is now, until `stop` or until something is to be read again."""
    await ensure_streams(jetstream)
    stream = await product_stream(jetstream)
    heats, quarantine = open_table(lake, "heats"), open_table(lake, "quarantine")
    shadows = open_table(lake, "shadows")
    stored = await asyncio.to_thread(StoredEvents, heats)
    done = position(heats, stream.identity)
    begin = _begin(stream, done)
    log.info("collecting %s after %d", stream.identity, begin)
    commits = 0
    reader = await OrderedReader.start(jetstream, begin)
    try:
        while not stop.is_set():
            messages = await reader.next_batch(BATCH_EVENTS, BATCH_LINGER_S)
            if not messages:
                continue
            upto = messages[-1].sequence
            rows, said, refused = await asyncio.to_thread(sort_messages, messages, stream.identity)
            seen = position(shadows, stream.identity)
            if said := [row for row in said if row["stream_seq"] > seen]:
                last = said[-1]["stream_seq"]
                await asyncio.to_thread(append, shadows, said, stream=stream.identity, after=seen, upto=last)
            kept = position(quarantine, stream.identity)
            if refused := [one for one in refused if one.message.sequence > kept]:
                await keep_aside(jetstream, stream, refused)
                last = refused[-1].message.sequence
                aside = [quarantined(one, stream.identity) for one in refused]
                await asyncio.to_thread(
                    append, quarantine, aside, stream=stream.identity, after=kept, upto=last
                )
                log.warning("%d messages refused, the last: %s", len(refused), refused[-1].error)
            new = await asyncio.to_thread(stored.new_among, rows)
            await asyncio.to_thread(append, heats, new, stream=stream.identity, after=done, upto=upto)
            stored.remember(new)
            done = upto
            commits += 1
            told = {"heats": [row["heat_uid"] for row in new]}
            log.info(
                "position %d: %d heats, %d known already",
                done,
                len(new),
                len(rows) - len(new),
                extra={"told": told},
            )
            await asyncio.to_thread(_tidy_up, commits - 1, (heats, shadows, quarantine))
    finally:
        await reader.close()


def _tidy_up(more: int, written: Iterable[DeltaTable]) -> None:
    """Compact and vacuum where it is time: after the first commit since the start, so that a collector that
    is often restarted does it too, and after each so many more."""
    for table in written:
        if more % COMMITS_BETWEEN_COMPACTIONS == 0:
            compact(table.table_uri)
        if more % COMMITS_BETWEEN_VACUUMS == 0:
            vacuum(table.table_uri)


class Sorted(NamedTuple):
    """Rows of `heats` and of `shadows`, and messages that are neither, each in the order of the stream."""

    heats: list[Row]
    shadows: list[Row]
    refused: list[Refused]


def sort_messages(messages: list[Message], stream: str) -> Sorted:
    """Read messages. What was recommended live is passed over: it is in the completed heat."""
    found = Sorted([], [], [])
    for message in messages:
        origin: Origin = {"stream": stream, "stream_seq": message.sequence}
        try:
            if message.subject != RECOMMENDATION_TYPE:
                found.heats.append(row_of(read_event(message.body), origin))
            elif (said := read_shadow(message.body)) is not None:
                found.shadows.append(shadow_row_of(said, origin))
        except RefusedMessageError as error:
            found.refused.append(Refused(message, error))
    return found


def quarantined(
    refused: Refused, stream: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Row:
    """Return the row of the quarantine table for a refused message; `row` is always JSON."""
    message, error = refused
    return {
        "quarantined_at": now(),
        "origin": "bus",
        "where": f"{stream} {message.sequence} {error.where}",
        "what": error.what,
        "allowed": error.allowed,
        "row": _as_json(message.body),
    }


def _as_json(body: bytes) -> str:
    """The message as it came where it is JSON, else as a JSON string; bytes that are no UTF-8 as escapes."""
    text = body.decode("utf-8", "backslashreplace")
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.encode(text).decode()
    return text


def _begin(stream: Stream, done: int) -> int:
    """Return the sequence after which to read; say where the bus no longer has what the lake has not seen.

    A bus that lost its newest messages (a power cut) gives their sequences to others: those are read too, and
    what is known already is told by its id.
    """
    if stream.first_sequence > done + 1:
        log.error(
            "%s begins at %d, the lake is at %d: what was between them is lost; let the stream keep more",
            *(stream.identity, stream.first_sequence, done),
        )
    if stream.last_sequence < done:
        log.error(
            "%s ends at %d, the lake is at %d: the bus has lost messages",
            *(stream.identity, stream.last_sequence, done),
        )
    return min(done, stream.last_sequence)
