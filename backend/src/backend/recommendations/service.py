"""Make a recommendation: ask the model, hold its answer to the hard limits, else apply the handbook's rule.

No transaction is open while the model thinks: what is asked is read in one, the answer is stored in another,
and an answer to what was asked before the heat changed is dropped.
"""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Engine, bindparam, insert, select, update
from sqlmodel import Session

from backend.clock import new_id, now
from backend.completions import service as completions
from backend.database import reading, run, table_of, write, writing
from backend.errors import BackendError, StateError, UnknownError, validate
from backend.events import RECOMMENDATION_MADE
from backend.heats import rows
from backend.heats.tables import RECOMMENDED, REGISTERED, HeatRecord
from backend.master_data import kept
from backend.model_answers import Recommendation as ModelRecommendation
from backend.model_client import ModelClient, ModelUnavailableError
from backend.outbox import service as outbox
from backend.prepared import Prepared, loaded
from backend.recommendations.handbook import by_handbook, cost_of
from backend.recommendations.limits import broken_limits
from backend.recommendations.tables import HANDBOOK, LIVE, MODEL, SHADOW, Made, Recommendation, as_record
from backend.shapes import Addition, HandbookEntry, Heat, told
from backend.tasks import service as tasks
from backend.tasks.tables import RECOMMENDATION
from backend.tasks.tables import SHADOW as SHADOW_TASK

log = logging.getLogger(__name__)

# What the live model and its shadow are told alike, and is kept with their answers.
SHARED = ("heat", "additives", "handbook_entry")

RECOMMENDATIONS = table_of(Recommendation)

_KEEP = Prepared(insert(RECOMMENDATIONS))
_LIVE = Prepared(
    select(RECOMMENDATIONS).where(
        RECOMMENDATIONS.c.recommendation_id == bindparam("id"),
        RECOMMENDATIONS.c.heat_id == bindparam("heat_id"),
        RECOMMENDATIONS.c.role == LIVE,
    )
)
_ASKED_WITH = Prepared(
    select(RECOMMENDATIONS)
    .where(RECOMMENDATIONS.c.heat_id == bindparam("heat_id"), RECOMMENDATIONS.c.asked_key == bindparam("key"))
    .limit(1)
)
_SHOWN = Prepared(update(RECOMMENDATIONS).where(RECOMMENDATIONS.c.id == bindparam("row")))


class Asked(NamedTuple):
    """What a recommendation is made from, and which version of the task it answers."""

    heat_id: int
    version: int
    heat: dict[str, Any]
    additives: list[dict[str, Any]]
    recent_heats: list[orjson.Fragment]
    handbook_entry: dict[str, Any] | None

    def request(self) -> bytes:
        """In the shape of recommendation-request.v1."""
        return orjson.dumps(
            {
                "heat": self.heat,
                "additives": self.additives,
                "recent_heats": self.recent_heats,
                "handbook_entry": self.handbook_entry,
            }
        )


def recommend(
    engine: Engine, model: ModelClient, heat_id: int, *, has_shadow: bool = False, key: str | None = None
) -> None:
    """Do the heat's recommendation task; with `has_shadow`, ask for the shadow's in the same transaction.

    `key` is kept with the recommendation, for whoever asks again with it.
    """
    with reading(engine) as session:
        asked = gather(session, heat_id)
    if asked is None:
        return
    made = answer(asked, model)
    made.asked_key = key

    def keep(session: Session) -> None:
        if store(session, asked, made) and has_shadow:
            tasks.ask_shadow(session, heat_id, asked.request())

    write(engine, keep)
    told_of = {"treatment": asked.heat["treatment"], "recommendation_id": made.recommendation_id}
    log.info("recommended by the %s", made.source, extra={"told": told_of})


def recommend_in_shadow(engine: Engine, model: ModelClient, heat_id: int) -> None:
    """Ask the shadow what the live model was asked, and keep its answer beside the live one.

    Where it gives none, none is kept; where this process dies, it is asked again.
    """
    with reading(engine) as session:
        waits = tasks.request_of_shadow(session, heat_id)
    if waits is None:
        return
    version, request = waits
    told_then = orjson.loads(request)
    asked = Asked(heat_id, version, recent_heats=[], **{name: told_then[name] for name in SHARED})
    made = None
    try:
        document = model.recommend(request)
        made = _from_model(asked, document, validate(ModelRecommendation, document))
    except (ModelUnavailableError, BackendError) as failed:
        log.warning("no shadow recommendation for heat %s: %s", asked.heat["treatment"], failed)
    with writing(engine) as session:
        if tasks.version(session, heat_id, SHADOW_TASK) != version:
            return
        tasks.drop(session, heat_id, SHADOW_TASK)
        if made is not None:
            made.role = SHADOW
            run(session, _KEEP, vars(made))
            _tell(session, rows.get(session, heat_id), made)


def gather(session: Session, heat_id: int) -> Asked | None:
    version = tasks.version(session, heat_id, RECOMMENDATION)
    if version is None:
        return None
    record = rows.get(session, heat_id)
    heat = record.heat
    if not heat.get("windows"):
        # Master data may have come after the heat.
        windows = kept.grade_windows(session, record.plant_id, record.grade, record.registered_at)
        heat = heat | {"windows": windows} if windows else heat
    return Asked(
        heat_id=heat_id,
        version=version,
        heat=heat,
        additives=kept.offers(session, record.plant_id, record.grade, now()),
        recent_heats=completions.recent_heats(session, record),
        handbook_entry=kept.handbook_entry(session, record.plant_id, record.station, record.grade),
    )


def answer(asked: Asked, model: ModelClient) -> Made:
    """The model's recommendation, or the handbook's with the reason why the model's is not used."""
    try:
        document = model.recommend(asked.request())
    except ModelUnavailableError as unavailable:
        return _from_handbook(asked, str(unavailable), None)
    try:
        read = validate(ModelRecommendation, document)
    except BackendError as invalid:
        log.warning(
            "the model service's answer for %s is not in its contract: %s", asked.heat["treatment"], invalid
        )
        return _from_handbook(asked, f"the model service's answer is not in its contract: {invalid}", None)
    if read.status == "abstained":
        reasons = "; ".join(reason.text for reason in read.abstention_reasons)
        return _from_handbook(asked, f"the model abstained: {reasons}", document)
    heat = validate(Heat, asked.heat)
    if (read.treatment, read.heat_revision) != (heat.treatment, heat.revision):
        return _from_handbook(asked, "the model service answered for another heat", None)
    broken = broken_limits(read.additions, kept.as_shapes(asked.additives), heat.steel_mass_t)
    if broken:
        return _from_handbook(
            asked, f"the model's recommendation breaks a hard limit: {'; '.join(broken)}", document
        )
    return _from_model(asked, document, read)


def store(session: Session, asked: Asked, made: Made) -> bool:
    """Put the recommendation in force, unless the heat has changed meanwhile; whether it was kept."""
    record = rows.get(session, asked.heat_id, lock=True)
    if tasks.version(session, asked.heat_id, RECOMMENDATION) != asked.version:
        return False
    tasks.drop(session, asked.heat_id, RECOMMENDATION)
    run(session, _KEEP, vars(made))
    record.heat = asked.heat
    record.recommendation_id = made.recommendation_id
    if record.state == REGISTERED:  # else it came after the decision, and undoes nothing
        record.state = RECOMMENDED
    _tell(session, record, made)
    return True


def ask_again(session: Session, record: HeatRecord) -> None:
    if record.state not in (REGISTERED, RECOMMENDED):
        raise StateError(
            where=record.treatment().key(),
            what=f"the treatment is {record.state}",
            allowed="a new recommendation while the treatment is registered or recommended",
        )
    record.state = REGISTERED
    tasks.ask(session, record.row(), RECOMMENDATION)


def asked_with(session: Session, record: HeatRecord, key: str | None) -> Recommendation | None:
    """The recommendation that was made when somebody asked with this key."""
    if key is None:
        return None
    found = run(session, _ASKED_WITH, {"heat_id": record.row(), "key": key}).one_or_none()
    return None if found is None else loaded(Recommendation, found)


def show(session: Session, record: HeatRecord, recommendation_id: str) -> Recommendation:
    """Note when a person first saw the recommendation."""
    made = find(session, record, recommendation_id)
    if made.shown_at is None:
        made.shown_at = now()
        run(session, _SHOWN, {"row": made.id, "shown_at": made.shown_at})
    return made


def find(session: Session, record: HeatRecord, recommendation_id: str) -> Recommendation:
    """A live recommendation of this treatment; shadows are never shown."""
    found = run(session, _LIVE, {"id": recommendation_id, "heat_id": record.row()}).one_or_none()
    if found is None:
        raise UnknownError(
            where="recommendation_id",
            what=f"{recommendation_id} is no recommendation of this treatment",
            allowed=record.recommendation_id or "none was made yet",
        )
    return loaded(Recommendation, found)


def _from_model(asked: Asked, document: dict[str, Any], read: ModelRecommendation) -> Made:
    additions = [
        Addition(additive=addition.additive, lot=addition.lot, added_kg=addition.added_kg)
        for addition in read.additions
    ]
    made = _made(asked, MODEL, additions)
    made.cost = None if read.cost is None else told(read.cost)
    made.answer = document
    made.model_version = read.model.version
    made.bundle_hash = read.model.bundle_hash
    made.image_digest = read.model.image_digest
    return made


def _from_handbook(asked: Asked, reason: str, document: dict[str, Any] | None) -> Made:
    heat, offers = validate(Heat, asked.heat), kept.as_shapes(asked.additives)
    additions: Sequence[Addition] = ()
    if asked.handbook_entry is None:
        reason += f"; the handbook has no rule for station {heat.treatment.station} and grade {heat.grade}"
    else:
        additions = by_handbook(heat, offers, validate(HandbookEntry, asked.handbook_entry)).additions
    broken = broken_limits(additions, offers, heat.steel_mass_t)
    if broken:
        additions = ()
        reason += f"; and the handbook's rule breaks a hard limit: {'; '.join(broken)}"
    made = _made(asked, HANDBOOK, additions)
    cost = cost_of(additions, offers)
    made.cost = None if cost is None else told(cost)
    made.answer = document
    made.fallback_reason = reason
    return made


def _made(asked: Asked, source: str, additions: Sequence[Addition]) -> Made:
    return Made(
        recommendation_id=new_id(),
        heat_id=asked.heat_id,
        source=source,
        made_at=now(),
        heat_revision=asked.heat["revision"],
        additions=[told(addition) for addition in additions],
        additives=asked.additives,
        handbook_entry=asked.handbook_entry,
    )


def _tell(session: Session, record: HeatRecord, made: Made) -> None:
    data = {"treatment": record.heat["treatment"], "recommendation": as_record(made)}
    outbox.put(session, RECOMMENDATION_MADE, record.treatment(), data)
