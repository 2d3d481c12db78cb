"""HTTP for recommendations: ask again, and say that one was shown."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Response

from backend.access.gate import needs
from backend.access.rules import DECIDE
from backend.clock import instant_text
from backend.completions.service import recommendation_in_force
from backend.database import reading, write, writing
from backend.dependencies import TREATMENT_PATH, EngineDep, ModelDep, SettingsDep, TreatmentDep, as_kept
from backend.errors import StateError
from backend.heats import service as heats
from backend.recommendations import service
from backend.recommendations.schemas import RecommendationRead, read
from backend.shapes import Code, Uuid

router = APIRouter(
    prefix=TREATMENT_PATH + "/recommendations", tags=["recommendations"], dependencies=[needs(DECIDE)]
)


@router.post("", status_code=HTTPStatus.CREATED, responses={200: {"model": RecommendationRead}})
def ask_again(
    treatment: TreatmentDep,
    engine: EngineDep,
    model: ModelDep,
    settings: SettingsDep,
    response: Response,
    idempotency_key: Annotated[Code | None, Header()] = None,
) -> RecommendationRead:
    """Ask the model anew; no transaction is open while it thinks.

    The same `Idempotency-Key` again is 200 with what was made for it.
    """
    with writing(engine) as session:
        record = heats.find(session, treatment)
        known = service.asked_with(session, record, idempotency_key)
        if known is not None:
            response.status_code = HTTPStatus.OK
            return read(known)
        service.ask_again(session, record)
        heat_id = record.row()
    has_shadow = settings.model_shadow_url is not None
    service.recommend(engine, model, heat_id, has_shadow=has_shadow, key=idempotency_key)
    with reading(engine) as session:
        made = recommendation_in_force(session, heats.find(session, treatment))
    if made is None:
        raise StateError(
            where=treatment.key(), what="the heat changed while it was asked for", allowed="ask again"
        )
    return read(made)


@router.post("/{recommendation_id}/shown", response_model=RecommendationRead)
def show(treatment: TreatmentDep, recommendation_id: Uuid, engine: EngineDep) -> Response:
    """A person saw it: the first time counts, as a recommendation that came too late is no override."""
    made = write(
        engine, lambda session: service.show(session, heats.find(session, treatment), recommendation_id)
    )
    return as_kept(made.record() | {"shown_at": made.shown_at and instant_text(made.shown_at)})
