"""kill -9 of the collector, again and again, while events keep coming."""

import asyncio
import itertools
import random
from pathlib import Path

from monitoring.collection.bus import ensure_streams
from tests.collection.plant_bus import bus, dead_letters, position_is, publish, rows
from tests.conftest import Collector, NatsServer
from tests.generator import events

EVENTS = 2000
AT_ONCE = 50
PER_SECOND = 250


def test_kill_9_in_a_loop_under_load_neither_loses_nor_doubles(
    lake: Path, nats_server: NatsServer, collector: Collector
) -> None:
    rng = random.Random(4)
    sent = list(events(EVENTS))
    again = [sent[number] for number in range(AT_ONCE // 2, EVENTS, AT_ONCE)]
    bad = [b'{"bad": %d}' % number for number in range(EVENTS // AT_ONCE)]

    async def load() -> None:
        for step, start in enumerate(range(0, EVENTS, AT_ONCE)):
            await publish(nats_server.url, [*sent[start : start + AT_ONCE], bad[step], again[step]])
            await asyncio.sleep(AT_ONCE / PER_SECOND)

    async def kill_again_and_again(loading: asyncio.Task[None]) -> int:
        """Kill right after a commit to either table, which cuts off a second write, or some time later."""
        moments = itertools.cycle([("heats", 0.0), ("quarantine", 0.0), ("heats", 0.02), ("heats", 0.4)])
        for count in itertools.count():
            table, later_s = next(moments)
            before = commits(lake, table)
            collector.start()
            while commits(lake, table) <= before:
                if loading.done():
                    return count
                await asyncio.sleep(0.001)
            await asyncio.sleep(rng.uniform(0, later_s))
            collector.kill()
        raise AssertionError

    async def scenario() -> int:
        async with bus(nats_server.url) as client:
            await ensure_streams(client.jetstream())
        loading = asyncio.create_task(load())
        kills = await kill_again_and_again(loading)
        await loading
        await position_is(lake, nats_server.url, EVENTS + len(again) + len(bad))
        return kills

    assert asyncio.run(scenario()) >= 4

    found = rows(lake)
    assert sorted(found["event_id"]) == sorted(one["id"] for one in sent)
    assert sorted(rows(lake, "quarantine")["row"]) == sorted(one.decode() for one in bad)
    letters = asyncio.run(dead_letters(nats_server.url))
    assert sorted(content for _, content in letters) == sorted(bad)


def commits(lake: Path, table: str) -> int:
    return len(list((lake / table / "_delta_log").glob("*.json")))
