"""The life of one heat in the running plant: registered, advised, decided, tipped, weighed, analysed; at
tapping, and at the ladle furnace where the plant is asked to play that too.
"""

import asyncio
import logging
import uuid
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from plant_simulator import events, instruments, steelmaker
from plant_simulator.backend_api import Backend
from plant_simulator.bins import Bins
from plant_simulator.bus import Bus
from plant_simulator.catalogue import LADLE_FURNACE, TAPPING, Catalogue
from plant_simulator.elements import Floats
from plant_simulator.errors import BackendAwayError, BackendRefusedError
from plant_simulator.instruments import ObservedHeats, ObservedResults, ResultNoise
from plant_simulator.ladle_furnace import arrive, ladle_furnace
from plant_simulator.line import Heats
from plant_simulator.lots import lot_name
from plant_simulator.parameters import Parameters
from plant_simulator.reporting import Reports
from plant_simulator.steelmaker import Memory
from plant_simulator.tapping import HiddenResults, tap

NAMESPACE = uuid.UUID("0f3c55a2-6f0f-5a3e-8d61-7d9f6a6b8a54")

log = logging.getLogger(__name__)


@dataclass
class Counts:
    """What happened so far: `registered`, `cancelled` and `diverted` in heats, the rest in treatments (the
    same where only tapping is played). `treatments` are those that were not cancelled.
    """

    registered: int = 0
    cancelled: int = 0
    diverted: int = 0
    decided: int = 0
    accepted: int = 0
    edited: int = 0
    without_advice: int = 0
    handbook_advice: int = 0
    by_person: int = 0
    refused: int = 0
    undecided: int = 0
    weighed: int = 0
    completed: int = 0
    late: int = 0
    sent_twice: int = 0
    corrected: int = 0
    weights_corrected: int = 0
    events: int = 0
    treatments: list[dict[str, Any]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Run:
    """One run of the plant: who it is, how long it waits for whom, what it remembers, and its two doors."""

    plant: Catalogue
    parameters: Parameters
    plant_id: str
    run_id: str
    seed: int
    stations: tuple[str, ...]
    recommendation_wait_s: float
    person_wait_s: float
    late_result_s: float
    bus: Bus
    backend: Backend
    bins: Bins
    counts: Counts
    memory: dict[str, Memory]

    async def tell(self, kind: str, subject: str, data: dict[str, Any]) -> None:
        """Publish one fact."""
        await self.bus.publish(events.envelope(kind, subject, data, _now()))
        self.counts.events += 1


@dataclass(frozen=True)
class Treatment:
    """One heat at one station as the crew has it before it: tables of one row."""

    key: dict[str, Any]
    heats: Heats
    seen: ObservedHeats
    noise: ResultNoise
    reports: Reports

    @property
    def station(self) -> str:
        return str(self.key["station"])


def treatment_of(
    plant_id: str, seed: int, run_id: str, heat_no: int, station: str = TAPPING
) -> dict[str, Any]:
    """The key of a treatment: the same for the same seed and run, another one for any other run."""
    heat_uid = uuid.uuid5(NAMESPACE, f"{plant_id}/{seed}/{run_id}/{heat_no}")
    return {"plant_id": plant_id, "heat_uid": str(heat_uid), "station": station, "treatment_no": 1}


async def register(run: Run, heats: Heats) -> Treatment | None:
    """Tell what is new in the bins, then X of one heat (a table of one row). Returns its tapping; None where
    the heat is cancelled. A heat that is diverted is told as another grade first.
    """
    seen = instruments.observe_before(run.parameters, heats.hidden, heats.noise)
    for kind, subject, data in run.bins.news(seen, _now()):
        await run.tell(kind, subject, data)
    key = treatment_of(run.plant_id, run.seed, run.run_id, int(seen.heat_no[0]))
    tapping = Treatment(key, heats, seen, heats.noise.tapping, heats.reporting.tapping)
    await _tell_heat(run, tapping, _first_grade(run.plant, heats))
    run.counts.registered += 1
    if heats.reporting.is_cancelled[0]:
        await run.tell(events.CANCELLED, events.key(key), events.cancelled(key, _now()))
        run.counts.cancelled += 1
        return None
    run.counts.treatments.append(key)
    if heats.reporting.is_diverted[0]:
        await run.tell(events.DIVERTED, events.key(key), events.diverted(run.plant, seen, key, _now()))
        run.counts.diverted += 1
    return tapping


async def live(run: Run, tapping: Treatment, is_left_to_person: bool) -> None:
    """From the question for advice to the last correction of the last result."""
    p, heats = run.parameters, tapping.heats
    decided_kg = await _decide(run, tapping, is_left_to_person)
    tipped_kg = instruments.tip(p, decided_kg[None], tapping.noise)
    tapped = tap(run.plant, p, heats.hidden, tipped_kg)
    after = await _report(run, tapping, tapped, tipped_kg)
    if LADLE_FURNACE not in run.stations:
        await _correct(run, tapping, after)
        return
    ladles = arrive(p, heats.hidden, tapped)
    seen = instruments.observe_arrival(p, ladles, tapping.seen, after, heats.noise)
    key = {**tapping.key, "station": LADLE_FURNACE}
    ladle = Treatment(key, heats, seen, heats.noise.ladle, heats.reporting.ladle)
    await _tell_heat(run, ladle, int(seen.grade[0]))
    run.counts.treatments.append(key)
    correcting = asyncio.create_task(_correct(run, tapping, after))
    decided_kg = await _decide(run, ladle, is_left_to_person)
    tipped_kg = instruments.tip(p, decided_kg[None], ladle.noise)
    treated = ladle_furnace(run.plant, p, ladles, tipped_kg)
    after = await _report(run, ladle, treated.metal, tipped_kg)
    await _correct(run, ladle, after)
    await correcting


async def _tell_heat(run: Run, treatment: Treatment, grade: int) -> None:
    heat_no = f"H{int(treatment.seen.heat_no[0]):07d}"
    x = events.heat(run.plant, treatment.seen, treatment.key, heat_no, grade, _now())
    x |= events.price_of_a_miss(run.plant)
    await run.tell(events.REGISTERED, events.key(treatment.key), x)


def _first_grade(plant: Catalogue, heats: Heats) -> int:
    """The grade that a heat is told as at first: another one where it will be diverted."""
    grade = int(heats.hidden.grade[0])
    if not heats.reporting.is_diverted[0]:
        return grade
    others = [g for g, other in enumerate(plant.grades) if g != grade and other.campaign_share > 0]
    return others[int(heats.reporting.u_first_grade[0] * len(others))] if others else grade


async def _report(
    run: Run, treatment: Treatment, results: HiddenResults, tipped_kg: Floats
) -> ObservedResults:
    """What scales and spectrometer say, as it is first told. Returns what is right."""
    after = instruments.observe_after(run.parameters, results, tipped_kg, treatment.noise)
    run.bins.take(tipped_kg[0])
    key, reports, tipped_at = treatment.key, treatment.reports, _now()
    slip = float(reports.slip_rel[0])
    first_kg = after.weighed_kg[0] * (1 + slip if reports.is_weight_corrected[0] else 1)
    await _tell_weights(run, treatment, first_kg, 1)
    run.counts.weighed += 1
    if reports.has_extra_sample[0]:
        await run.tell(events.ANALYSED, events.key(key), events.extra_sample(key, after, _now()))
    if reports.is_late[0]:
        run.counts.late += 1
        await asyncio.sleep(run.late_result_s)
    first = _mistaken(after, slip) if reports.is_corrected[0] else after
    result = events.final_sample(key, first, tipped_at, 1, _now())
    await run.tell(events.ANALYSED, events.key(key), result)
    if reports.is_twice[0]:
        await run.tell(events.ANALYSED, events.key(key), result)
        run.counts.sent_twice += 1
    run.counts.completed += 1
    known = run.memory[treatment.station]
    run.memory[treatment.station] = steelmaker.remember(
        run.plant, run.parameters, treatment.station, known, treatment.seen, after
    )
    return after


async def _correct(run: Run, treatment: Treatment, after: ObservedResults) -> None:
    """What was told wrong at first, told again later."""
    reports, key = treatment.reports, treatment.key
    if reports.is_weight_corrected[0] or reports.is_corrected[0]:
        await asyncio.sleep(run.late_result_s)
    if reports.is_weight_corrected[0]:
        await _tell_weights(run, treatment, after.weighed_kg[0], 2)
        run.counts.weights_corrected += 1
    if reports.is_corrected[0]:
        corrected = events.final_sample(key, after, _now(), 2, _now())
        await run.tell(events.ANALYSED, events.key(key), corrected)
        run.counts.corrected += 1


async def _decide(run: Run, treatment: Treatment, is_left_to_person: bool) -> Floats:
    """Kilograms per additive that the bins are asked for.

    The steel waits for nobody: where no advice comes, his own figure.
    """
    if is_left_to_person:
        decision = await run.backend.decision(treatment.key, run.person_wait_s)
        if decision is not None:
            run.counts.by_person += 1
            run.counts.decided += 1
            return _kg(run.plant, decision["additions"])
    advice = await run.backend.recommendation(treatment.key, run.recommendation_wait_s)
    seen, tempers, stock_kg = treatment.seen, treatment.heats.tempers, run.bins.stock_kg
    plant, p, station = run.plant, run.parameters, treatment.station
    memory = run.memory[station]
    own_kg: Floats = steelmaker.own_figure(plant, p, station, seen, tempers, memory, stock_kg)[0]
    try:
        if advice is None:
            run.counts.without_advice += 1
            await run.backend.decide(treatment.key, _decision(run, treatment, own_kg, None, None))
            decided_kg = own_kg
        else:
            run.counts.handbook_advice += advice.get("source") == "handbook"
            await run.backend.shown(treatment.key, advice["recommendation_id"])
            shown_kg = _kg(run.plant, advice["additions"])
            taken = steelmaker.decide(plant, p, station, seen, tempers, own_kg, shown_kg, stock_kg)
            shown_id = advice["recommendation_id"]
            body = _decision(run, treatment, taken.decided_kg, shown_id, taken.reason_code)
            await run.backend.decide(treatment.key, body)
            decided_kg = taken.decided_kg
            run.counts.accepted += taken.accepted
            run.counts.edited += not taken.accepted
        run.counts.decided += 1
    except BackendRefusedError as error:
        log.warning(
            "heat %s: the backend refused what he decided, he tips his own figure: %s",
            treatment.key["heat_uid"],
            error,
        )
        run.counts.refused += 1
        return own_kg
    except BackendAwayError as error:
        log.warning("heat %s: decided without a screen: %s", treatment.key["heat_uid"], error)
        run.counts.undecided += 1
        return own_kg
    return decided_kg


def _decision(
    run: Run,
    treatment: Treatment,
    decided_kg: Floats,
    recommendation_id: str | None,
    reason: str | None,
) -> dict[str, Any]:
    name = "decision" if treatment.station == TAPPING else f"decision/{treatment.station}"
    lots = treatment.seen.lot_no[0].tolist()
    return {
        "decision_id": str(uuid.uuid5(uuid.UUID(treatment.key["heat_uid"]), name)),
        "decided_by": f"crew-{int(treatment.heats.tempers.crew[0]) + 1}",
        "recommendation_id": recommendation_id,
        "additions": [
            {"additive": a.additive, "lot": lot_name(a, lot_no), "added_kg": float(kg)}
            for a, lot_no, kg in zip(run.plant.additives, lots, decided_kg, strict=True)
            if kg > 0
        ],
        "reason_code": reason,
        "note": None,
    }


async def _tell_weights(run: Run, treatment: Treatment, weighed_kg: Floats, revision: int) -> None:
    data = events.weighed(run.plant, treatment.key, treatment.seen, np.round(weighed_kg), revision, _now())
    if data["additions"]:
        await run.tell(events.WEIGHED, events.key(treatment.key), data)


def _mistaken(after: ObservedResults, slip_rel: float) -> ObservedResults:
    """A result as it was first typed: every analysis a little too high."""
    return replace(after, chemistry_pct=np.round(after.chemistry_pct * (1 + slip_rel), 4))


def _kg(plant: Catalogue, additions: list[dict[str, Any]]) -> Floats:
    kg = dict.fromkeys(plant.additive_names, 0.0)
    for addition in additions:
        if addition["additive"] in kg:
            kg[addition["additive"]] += addition["added_kg"]
    return np.array(list(kg.values()))


def _now() -> datetime:
    return datetime.now(UTC)
