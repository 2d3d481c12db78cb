"""A small plant for tests: makes heats, speaks as Level 2 over the bus and as a steelmaker over REST."""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import uuid4

import nats
from nats.errors import Error as BusError
from nats.js import JetStreamContext
from nats.js.errors import Error as StreamError

from contracts import CONTRACTS, load

EXAMPLE: dict[str, Any] = load(
    CONTRACTS / "plant-events" / "examples" / "plant.heat.registered.v1" / "valid" / "tapping.json"
)
FINAL: dict[str, Any] = load(
    CONTRACTS / "plant-events" / "examples" / "plant.sample.analysed.v1" / "valid" / "final.json"
)["sample"]
WEIGHED = ({"additive": "SiMn", "added_kg": 1400.0}, {"additive": "FeSi75", "added_kg": 80.0})
PATIENCE_S = 90.0

Message = tuple[str, dict[str, Any]]
T = TypeVar("T")


def new_heat(**changes: Any) -> dict[str, Any]:
    """Return X of a heat that nobody has seen yet."""
    heat = copy.deepcopy(EXAMPLE)
    heat["treatment"]["heat_uid"] = str(uuid4())
    heat["heat_no"] = f"T-{heat['treatment']['heat_uid'][:8]}"
    return {**heat, **changes}


def path_of(treatment: dict[str, Any]) -> str:
    return "/".join(str(treatment[name]) for name in ("plant_id", "heat_uid", "station", "treatment_no"))


def decision(
    recommendation_id: str | None, additions: list[dict[str, Any]], **changes: Any
) -> dict[str, Any]:
    """Return the body with which a steelmaker confirms `additions`."""
    kept = [{name: addition.get(name) for name in ("additive", "lot", "added_kg")} for addition in additions]
    return {
        "decision_id": str(uuid4()),
        "decided_by": "test",
        "recommendation_id": recommendation_id,
        "additions": kept,
        "reason_code": None,
        "note": None,
        **changes,
    }


def weighed(treatment: dict[str, Any]) -> dict[str, Any]:
    """Return the data of `plant.addition.weighed.v1`: what the bin scales tell."""
    additions = [
        {
            "addition_id": f"A{number}",
            "revision": 1,
            "lot": None,
            "weighed_at": "2026-03-02T06:05:00Z",
            **addition,
        }
        for number, addition in enumerate(WEIGHED, start=1)
    ]
    return {"treatment": treatment, "additions": additions}


def sample(treatment: dict[str, Any], revision: int = 1, mn_pct: float = 0.79) -> dict[str, Any]:
    """Return the data of `plant.sample.analysed.v1`: the final sample."""
    chemistry = {**FINAL["chemistry"], "Mn": mn_pct}
    return {"treatment": treatment, "sample": {**FINAL, "revision": revision, "chemistry": chemistry}}


def event(event_type: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return `data` in the envelope of a CloudEvent with an id of its own."""
    return {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "tests",
        "type": event_type,
        "subject": path_of(data["treatment"]),
        "time": "2026-03-02T06:00:00Z",
        "datacontenttype": "application/json",
        "data": data,
    }


@asynccontextmanager
async def bus(url: str) -> Any:
    """Yield JetStream at `url`, over a connection that comes back when the server does."""
    connection = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.2)
    try:
        yield connection.jetstream()
    finally:
        await connection.close()


async def tell(jetstream: JetStreamContext, event_type: str, data: dict[str, Any]) -> None:
    """Publish one fact until the bus has acknowledged it; the id makes a repetition harmless."""
    message = event(event_type, data)
    body, headers = json.dumps(message).encode(), {"Nats-Msg-Id": message["id"]}
    await until_done(lambda: jetstream.publish(event_type, body, timeout=2, headers=headers))


async def until_done(attempt: Callable[[], Awaitable[Any]]) -> Any:
    """Try again while the other side is away, as every plant system must."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        try:
            return await attempt()
        except (OSError, TimeoutError, BusError, StreamError):
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.2)


def publish(url: str, messages: Iterable[Message]) -> None:
    """Publish facts one after the other."""

    async def run() -> None:
        async with bus(url) as jetstream:
            for event_type, data in messages:
                await tell(jetstream, event_type, data)

    _run(run())


def publish_raw(url: str, subject: str, bodies: Iterable[bytes]) -> None:
    """Publish bytes that may be anything."""

    async def run() -> None:
        async with bus(url) as jetstream:
            for body in bodies:
                await jetstream.publish(subject, body, headers={"Nats-Msg-Id": str(uuid4())})

    _run(run())


def dead_letters(url: str, component: str) -> list[tuple[bytes, dict[str, str]]]:
    """Return bodies and headers of what `component` has refused so far."""

    async def run() -> list[tuple[bytes, dict[str, str]]]:
        async with bus(url) as jetstream:
            subscription = await jetstream.subscribe(f"deadletter.{component}.>", ordered_consumer=True)
            found: list[tuple[bytes, dict[str, str]]] = []
            while True:
                try:
                    message = await subscription.next_msg(timeout=1)
                except TimeoutError:  # nats-py's own error of that name is a subclass of it
                    return found
                found.append((message.data, dict(message.headers or {})))

    return _run(run())


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Do `work` in a loop of its own, in a thread of its own: the browser's driver keeps a loop in ours."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
