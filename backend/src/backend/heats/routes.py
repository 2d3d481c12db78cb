"""HTTP for treatments: list them, read one."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from backend.access.gate import needs
from backend.access.rules import READ
from backend.database import reading
from backend.dependencies import TREATMENT_PATH, EngineDep, ReadingDep, TreatmentDep
from backend.heats import service
from backend.heats.reading import whole
from backend.heats.schemas import State, TreatmentList, TreatmentRead, summary
from backend.shapes import MOST_INTEGER

router = APIRouter(tags=["treatments"], dependencies=[needs(READ)])


@router.get("/treatments")
def list_treatments(
    session: ReadingDep,
    state: Annotated[State | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[
        int | None, Query(ge=1, le=MOST_INTEGER, description="`next` of the page before")
    ] = None,
) -> TreatmentList:
    records = service.newest(session, state=state, limit=limit + 1, before=before)
    page = records[:limit]
    more = len(records) > limit
    return TreatmentList(treatments=[summary(record) for record in page], next=page[-1].id if more else None)


@router.get(TREATMENT_PATH, response_model=TreatmentRead)
def read_treatment(treatment: TreatmentDep, engine: EngineDep) -> Response:
    """All that is known of a treatment."""
    with reading(engine) as session:
        known = whole(session, service.find(session, treatment))
    # Written once: the framework would check and copy all of it again.
    return Response(known.model_dump_json(), media_type="application/json")
