"""HTTP for decisions."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from backend.access.gate import WhoDep, needs
from backend.access.people import Person
from backend.access.rules import DECIDE
from backend.database import writing
from backend.decisions import service
from backend.decisions.schemas import DecisionPut, DecisionRead
from backend.dependencies import TREATMENT_PATH, EngineDep, TreatmentDep
from backend.heats import service as heats

router = APIRouter(tags=["decisions"], dependencies=[needs(DECIDE)])


@router.put(
    TREATMENT_PATH + "/decision", status_code=HTTPStatus.CREATED, responses={200: {"model": DecisionRead}}
)
def decide(
    put: DecisionPut, treatment: TreatmentDep, engine: EngineDep, who: WhoDep, response: Response
) -> DecisionRead:
    """Y'.

    The same decision again is 200; a reason is needed where it differs from the recommendation it
    names.
    """
    with writing(engine) as session:
        decision, new = service.decide(
            session, heats.find(session, treatment), put, who.name if isinstance(who, Person) else None
        )
    if not new:
        response.status_code = HTTPStatus.OK
    return DecisionRead.model_validate(decision.record())
