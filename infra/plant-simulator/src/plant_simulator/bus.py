"""The data bus:

each event is published until the stream has acknowledged it, whatever happens to the server meanwhile.
"""

import asyncio
import json
import logging
from types import TracebackType
from typing import Any, Self

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import NotFoundError

STREAM, SUBJECTS = "PLANT", ["plant.>"]
PAUSE_S = 0.5

log = logging.getLogger(__name__)


class Bus:
    """Publishes CloudEvents to the stream PLANT, which it makes where it is missing and never alters."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = Client()
        self.published = 0

    async def __aenter__(self) -> Self:
        self._client = await nats.connect(
            self._url,
            name="plant-simulator",
            max_reconnect_attempts=-1,
            reconnect_time_wait=PAUSE_S,
            error_cb=_note,
        )
        await self._ensure_stream()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def publish(self, event: dict[str, Any]) -> None:
        """Publish until acknowledged. The event's id makes repetitions harmless."""
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        while True:
            try:
                await self._client.jetstream().publish(
                    event["type"], body, timeout=5, headers={"Nats-Msg-Id": event["id"]}
                )
            except (NatsError, TimeoutError, OSError) as error:
                log.warning(
                    "event %s of %s not acknowledged (%r); again", event["type"], event["subject"], error
                )
                await asyncio.sleep(PAUSE_S)
            else:
                self.published += 1
                return

    async def _ensure_stream(self) -> None:
        jetstream = self._client.jetstream()
        try:
            await jetstream.stream_info(STREAM)
        except NotFoundError:
            await jetstream.add_stream(StreamConfig(name=STREAM, subjects=SUBJECTS, storage=StorageType.FILE))


async def _note(error: Exception) -> None:
    log.warning("bus: %r", error)
