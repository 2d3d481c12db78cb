"""Complete a treatment when its final sample is there, and again whenever a part of it is corrected."""

from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Text, bindparam, cast, select
from sqlmodel import Session

from backend.additions.service import in_force as weighed_in_force
from backend.additions.service import kilograms, offers_of
from backend.clock import instant_text, now
from backend.completions.tables import Completion
from backend.database import run, table_of
from backend.decisions.tables import Decision
from backend.events import HEAT_COMPLETED
from backend.heats.tables import CANCELLED, COMPLETED, HeatRecord
from backend.master_data import kept
from backend.outbox import service as outbox
from backend.predictions.tables import Prediction
from backend.prepared import Prepared, inserting, loaded
from backend.recommendations.limits import MOST_KG_PER_T
from backend.recommendations.tables import Recommendation
from backend.samples.service import in_force as samples_in_force
from backend.tasks import service as tasks
from backend.tasks.tables import PREDICTION, RECOMMENDATION

MOST_RECENT_HEATS = 30
COMPLETIONS, PREDICTIONS = table_of(Completion), table_of(Prediction)
RECOMMENDATIONS, DECISIONS = table_of(Recommendation), table_of(Decision)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)

_PREDICTED = Prepared(
    select(PREDICTIONS.c.weighed_no, PREDICTIONS.c.body).where(PREDICTIONS.c.heat_id == bindparam("heat_id"))
)
_RECOMMENDATION = Prepared(
    select(RECOMMENDATIONS).where(RECOMMENDATIONS.c.recommendation_id == bindparam("id"))
)
_DECISION = Prepared(select(DECISIONS).where(DECISIONS.c.decision_id == bindparam("id")))
_RECENT = Prepared(
    select(cast(COMPLETIONS.c.recent_heat, Text))
    .where(COMPLETIONS.c.plant_id == bindparam("plant_id"), COMPLETIONS.c.station == bindparam("station"))
    .where(COMPLETIONS.c.heat_id != bindparam("heat_id"), COMPLETIONS.c.recent_heat.is_not(None))
    .where(COMPLETIONS.c.completed_at < bindparam("until"))
    .order_by(COMPLETIONS.c.completed_at.desc())
    .limit(MOST_RECENT_HEATS)
)
_AVAILABLE = Prepared(select(COMPLETIONS.c.available_at).where(COMPLETIONS.c.heat_id == bindparam("heat_id")))
_KEEP = inserting(
    Completion,
    lambda new: new.on_conflict_do_update(
        index_elements=["heat_id"],
        set_={"recent_heat": new.excluded.recent_heat, "available_at": new.excluded.available_at},
    ),
)


def refresh(session: Session, record: HeatRecord, *, prediction_asked: bool = False) -> None:
    """Complete the treatment if its final sample is there and what was weighed has been predicted.

    The prediction is not waited for twice: with `prediction_asked` it is null where the model gave none.
    """
    if record.state == CANCELLED:
        return
    samples = samples_in_force(session, record.row())
    if record.completed_revision is None and not any(sample["is_final"] for sample in samples):
        return
    weighed = weighed_in_force(session, record.row())
    prediction = prediction_of(session, record)
    if weighed and prediction is None and not prediction_asked:
        tasks.ensure(session, record.row(), PREDICTION)
        return
    _complete(session, record, weighed, prediction, samples)


def told(session: Session, record: HeatRecord) -> dict[str, Any] | None:
    """What was told last of a completed heat, as it is kept; None while a correction of it waits for its
    prediction: the bus will have that. Offers of a heat without a recommendation are today's.
    """
    if record.completed_at is None or tasks.version(session, record.row(), PREDICTION) is not None:
        return None
    at = run(session, _AVAILABLE, {"heat_id": record.row()}).scalar() or record.completed_at
    parts = weighed_in_force(session, record.row()), prediction_of(session, record)
    return _data(session, record, at, *parts, samples_in_force(session, record.row()))


def prediction_of(session: Session, record: HeatRecord) -> dict[str, Any] | None:
    """What was predicted for the kilograms that are in force; None where nothing was (yet)."""
    found = run(session, _PREDICTED, {"heat_id": record.row()}).one_or_none()
    return None if found is None or found.weighed_no != record.weighed_no else found.body


def recommendation_in_force(session: Session, record: HeatRecord) -> Recommendation | None:
    if record.recommendation_id is None:
        return None
    found = run(session, _RECOMMENDATION, {"id": record.recommendation_id}).one_or_none()
    return loaded(Recommendation, found)


def decision_in_force(session: Session, record: HeatRecord) -> Decision | None:
    if record.decision_id is None:
        return None
    return loaded(Decision, run(session, _DECISION, {"id": record.decision_id}).one_or_none())


def could_be_added(
    session: Session, record: HeatRecord, recommendation: Recommendation | None
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Offers and handbook entry as of the recommendation in force; without one, as of the heat."""
    if recommendation is not None:
        return recommendation.additives, recommendation.handbook_entry
    offers = kept.offers(session, record.plant_id, record.grade, record.registered_at)
    return offers, kept.handbook_entry(session, record.plant_id, record.station, record.grade)


def recent_heats(session: Session, record: HeatRecord) -> list[orjson.Fragment]:
    """Up to 30 heats of the station, completed before this one, with weighed additions.

    Newest last; as JSON that is passed on as it was kept, because it is long and nobody here reads it.
    """
    of = {
        "plant_id": record.plant_id,
        "station": record.station,
        "heat_id": record.row(),
        "until": record.completed_at or NEVER,
    }
    return [orjson.Fragment(text) for text in run(session, _RECENT, of).scalars()][::-1]


def _complete(
    session: Session,
    record: HeatRecord,
    weighed: list[dict[str, Any]],
    prediction: dict[str, Any] | None,
    samples: list[dict[str, Any]],
) -> None:
    at = now()
    record.completed_revision = (record.completed_revision or 0) + 1
    record.completed_at = record.completed_at or at
    record.state = COMPLETED
    tasks.drop(session, record.row(), RECOMMENDATION, PREDICTION)
    data = _data(session, record, at, weighed, prediction, samples)
    outbox.put(session, HEAT_COMPLETED, record.treatment(), data)
    recent = _recent_heat(session, record, data["x"]["additives"], weighed, prediction, samples)
    _keep(session, record, record.completed_at, at, recent)


def _data(
    session: Session,
    record: HeatRecord,
    at: datetime,
    weighed: list[dict[str, Any]],
    prediction: dict[str, Any] | None,
    samples: list[dict[str, Any]],
) -> dict[str, Any]:
    """What the event of a completed heat tells."""
    recommendation, decision = recommendation_in_force(session, record), decision_in_force(session, record)
    offers, entry = could_be_added(session, record, recommendation)
    return {
        "treatment": record.heat["treatment"],
        "revision": record.completed_revision,
        "heat_no": record.heat_no,
        "completed_at": instant_text(record.completed_at or at),
        "available_at": instant_text(at),
        "x": {"heat": record.heat, "additives": offers, "handbook_entry": entry},
        "y": None if recommendation is None else recommendation.record(),
        "y_prime": {
            "decision": None if decision is None else decision.record(),
            "weighed": weighed,
            "prediction": prediction,
        },
        "x_prime": {"samples": samples},
    }


def _recent_heat(
    session: Session,
    record: HeatRecord,
    offers: list[dict[str, Any]],
    weighed: list[dict[str, Any]],
    prediction: dict[str, Any] | None,
    samples: list[dict[str, Any]],
) -> dict[str, Any] | None:
    """The treatment as the model service hears of it later; None where it teaches nothing of recovery."""
    additions = kilograms(weighed)
    added = offers_of(session, record.plant_id, record.registered_at, additions, offers)
    finals = [sample for sample in samples if sample["is_final"]]
    whole_kg = sum(addition["added_kg"] for addition in additions)
    plausible = whole_kg <= MOST_KG_PER_T * record.heat["steel_mass_t"]
    if not additions or added is None or not finals or not plausible:
        return None
    elements = {} if prediction is None else prediction["elements"]
    return {
        "treatment": record.heat["treatment"],
        "completed_at": instant_text(record.completed_at or now()),
        "heat": record.heat,
        "additives": added,
        "additions": additions,
        "chemistry_after": max(finals, key=lambda sample: str(sample["sampled_at"]))["chemistry"],
        "base_prediction_pct": {element: estimate["base_pct"] for element, estimate in elements.items()}
        or None,
        "bundle_hash": prediction["model"]["bundle_hash"] if prediction is not None and elements else None,
    }


def _keep(
    session: Session, record: HeatRecord, completed_at: datetime, at: datetime, recent: dict[str, Any] | None
) -> None:
    key = {"heat_id": record.row(), "plant_id": record.plant_id, "station": record.station}
    run(session, _KEEP, key | {"completed_at": completed_at, "available_at": at, "recent_heat": recent})
