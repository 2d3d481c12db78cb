"""The life of one heat in the running plant: registered, advised, decided, tipped, weighed, analysed."""

import asyncio
import logging
import uuid
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from plant_simulator import events, instruments, steelmaker, tapping
from plant_simulator.backend_api import Backend
from plant_simulator.bins import Bins
from plant_simulator.bus import Bus
from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import Floats
from plant_simulator.errors import BackendAwayError, BackendRefusedError
from plant_simulator.instruments import ObservedResults
from plant_simulator.line import Heats
from plant_simulator.lots import lot_name
from plant_simulator.parameters import Parameters

NAMESPACE = uuid.UUID("0f3c55a2-6f0f-5a3e-8d61-7d9f6a6b8a54")

log = logging.getLogger(__name__)


@dataclass
class Counts:
    """What happened so far, in heats where nothing else is said."""

    registered: int = 0
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
    """One run of the plant: who it is, how long it waits for whom, and its two doors."""

    plant: Catalogue
    parameters: Parameters
    plant_id: str
    run_id: str
    seed: int
    recommendation_wait_s: float
    person_wait_s: float
    late_result_s: float
    bus: Bus
    backend: Backend
    bins: Bins
    counts: Counts

    async def tell(self, kind: str, subject: str, data: dict[str, Any]) -> None:
        """Publish one fact."""
        await self.bus.publish(events.envelope(kind, subject, data, _now()))
        self.counts.events += 1


def treatment_of(plant_id: str, seed: int, run_id: str, heat_no: int) -> dict[str, Any]:
    """The key of a heat's tapping: the same for the same seed and run, another one for any other run."""
    heat_uid = uuid.uuid5(NAMESPACE, f"{plant_id}/{seed}/{run_id}/{heat_no}")
    return {"plant_id": plant_id, "heat_uid": str(heat_uid), "station": steelmaker.STATION, "treatment_no": 1}


async def register(run: Run, heats: Heats) -> dict[str, Any]:
    """Tell what is new in the bins, then X of one heat (a table of one row). Returns its treatment."""
    heat_no = int(heats.observed.heat_no[0])
    for kind, subject, data in run.bins.news(heat_no, _now()):
        await run.tell(kind, subject, data)
    treatment = treatment_of(run.plant_id, run.seed, run.run_id, heat_no)
    x = events.heat(run.plant, heats.observed, treatment, f"H{heat_no:07d}", _now())
    await run.tell(events.REGISTERED, events.key(treatment), x)
    run.counts.registered += 1
    run.counts.treatments.append(treatment)
    return treatment


async def live(run: Run, heats: Heats, treatment: dict[str, Any], is_left_to_person: bool) -> None:
    """From the question for advice to the last correction of the result."""
    decided_kg = await _decide(run, heats, treatment, is_left_to_person)
    tipped_kg = instruments.tip(run.parameters, decided_kg[None], heats.noise)
    results = tapping.tap(run.plant, run.parameters, heats.hidden, tipped_kg)
    after = instruments.observe_after(run.parameters, results, tipped_kg, heats.noise)
    run.bins.take(tipped_kg[0])
    tipped_at = _now()

    slip = float(heats.reporting.slip_rel[0])
    has_slip = bool(heats.reporting.is_weight_corrected[0])
    await _tell_weights(run, heats, treatment, after.weighed_kg[0] * (1 + slip if has_slip else 1), 1)
    run.counts.weighed += 1
    if heats.reporting.has_extra_sample[0]:
        await run.tell(events.ANALYSED, events.key(treatment), events.extra_sample(treatment, after, _now()))

    is_late, is_corrected = bool(heats.reporting.is_late[0]), bool(heats.reporting.is_corrected[0])
    if is_late:
        run.counts.late += 1
        await asyncio.sleep(run.late_result_s)
    first = _mistaken(after, slip) if is_corrected else after
    result = events.final_sample(treatment, first, tipped_at, 1, _now())
    await run.tell(events.ANALYSED, events.key(treatment), result)
    if heats.reporting.is_twice[0]:
        await run.tell(events.ANALYSED, events.key(treatment), result)
        run.counts.sent_twice += 1
    run.counts.completed += 1

    if has_slip or is_corrected:
        await asyncio.sleep(run.late_result_s)
    if has_slip:
        await _tell_weights(run, heats, treatment, after.weighed_kg[0], 2)
        run.counts.weights_corrected += 1
    if is_corrected:
        corrected = events.final_sample(treatment, after, tipped_at, 2, _now())
        await run.tell(events.ANALYSED, events.key(treatment), corrected)
        run.counts.corrected += 1


async def _decide(run: Run, heats: Heats, treatment: dict[str, Any], is_left_to_person: bool) -> Floats:
    """Kilograms per additive that the bins are asked for.

    The steel waits for nobody: where no advice comes, his own figure.
    """
    if is_left_to_person:
        decision = await run.backend.decision(treatment, run.person_wait_s)
        if decision is not None:
            run.counts.by_person += 1
            run.counts.decided += 1
            return _kg(run.plant, decision["additions"])
    advice = await run.backend.recommendation(treatment, run.recommendation_wait_s)
    seen, tempers, stock_kg = heats.observed, heats.tempers, run.bins.stock_kg
    own_kg: Floats = steelmaker.own_figure(run.plant, run.parameters, seen, tempers, stock_kg)[0]
    try:
        if advice is None:
            run.counts.without_advice += 1
            await run.backend.decide(treatment, _decision(run, heats, treatment, own_kg, None, None))
            decided_kg = own_kg
        else:
            run.counts.handbook_advice += advice.get("source") == "handbook"
            await run.backend.shown(treatment, advice["recommendation_id"])
            shown_kg = _kg(run.plant, advice["additions"])
            taken = steelmaker.decide(run.plant, run.parameters, seen, tempers, own_kg, shown_kg, stock_kg)
            body = _decision(
                run, heats, treatment, taken.decided_kg, advice["recommendation_id"], taken.reason_code
            )
            await run.backend.decide(treatment, body)
            decided_kg = taken.decided_kg
            run.counts.accepted += taken.accepted
            run.counts.edited += not taken.accepted
        run.counts.decided += 1
    except BackendRefusedError as error:
        log.warning(
            "heat %s: the backend refused what he decided, he tips his own figure: %s",
            treatment["heat_uid"],
            error,
        )
        run.counts.refused += 1
        return own_kg
    except BackendAwayError as error:
        log.warning("heat %s: decided without a screen: %s", treatment["heat_uid"], error)
        run.counts.undecided += 1
        return own_kg
    return decided_kg


def _decision(
    run: Run,
    heats: Heats,
    treatment: dict[str, Any],
    decided_kg: Floats,
    recommendation_id: str | None,
    reason: str | None,
) -> dict[str, Any]:
    lots = heats.observed.lot_no[0].tolist()
    return {
        "decision_id": str(uuid.uuid5(uuid.UUID(treatment["heat_uid"]), "decision")),
        "decided_by": f"crew-{int(heats.tempers.crew[0]) + 1}",
        "recommendation_id": recommendation_id,
        "additions": [
            {"additive": a.additive, "lot": lot_name(a, lot_no), "added_kg": float(kg)}
            for a, lot_no, kg in zip(run.plant.additives, lots, decided_kg, strict=True)
            if kg > 0
        ],
        "reason_code": reason,
        "note": None,
    }


async def _tell_weights(
    run: Run, heats: Heats, treatment: dict[str, Any], weighed_kg: Floats, revision: int
) -> None:
    data = events.weighed(run.plant, treatment, heats.observed, np.round(weighed_kg), revision, _now())
    if data["additions"]:
        await run.tell(events.WEIGHED, events.key(treatment), data)


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
