"""Whole heats through a running product: told over the bus, decided over REST, awaited on the bus.

One connection to the bus and a few to the backend carry any number of heats at once.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import nats
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from load import heats

STEPS = ("recommended", "screen", "shown", "decided", "completed")
PATIENCE_S = 30.0


class Connection:
    """HTTP/1.1 over one kept connection: as little of the machine as can be for the one who measures."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._host, self._port, self._token = host, port, token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON; AssertionError with the answer where it is no success."""
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self._token}\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        kept = self._streams is not None
        try:
            reader, answer = await self._answered(head.encode() + content)
        except (asyncio.IncompleteReadError, ConnectionError):
            if not kept:
                raise
            self._streams = None  # nobody used it for so long that the other side has closed it
            reader, answer = await self._answered(head.encode() + content)
        length = int(answer.partition("content-length:")[2].partition("\r\n")[0])
        told = await reader.readexactly(length)
        status = int(answer.split(" ", 2)[1])
        if status not in (200, 201):
            raise AssertionError(f"{method} {path}: {status} {told[:500].decode()}")
        return json.loads(told)

    async def _answered(self, request: bytes) -> tuple[asyncio.StreamReader, str]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(request)
        return reader, (await reader.readuntil(b"\r\n\r\n")).decode().lower()

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


@dataclass
class Measured:
    """Seconds of each step and of whole lives, and when each life ended (seconds since the start)."""

    steps_s: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in STEPS})
    lives_s: list[float] = field(default_factory=list)
    ended_s: list[float] = field(default_factory=list)
    elapsed_s: float = 0.0


class Plant:
    """What a plant says and hears; every awaited event wakes the heat that waits for it."""

    def __init__(self, jetstream: JetStreamContext, master_data: Mapping[str, Any], seed: int) -> None:
        self.jetstream, self.random = jetstream, Random(seed)
        self.plant_id = str(master_data["plant_id"])
        self.grades = [grade for grade in master_data["grades"] if "Al" not in grade["windows"]]
        self.offers: list[dict[str, Any]] = master_data["additives"]
        self.waiting: dict[tuple[str, str], asyncio.Future[Any]] = {}

    async def hear(self, message: Msg) -> None:
        event = json.loads(message.data)
        waits = self.waiting.get((event["type"], event["subject"]))
        if waits is not None and not waits.done():
            waits.set_result(event["data"])

    async def tell(self, event_type: str, data: Mapping[str, Any]) -> None:
        event = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": "bench",
            "type": event_type,
            "subject": subject(data["treatment"]),
            "time": heats.instant(datetime.now(UTC)),
            "data": data,
        }
        await self.jetstream.publish(
            event_type, json.dumps(event).encode(), headers={"Nats-Msg-Id": event["id"]}
        )

    def expect(self, event_type: str, treatment: Mapping[str, Any]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.waiting[event_type, subject(treatment)] = future
        return future

    async def one_life(self, screen: Connection, measured: Measured) -> None:
        """Register, recommend, show, decide, weigh, analyse, completed; the clock runs from end to end."""
        grade = self.random.choice(self.grades)
        x = heats.heat(self.random, self.plant_id, grade["grade"], grade["windows"], datetime.now(UTC))
        treatment = x["treatment"]
        treatment["heat_uid"] = str(uuid.uuid4())  # the same seed is used more than once
        url = "/api/v1/treatments/" + subject(treatment)
        marks = [time.perf_counter()]
        advice = self.expect("product.recommendation.made.v1", treatment)
        completed = self.expect("product.heat.completed.v1", treatment)
        await self.tell("plant.heat.registered.v1", x)
        made = (await asyncio.wait_for(advice, PATIENCE_S))["recommendation"]
        marks.append(time.perf_counter())
        await screen.ask("GET", url)
        marks.append(time.perf_counter())
        await screen.ask("POST", f"{url}/recommendations/{made['recommendation_id']}/shown")
        marks.append(time.perf_counter())
        decision = {
            "decision_id": str(uuid.uuid4()),
            "decided_by": "bench",
            "recommendation_id": made["recommendation_id"],
            "additions": made["additions"],
        }
        await screen.ask("PUT", f"{url}/decision", decision)
        marks.append(time.perf_counter())
        weighed = [self._weighed(number, addition) for number, addition in enumerate(made["additions"], 1)]
        if weighed:
            await self.tell("plant.addition.weighed.v1", {"treatment": treatment, "additions": weighed})
        sample = {
            "sample_id": "S1",
            "revision": 1,
            "is_final": True,
            "sampled_at": heats.instant(datetime.now(UTC)),
            "chemistry": heats.result(self.random, x, self.offers, weighed),
            "steel_mass_t": x["steel_mass_t"],
            "temperature_c": 1575.0,
        }
        await self.tell("plant.sample.analysed.v1", {"treatment": treatment, "sample": sample})
        await asyncio.wait_for(completed, PATIENCE_S)
        marks.append(time.perf_counter())
        for step, begun, done in zip(STEPS, marks, marks[1:], strict=False):
            measured.steps_s[step].append(done - begun)
        measured.lives_s.append(marks[-1] - marks[0])
        for event_type in ("product.recommendation.made.v1", "product.heat.completed.v1"):
            del self.waiting[event_type, subject(treatment)]

    def _weighed(self, number: int, addition: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "addition_id": f"A{number}",
            "revision": 1,
            "additive": addition["additive"],
            "lot": addition.get("lot"),
            "added_kg": max(1.0, float(round(addition["added_kg"] + self.random.gauss(0, 3)))),
            "weighed_at": heats.instant(datetime.now(UTC)),
        }


def subject(treatment: Mapping[str, Any]) -> str:
    """A treatment's key as a path."""
    return "/".join(str(treatment[name]) for name in ("plant_id", "heat_uid", "station", "treatment_no"))


async def _streams_are_there(jetstream: JetStreamContext) -> None:
    """Consumer and publisher make them when they start."""
    async with asyncio.timeout(PATIENCE_S):
        for stream in ("PLANT", "PRODUCT"):
            while True:
                try:
                    await jetstream.stream_info(stream)
                    break
                except NotFoundError:
                    await asyncio.sleep(0.1)


async def live(
    address: tuple[str, int],
    token: str,
    nats_url: str,
    master_data: Mapping[str, Any],
    *,
    many: int,
    at_once: int,
    per_s: float | None,
    seed: int,
) -> Measured:
    """So many lives, `at_once` under way; with `per_s` they begin at that pace, else as fast as they go."""
    bus = await nats.connect(nats_url)
    plant = Plant(bus.jetstream(), master_data, seed)
    await _streams_are_there(plant.jetstream)
    heard = await bus.subscribe("product.>", cb=plant.hear)
    screens: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(at_once):
        screens.put_nowait(Connection(*address, token))
    measured = Measured()
    began = time.perf_counter()

    async def one(screen: Connection) -> None:
        try:
            await plant.one_life(screen, measured)
            measured.ended_s.append(time.perf_counter() - began)
        finally:
            screens.put_nowait(screen)

    try:
        async with asyncio.TaskGroup() as under_way:
            for number in range(many):
                if per_s is not None:
                    await asyncio.sleep(max(0.0, began + number / per_s - time.perf_counter()))
                under_way.create_task(one(await screens.get()))
        measured.elapsed_s = time.perf_counter() - began
    finally:
        with suppress(Exception):
            await heard.unsubscribe()
        await bus.close()
        while not screens.empty():
            screens.get_nowait().close()
    return measured
