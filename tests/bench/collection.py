"""The way from the bus into the lake: how fast, how late, and each event once.

A real NATS server and `monitoring collect` in processes of their own. First a bus full of events, then a
plant that makes 100 heats a second: how long after it was published an event can be read from the lake.
"""

import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import nats
import polars as pl
from deltalake import DeltaTable
from nats.js.api import StorageType, StreamConfig

from bench.plant_heats import ROOT, command, event
from bench.processes import free_port, running, wait_for

EXAMPLE = ROOT / "contracts/product-events/examples/product.heat.completed.v1/valid/whole.json"
SUBJECT = "product.heat.completed.v1"
EVENTS, PER_SECOND, SECONDS = 20_000, 100, 20
IN_FLIGHT = 256

Document = dict[str, Any]


def measure() -> dict[str, tuple[list[float], str]]:
    """Run the collector over a full bus, then beside a steady plant."""
    subprocess.run(
        ["make", "--no-print-directory", "-C", str(ROOT / "monitoring"), "venv"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        port, health_port, lake, log = free_port(), free_port(), Path(folder) / "lake", Path(folder) / "log"
        url = f"nats://127.0.0.1:{port}"
        bus = [command("monitoring", "nats-server"), "-a", "127.0.0.1", "-p", port, "-js", "-sd", folder]
        server = stack.enter_context(running([*map(str, bus), "-m", str(health_port)], dict(os.environ), log))
        wait_for(health_port, "/healthz", server)  # a client that comes before it tells of each refusal
        asyncio.run(fill(url, 0, EVENTS))
        environment = os.environ | {"MONITORING_LAKE": str(lake), "MONITORING_NATS_URL": url}
        began = time.perf_counter()
        stack.enter_context(running([command("monitoring", "monitoring"), "collect"], environment, log))
        first = _wait_for_rows(lake, 1)
        took = _wait_for_rows(lake, EVENTS) - began
        lags = asyncio.run(_steadily(url, lake))
        ids = pl.scan_delta(DeltaTable(lake / "heats")).select("event_id").collect()["event_id"]
        once = float(ids.len() == ids.n_unique() == EVENTS + PER_SECOND * SECONDS)
    lags.sort()
    return {
        "events per second into the lake": ([EVENTS / took], "events/s"),
        "share of events in the lake exactly once": ([once], "share"),
        "lag at 100 heats/s, 99 % of the events": ([lags[int(0.99 * len(lags))]], "s"),
        "lag at 100 heats/s, median": ([statistics.median(lags)], "s"),
        "time from the start to the first rows": ([first - began], "s"),
    }


async def fill(url: str, first: int, count: int) -> None:
    client = await nats.connect(url)
    jetstream = client.jetstream(publish_async_max_pending=4 * IN_FLIGHT)
    await jetstream.add_stream(StreamConfig(name="PRODUCT", subjects=["product.>"], storage=StorageType.FILE))
    for begin in range(first, first + count, IN_FLIGHT):
        some = range(begin, min(begin + IN_FLIGHT, first + count))
        acknowledged = [await jetstream.publish_async(SUBJECT, body(number)) for number in some]
        await asyncio.gather(*acknowledged)
    await client.close()


async def _steadily(url: str, lake: Path) -> list[float]:
    """Publish at a steady rate; return for each event after how long it could be read from the lake."""
    client = await nats.connect(url)
    jetstream = client.jetstream()
    published: list[float] = []

    async def plant() -> None:
        begin = time.perf_counter()
        for number in range(PER_SECOND * SECONDS):
            await asyncio.sleep(max(0.0, begin + number / PER_SECOND - time.perf_counter()))
            await jetstream.publish(SUBJECT, body(EVENTS + number))
            published.append(time.perf_counter())

    playing = asyncio.create_task(plant())
    seen, lags = 0, list[float]()
    while seen < PER_SECOND * SECONDS:
        await asyncio.sleep(0.01)
        rows = await asyncio.to_thread(_rows, lake) - EVENTS
        now = time.perf_counter()
        lags += [now - at for at in published[seen:rows]]
        seen = max(seen, min(rows, len(published)))
    await playing
    await client.close()
    return lags


def body(number: int) -> bytes:
    data = deepcopy(_WHOLE)
    uid = f"00000000-0000-4000-8000-{number:012x}"
    data["treatment"]["heat_uid"] = data["x"]["heat"]["treatment"]["heat_uid"] = uid
    return json.dumps(event(data)).encode()


_WHOLE: Document = json.loads(EXAMPLE.read_text(encoding="utf-8"))


def _rows(lake: Path) -> int:
    with suppress(Exception):  # not there yet
        return DeltaTable(lake / "heats").count()
    return 0


def _wait_for_rows(lake: Path, rows: int, timeout_s: float = 600.0) -> float:
    deadline = time.perf_counter() + timeout_s
    while _rows(lake) < rows:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{rows} rows are not in the lake after {timeout_s} s")
        time.sleep(0.02)
    return time.perf_counter()
