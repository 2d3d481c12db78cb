"""HTTP for decisions."""

import logging
from http import HTTPStatus

from fastapi import APIRouter, Response

from backend.access.gate import WhoDep, needs
from backend.access.people import Person
from backend.access.rules import DECIDE
from backend.database import write
from backend.decisions import service
from backend.decisions.schemas import DecisionPut, DecisionRead
from backend.dependencies import TREATMENT_PATH, EngineDep, TreatmentDep, as_kept
from backend.heats import service as heats

log = logging.getLogger(__name__)

router = APIRouter(tags=["decisions"], dependencies=[needs(DECIDE)])


@router.put(
    TREATMENT_PATH + "/decision",
    response_model=DecisionRead,
    status_code=HTTPStatus.CREATED,
    responses={200: {"model": DecisionRead}},
)
def decide(put: DecisionPut, treatment: TreatmentDep, engine: EngineDep, who: WhoDep) -> Response:
    """Y'.

    The same decision again is 200; a reason is needed where it differs from the recommendation it
    names.
    """
    person = who.name if isinstance(who, Person) else None
    decision, new = write(
        engine, lambda session: service.decide(session, heats.find(session, treatment), put, person)
    )
    told = {"treatment": treatment.model_dump(), "decision_id": decision.decision_id, "new": new}
    log.info("decided by %s", decision.decided_by, extra={"told": told})
    return as_kept(decision.record(), HTTPStatus.CREATED if new else HTTPStatus.OK)
