"""Hears monitoring on the bus and lets the loop act upon it, until stopped.

What was heard is kept in the ledger, not on the bus: after a start everything that monitoring ever said is
read again, and what is known changes nothing.
"""

import asyncio
import time
from collections.abc import Callable

import nats
import orjson
from nats.js.errors import NotFoundError

from ml_pipeline.errors import PipelineError
from ml_pipeline.loop import Rules, Told, hear, retrain_if_due
from ml_pipeline.work import Folders

STREAM = "MONITORING"
EVERY_S = 1.0
CONNECT_S = 5.0
MOST_AT_ONCE = 1000


def watch(
    folders: Folders, nats_url: str, rules: Rules, tell: Callable[[str], None], *, once: bool = False
) -> None:
    """Look every second, or once. A bus or registry that is away is waited for."""
    heard, trouble = 0, ""
    tell(f"loop: listens to monitoring at {nats_url}; consent: {rules.consent}")
    while True:
        try:
            heard, news = asyncio.run(_news(nats_url, heard))
            for told in news:
                hear(folders, told, rules, tell)
            retrain_if_due(folders, rules, tell)
            trouble = ""
        except (nats.errors.Error, OSError, TimeoutError, PipelineError) as error:
            if (said := str(error) or type(error).__name__) != trouble:  # once, not every second
                tell(f"loop: {said}; trying again")
            trouble = said
        if once:
            return
        time.sleep(EVERY_S)


async def _news(nats_url: str, after: int) -> tuple[int, list[Told]]:
    """What stands in the stream after a sequence, and the last sequence that was read."""
    client = await nats.connect(
        nats_url,
        name="ml-pipeline",
        allow_reconnect=False,
        max_reconnect_attempts=1,  # counts before the first connection too: without it, it tries for ever
        reconnect_time_wait=0.1,
        connect_timeout=CONNECT_S,
        error_cb=_quiet,
    )
    try:
        jetstream = client.jetstream()
        try:
            state = (await jetstream.stream_info(STREAM)).state
        except NotFoundError:
            return 0, []
        after = after if after <= state.last_seq else 0  # the stream was made anew
        begin = max(after + 1, state.first_seq)
        last = min(state.last_seq, begin + MOST_AT_ONCE - 1)
        found = []
        for sequence in range(begin, last + 1):
            try:
                message = await jetstream.get_msg(STREAM, sequence)
            except NotFoundError:  # deleted
                continue
            found.append(message.data or b"")
        return max(last, after), [told for body in found if (told := _told(body)) is not None]
    finally:
        await client.close()


def _told(body: bytes) -> Told | None:
    """None for what is no event: nothing may stop the loop."""
    try:
        event = orjson.loads(body)
        return Told(str(event["id"]), str(event["type"]), dict(event["data"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


async def _quiet(_: Exception) -> None:
    """It is raised too."""
