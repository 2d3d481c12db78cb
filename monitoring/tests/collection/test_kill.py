"""kill -9 of the collector, again and again, while events keep coming."""

import asyncio
import itertools
import random
from pathlib import Path

from monitoring.collection.bus import ensure_streams
from tests.collection.plant_bus import bus, dead_letters, position_is, publish, rows
from tests.conftest import Collector, NatsServer
from tests.generator import body, completed, events, shadow_event

KILLS = 5
LEAST_EVENTS = 2000
AT_ONCE = 50
PER_SECOND = 250


def test_kill_9_in_a_loop_under_load_neither_loses_nor_doubles(
    lake: Path, nats_server: NatsServer, collector: Collector
) -> None:
    """The load goes on for as long as the kills do, however slow the machine."""
    rng = random.Random(4)
    sent: list[str] = []
    said: list[str] = []
    bad: list[bytes] = []

    async def load(killing: asyncio.Task[None]) -> None:
        while len(sent) < LEAST_EVENTS or not killing.done():
            new = list(events(AT_ONCE, first=len(sent) + 1))
            shadow = shadow_event(completed(len(sent) + 1))
            worse = shadow | {"data": {"bad": len(sent)}}
            bad.extend([b'{"bad": %d}' % len(sent), body(worse)])
            await publish(nats_server.url, [shadow, *new, bad[-2], worse, new[AT_ONCE // 2]])
            sent.extend(one["id"] for one in new)
            said.append(shadow["id"])
            await asyncio.sleep(AT_ONCE / PER_SECOND)

    async def kill_again_and_again() -> None:
        """Kill right after a commit to either table, which cuts off a second write, or some time later."""
        moments = itertools.cycle([("heats", 0.0), ("quarantine", 0.0), ("heats", 0.02), ("heats", 0.4)])
        for table, later_s in itertools.islice(moments, KILLS):
            before = commits(lake, table)
            collector.start()
            while commits(lake, table) <= before:
                await asyncio.sleep(0.001)
            await asyncio.sleep(rng.uniform(0, later_s))
            collector.kill()
        collector.start()

    async def scenario() -> None:
        async with bus(nats_server.url) as client:
            await ensure_streams(client.jetstream())
        killing = asyncio.create_task(kill_again_and_again())
        await load(killing)
        await killing
        await position_is(lake, nats_server.url, len(sent) + len(said) * 4)

    asyncio.run(asyncio.wait_for(scenario(), 120))

    assert sorted(rows(lake)["event_id"]) == sorted(sent)
    assert sorted(rows(lake, "shadows")["event_id"]) == sorted(said)
    assert sorted(rows(lake, "quarantine")["row"]) == sorted(one.decode() for one in bad)
    letters = asyncio.run(dead_letters(nats_server.url))
    assert sorted(content for _, content in letters) == sorted(bad)


def commits(lake: Path, table: str) -> int:
    return len(list((lake / table / "_delta_log").glob("*.json")))
