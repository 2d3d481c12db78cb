"""Ask the model what it predicts for the kilograms that were weighed, and keep the answer."""

import logging
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Engine
from sqlmodel import Session

from backend.additions.service import in_force, kilograms, offers_of
from backend.clock import now
from backend.completions import service as completions
from backend.database import reading, run, write
from backend.errors import BackendError, validate
from backend.heats import rows
from backend.model_answers import Prediction as ModelPrediction
from backend.model_client import ModelClient, ModelUnavailableError
from backend.predictions.tables import Prediction
from backend.prepared import inserting
from backend.tasks import service as tasks
from backend.tasks.tables import PREDICTION

log = logging.getLogger(__name__)

_KEEP = inserting(
    Prediction,
    lambda new: new.on_conflict_do_update(
        index_elements=["heat_id"],
        set_={name: new.excluded[name] for name in ("weighed_no", "asked_at", "body")},
    ),
)


class Asked(NamedTuple):
    """A prediction request; None where nothing was weighed, or an additive that nobody knows."""

    heat_id: int
    version: int
    weighed_no: int
    treatment: dict[str, Any]
    request: bytes | None


def predict_weighed(engine: Engine, model: ModelClient, heat_id: int) -> None:
    """Do the heat's prediction task. A model that gives no answer leaves null, and holds up no completion."""
    with reading(engine) as session:
        asked = _gather(session, heat_id)
    if asked is None:
        return
    body = _answer(asked, model)
    write(engine, lambda session: _store(session, asked, body))
    found = "predicted" if body is not None else "not predicted"
    log.info("%s for what was weighed", found, extra={"told": {"treatment": asked.treatment}})


def _gather(session: Session, heat_id: int) -> Asked | None:
    version = tasks.version(session, heat_id, PREDICTION)
    if version is None:
        return None
    record = rows.get(session, heat_id)
    additions = kilograms(in_force(session, heat_id))
    offers, _ = completions.could_be_added(
        session, record, completions.recommendation_in_force(session, record)
    )
    added = offers_of(session, record.plant_id, record.registered_at, additions, offers)
    request = None
    if additions and added is not None:
        request = orjson.dumps(
            {
                "heat": record.heat,
                "additives": added,
                "additions": additions,
                "recent_heats": completions.recent_heats(session, record),
            }
        )
    return Asked(heat_id, version, record.weighed_no, record.heat["treatment"], request)


def _answer(asked: Asked, model: ModelClient) -> dict[str, Any] | None:
    if asked.request is None:
        log.warning(
            "nothing to predict for %s: an additive that was weighed is not in the master data",
            asked.treatment,
        )
        return None
    try:
        document: dict[str, Any] = model.predict(asked.request)
        validate(ModelPrediction, document)
    except (ModelUnavailableError, BackendError) as failed:
        log.warning("no prediction for what was weighed into %s: %s", asked.treatment, failed)
        return None
    return document


def _store(session: Session, asked: Asked, body: dict[str, Any] | None) -> None:
    record = rows.get(session, asked.heat_id, lock=True)
    if tasks.version(session, asked.heat_id, PREDICTION) != asked.version:
        return
    tasks.drop(session, asked.heat_id, PREDICTION)
    new = {"heat_id": asked.heat_id, "weighed_no": asked.weighed_no, "asked_at": now(), "body": body}
    run(session, _KEEP, new)
    completions.refresh(session, record, prediction_asked=True)
