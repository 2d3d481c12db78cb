"""A live plant: heats one after the other, several under way, at the plant's pace or as fast as it goes."""

import asyncio
import json
import logging
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from plant_simulator import instruments, life, line, scenarios, steelmaker
from plant_simulator.backend_api import Backend
from plant_simulator.bins import Bins
from plant_simulator.bus import Bus
from plant_simulator.catalogue import Catalogue
from plant_simulator.errors import BadSettingError
from plant_simulator.life import Counts, Run, Treatment
from plant_simulator.line import Heats
from plant_simulator.parameters import Parameters
from plant_simulator.scenarios import Started, Switches

FAREWELL_S = 5.0
SAY_EVERY_S = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How the plant runs.

    `heats` 0: until stopped, else so many that are not cancelled; `heats_per_minute` 0: as fast as
    `in_flight` heats at once can go.
    """

    plant_id: str
    seed: int
    run_id: str
    line: int
    stations: tuple[str, ...]
    scenarios: tuple[Started, ...]
    control: Path | None
    first_heat_no: int
    heats: int
    heats_per_minute: float
    in_flight: int
    leave_every: int
    person_wait_s: float
    recommendation_wait_s: float
    late_result_s: float
    give_up_s: float
    nats_url: str
    backend_url: str
    backend_token: str = field(default="", repr=False)


async def play(plant: Catalogue, parameters: Parameters, settings: Settings) -> Counts:
    """Play until the heats are done, or a signal.

    After a signal no new heat begins, and those under way get FAREWELL_S to end.
    """
    counts, stop = Counts(), asyncio.Event()
    _on_signals(stop)
    working = asyncio.create_task(_work(plant, parameters, settings, counts, stop))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({working}, timeout=FAREWELL_S)
    stopping.cancel()
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    return counts


async def _work(
    plant: Catalogue, parameters: Parameters, settings: Settings, counts: Counts, stop: asyncio.Event
) -> None:
    """Register heat after heat; each lives on by itself. A heat that is left to a person holds up nobody."""
    first = next(line.one_by_one(plant, parameters, settings.seed, settings.first_heat_no, settings.line))
    first_seen = instruments.observe_before(parameters, first.hidden, first.noise)
    bins = Bins(plant, settings.plant_id, first_seen)
    async with (
        Bus(settings.nats_url) as bus,
        Backend(settings.backend_url, settings.give_up_s, token=settings.backend_token) as backend,
    ):
        run = Run(
            plant=plant,
            parameters=parameters,
            plant_id=settings.plant_id,
            run_id=settings.run_id,
            seed=settings.seed,
            stations=settings.stations,
            recommendation_wait_s=settings.recommendation_wait_s,
            person_wait_s=settings.person_wait_s,
            late_result_s=settings.late_result_s,
            bus=bus,
            backend=backend,
            bins=bins,
            counts=counts,
            memory={station: steelmaker.fresh_memory(1) for station in settings.stations},
        )
        for kind, subject, data in bins.opening(datetime.now(UTC)):
            await run.tell(kind, subject, data)
        saying = asyncio.create_task(_say_now_and_then(counts, settings.heats))
        try:
            async with asyncio.TaskGroup() as under_way:
                await _shift(run, settings, stop, under_way)
        finally:
            saying.cancel()


async def _shift(run: Run, settings: Settings, stop: asyncio.Event, under_way: asyncio.TaskGroup) -> None:
    places = asyncio.Semaphore(settings.in_flight)
    began = asyncio.get_running_loop().time()
    pace_s = 60 / settings.heats_per_minute if settings.heats_per_minute else 0.0
    begun = 0
    for index, heats in enumerate(_one_by_one(run, settings)):
        is_left_to_person = bool(settings.leave_every) and (begun + 1) % settings.leave_every == 0
        await _until(stop, began + index * pace_s)
        if not is_left_to_person:
            await places.acquire()
        if stop.is_set():
            return
        tapping = await life.register(run, heats)
        if tapping is None:
            if not is_left_to_person:
                places.release()
            continue
        begun += 1
        task = under_way.create_task(_live(run, tapping, is_left_to_person))
        if not is_left_to_person:
            task.add_done_callback(lambda _: places.release())
        if begun == settings.heats:
            return


async def _live(run: Run, tapping: Treatment, is_left_to_person: bool) -> None:
    try:
        await life.live(run, tapping, is_left_to_person)
    except Exception:
        log.exception("heat %s failed", tapping.key["heat_uid"])
        raise


def _one_by_one(run: Run, settings: Settings) -> Iterator[Heats]:
    """The plant's heats, with the scenarios that are on when each begins."""
    switches, last = Switches(settings.control, settings.scenarios), list[Started]()
    for heats in line.one_by_one(
        run.plant, run.parameters, settings.seed, settings.first_heat_no, settings.line
    ):
        try:
            active = switches.active(int(heats.hidden.heat_no[0]))
        except (BadSettingError, OSError) as error:
            log.warning("control file passed over: %s", error)
            active = last
        if active != last:
            log.info("scenarios: %s", ", ".join(f"{s.name}@{s.start_heat}" for s in active) or "none")
            last = active
        change = scenarios.change(run.plant, active)
        yield heats if change is None else change(heats)


async def _until(stop: asyncio.Event, moment: float) -> None:
    delay = moment - asyncio.get_running_loop().time()
    if delay > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), delay)


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)


async def _say_now_and_then(counts: Counts, heats: int) -> None:
    while True:
        await asyncio.sleep(SAY_EVERY_S)
        wanted = f" of {heats}" if heats else ""
        log.info(
            "heats%s: registered %d, decided %d, completed %d",
            wanted,
            counts.registered,
            counts.decided,
            counts.completed,
        )


def summary_line(counts: Counts) -> str:
    """The counts as one line of JSON; the treatments themselves only by number."""
    document = counts.document()
    return json.dumps({**document, "treatments": len(document["treatments"])})
