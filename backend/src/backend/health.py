"""Health for the platform and metrics for Prometheus."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from sqlalchemy import func
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from backend.database import reading
from backend.dependencies import EngineDep, ReadingDep
from backend.heats.tables import HeatRecord
from backend.intake.tables import ParkedEvent
from backend.metrics import REGISTRY
from backend.outbox import service as outbox
from backend.tasks.tables import Task

OUTBOX_WAITING = Gauge("backend_outbox_waiting", "Events that wait to be published", registry=REGISTRY)
TASKS_DUE = Gauge("backend_tasks_due", "Recommendations and predictions that are due", registry=REGISTRY)
EVENTS_PARKED = Gauge("backend_events_parked", "Events that wait for their heat", registry=REGISTRY)

router = APIRouter(tags=["health"])


@router.get("/health/live")
def live() -> dict[str, str]:
    return {"status": "live"}


@router.get(
    "/health/ready",
    responses={
        503: {"description": "The database cannot be reached or is not migrated", "model": dict[str, str]}
    },
)
def ready(engine: EngineDep) -> JSONResponse:
    try:
        with reading(engine) as session:
            session.exec(select(HeatRecord.id).limit(1)).first()
    except DBAPIError as failed:
        return JSONResponse(
            {"status": "not ready", "database": str(failed.orig)}, HTTPStatus.SERVICE_UNAVAILABLE
        )
    return JSONResponse({"status": "ready"})


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(session: ReadingDep) -> Response:
    OUTBOX_WAITING.set(outbox.count_waiting(session))
    TASKS_DUE.set(session.exec(select(func.count()).select_from(Task)).one())
    EVENTS_PARKED.set(session.exec(select(func.count()).select_from(ParkedEvent)).one())
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
