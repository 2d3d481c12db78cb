"""kill -9 of the collector, again and again, while events keep coming."""

import asyncio
import random
from pathlib import Path

from deltalake import DeltaTable

from monitoring.collection.bus import ensure_streams
from tests.collection.plant_bus import bus, dead_letters, position_is, publish, rows
from tests.conftest import Collector, NatsServer
from tests.generator import events

EVENTS = 2000
PER_SECOND = 200


def test_kill_9_in_a_loop_under_load_neither_loses_nor_doubles(
    lake: Path, nats_server: NatsServer, collector: Collector
) -> None:
    rng = random.Random(4)
    sent = list(events(EVENTS))
    again = [sent[number] for number in range(50, EVENTS, 100)]
    bad = [b'{"bad": %d}' % number for number in range(EVENTS // 100)]

    async def load() -> None:
        for start in range(0, EVENTS, 100):
            step = start // 100
            await publish(nats_server.url, [*sent[start : start + 100], again[step], bad[step]])
            await asyncio.sleep(100 / PER_SECOND)

    async def kill_again_and_again(loading: asyncio.Task[None]) -> int:
        count = 0
        while not loading.done():
            before = version(lake)
            collector.start()
            while version(lake) <= before and not loading.done():
                await asyncio.sleep(0.005)
            await asyncio.sleep(rng.uniform(0, 0.5))
            collector.kill()
            count += 1
        await loading
        return count

    async def scenario() -> int:
        async with bus(nats_server.url) as client:
            await ensure_streams(client.jetstream())
        count = await kill_again_and_again(asyncio.create_task(load()))
        collector.start()
        await position_is(lake, nats_server.url, EVENTS + len(again) + len(bad))
        return count

    kills = asyncio.run(scenario())

    assert kills >= 5
    found = rows(lake)
    assert sorted(found["event_id"]) == sorted(one["id"] for one in sent)
    assert sorted(rows(lake, "quarantine")["row"]) == sorted(one.decode() for one in bad)
    letters = asyncio.run(dead_letters(nats_server.url))
    assert sorted(content for _, content in letters) == sorted(bad)
    assert collector.stop() == 0


def version(lake: Path) -> int:
    path = lake / "heats"
    return DeltaTable(path).version() if DeltaTable.is_deltatable(str(path)) else -1
