"""The bus, NATS JetStream: the stream as it is, its messages in order and without gaps, and refused messages
kept aside.
"""

import asyncio
import logging
from contextlib import suppress
from typing import NamedTuple

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    RawStreamMsg,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError, NotFoundError

from monitoring.errors import RefusedMessageError
from monitoring.events import EVENT_TYPE, RECOMMENDATION_TYPE

PRODUCT = "PRODUCT"
DEADLETTER = "DEADLETTER"
SUBJECTS = {PRODUCT: "product.>", DEADLETTER: "deadletter.>"}
READ = (EVENT_TYPE, RECOMMENDATION_TYPE)  # the types that are read, each the subject of its messages

BUS_ERRORS = (nats.errors.Error, TimeoutError, OSError)  # nats-py raises the builtin TimeoutError too
IDLE_S = 0.25  # how long a quiet bus is listened to before looking whether it is still the same one
FORGOTTEN_AFTER_S = 60.0  # when the server forgets a reader that is gone

log = logging.getLogger(__name__)


class Stream(NamedTuple):
    """A stream as it is now. One that was deleted and made again has another identity, and counts from 1
    again.
    """

    identity: str
    first_sequence: int
    last_sequence: int


class Message(NamedTuple):
    sequence: int
    body: bytes
    subject: str = EVENT_TYPE


def dead_letter_subject(event_type: str) -> str:
    return f"deadletter.monitoring.{event_type}"


class Refused(NamedTuple):
    message: Message
    error: RefusedMessageError


class ReadingInterruptedError(nats.errors.Error):
    """The reader has lost its place (a gap, a server that forgot it): begin again after the last message it
    gave.
    """


async def connect(url: str) -> Client:
    """Connect, and connect again for ever: the bus may start later than we do, and be restarted."""

    told: set[str] = set()

    async def warn(error: Exception) -> None:
        if (text := str(error) or type(error).__name__) not in told:  # once, not at every attempt
            told.add(text)
            log.warning("bus %s: %s; trying again until it is there", url, text)

    async def greet() -> None:
        told.clear()
        log.info("bus %s is there again", url)

    return await nats.connect(
        url,
        name="monitoring",
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.5,
        allow_reconnect=True,
        error_cb=warn,
        reconnected_cb=greet,
    )


async def ensure_streams(jetstream: JetStreamContext) -> None:
    """Make the streams that are read and written here where they are missing; leave others as they are."""
    for name, subject in SUBJECTS.items():
        try:
            await jetstream.stream_info(name)
        except NotFoundError:
            config = StreamConfig(name=name, subjects=[subject], storage=StorageType.FILE)
            with suppress(BadRequestError):  # somebody made it at the same moment, with settings of his own
                await jetstream.add_stream(config)


async def product_stream(jetstream: JetStreamContext) -> Stream:
    """Return the stream of the product's events as it is now. Raises NotFoundError where there is none."""
    info = await jetstream.stream_info(PRODUCT)
    created = info.created.isoformat().replace("+00:00", "Z") if info.created else "of unknown age"
    return Stream(f"{PRODUCT} {created}", info.state.first_seq, info.state.last_seq)


async def pending(jetstream: JetStreamContext, after: int) -> int:
    """Return how many completed heats stand in the stream after sequence `after`."""
    info = await jetstream.add_consumer(PRODUCT, _in_order(after, forgotten_after_s=5.0, headers_only=True))
    await jetstream.delete_consumer(PRODUCT, info.name)
    return info.num_pending or 0


class OrderedReader:
    """Reads completed heats, and recommendations for what shadows said, in the order of the stream, without
    acknowledging: what is read is kept track of in the lake alone.

    A durable consumer that acknowledges would hand new messages out before redelivered ones, and "drop what
    is not after the position" would then lose some. Here a lost connection or a gap only means a new reader
    after the last message.
    """

    def __init__(
        self, jetstream: JetStreamContext, subscription: JetStreamContext.PullSubscription, name: str
    ) -> None:
        self._jetstream = jetstream
        self._subscription = subscription
        self._name = name
        self._delivered = 0
        self._interrupted = False

    @classmethod
    async def start(cls, jetstream: JetStreamContext, after: int) -> "OrderedReader":
        info = await jetstream.add_consumer(PRODUCT, _in_order(after, forgotten_after_s=FORGOTTEN_AFTER_S))
        subscription = await jetstream.pull_subscribe_bind(consumer=info.name, stream=PRODUCT)
        return cls(jetstream, subscription, info.name)

    async def next_batch(self, limit: int, linger_s: float) -> list[Message]:
        """Return up to `limit` next messages, those that come within `linger_s` of the first; none where it
        is quiet.

        Raises one of BUS_ERRORS where reading cannot go on.
        """
        if self._interrupted:
            raise ReadingInterruptedError
        messages = await self._fetch(limit, IDLE_S)
        if not messages:
            await self._jetstream.consumer_info(
                PRODUCT, self._name
            )  # NotFoundError: stream or server was made anew
        clock = asyncio.get_running_loop()
        deadline = clock.time() + linger_s
        while messages and len(messages) < limit and (left_s := deadline - clock.time()) > 0.01:
            messages += await self._fetch(limit - len(messages), left_s)
        return messages

    async def close(self) -> None:
        try:
            await self._subscription.unsubscribe()
            await self._jetstream.delete_consumer(PRODUCT, self._name)
        except BUS_ERRORS:
            log.debug("the bus will forget reader %s by itself", self._name)

    async def _fetch(self, limit: int, timeout_s: float) -> list[Message]:
        try:
            fetched = await self._subscription.fetch(limit, timeout=timeout_s)
        except TimeoutError:
            return []
        messages = []
        for one in fetched:
            place = one.metadata.sequence
            if place.consumer != self._delivered + 1:
                self._interrupted = True
                break
            self._delivered = place.consumer
            messages.append(Message(place.stream, one.data, one.subject))
        return messages


async def keep_aside(jetstream: JetStreamContext, stream: Stream, refused: list[Refused]) -> None:
    """Publish refused messages, in the order of the stream, as dead letters: those only that are not there
    yet from an attempt that was cut short.
    """
    done = max([_sequence_in(await _last_dead_letter(jetstream, one), stream) for one in READ])
    for message, error in refused:
        if message.sequence <= done:
            continue
        headers = {
            "Nats-Msg-Id": f"{stream.identity} {message.sequence}",
            "Dead-Letter-What": _header(error.what),
            "Dead-Letter-Where": _header(f"{stream.identity} {message.sequence} {error.where}"),
            "Dead-Letter-Allowed": _header(error.allowed),
        }
        subject = dead_letter_subject(message.subject)
        await jetstream.publish(subject, message.body, stream=DEADLETTER, headers=headers)


def _in_order(after: int, *, forgotten_after_s: float, headers_only: bool = False) -> ConsumerConfig:
    return ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=after + 1,
        filter_subject=EVENT_TYPE if headers_only else None,
        filter_subjects=None if headers_only else [*READ],
        ack_policy=AckPolicy.NONE,
        inactive_threshold=forgotten_after_s,
        mem_storage=True,
        num_replicas=1,
        headers_only=headers_only,
    )


async def _last_dead_letter(jetstream: JetStreamContext, event_type: str) -> RawStreamMsg | None:
    try:
        return await jetstream.get_last_msg(DEADLETTER, dead_letter_subject(event_type))
    except NotFoundError:
        return None


def _sequence_in(letter: RawStreamMsg | None, stream: Stream) -> int:
    identity, _, sequence = ((letter and letter.headers) or {}).get("Nats-Msg-Id", "").rpartition(" ")
    return int(sequence) if identity == stream.identity else 0


def _header(text: str) -> str:
    """One line of printable ASCII: headers hold nothing else safely."""
    return text.encode("ascii", "backslashreplace").decode().replace("\r", " ").replace("\n", " ")
