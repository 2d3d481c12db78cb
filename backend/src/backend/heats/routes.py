"""HTTP for treatments: list them, read one."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.dependencies import TREATMENT_PATH, ReadingDep, TreatmentDep
from backend.heats import service
from backend.heats.reading import whole
from backend.heats.schemas import State, TreatmentList, TreatmentRead, summary

router = APIRouter(tags=["treatments"])


@router.get("/treatments")
def list_treatments(
    session: ReadingDep,
    state: Annotated[State | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`next` of the page before")] = None,
) -> TreatmentList:
    records = service.newest(session, state=state, limit=limit + 1, before=before)
    page = records[:limit]
    more = len(records) > limit
    return TreatmentList(treatments=[summary(record) for record in page], next=page[-1].id if more else None)


@router.get(TREATMENT_PATH)
def read_treatment(treatment: TreatmentDep, session: ReadingDep) -> TreatmentRead:
    return whole(session, service.find(session, treatment))
