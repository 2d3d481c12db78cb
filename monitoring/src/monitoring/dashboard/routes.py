"""HTTP for figures and pages: read, render, return."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import polars as pl
from fastapi import APIRouter, Query, Request, Response

from monitoring.dashboard.alarms import store_of, view_of
from monitoring.dashboard.bus_position import BusPosition, Position
from monitoring.dashboard.history import history_plot
from monitoring.dashboard.metrics import metrics
from monitoring.dashboard.plot import error_plot
from monitoring.dashboard.reading import LakeReader, Reading
from monitoring.dashboard.rendering import BOX, templates
from monitoring.dashboard.state import state_of
from monitoring.measures.against_shadow import sentence
from monitoring.measures.summary import Summary
from monitoring.measures.treatments import TREATMENT

NEWEST_TREATMENTS = 12
DRIFT_ROWS = 12

router = APIRouter()


class SummaryAnswer(Summary):
    """Everything collected so far, in figures. Rates are shares from 0 to 1; null is not known."""

    rows: int
    lake_version: int | None
    quarantined: int
    position: Position


@router.get("/api/v1/summary", tags=["figures"])
async def summary(request: Request) -> SummaryAnswer:
    return _answer(*await _now(request))


@router.get("/api/v1/treatments/{plant_id}/{heat_uid}/{station}/{treatment_no}", tags=["figures"])
def treatment(request: Request, plant_id: str, heat_uid: str, station: str, treatment_no: int) -> Response:
    """One treatment as it is in the lake (the revision in force); 404 where it is not there."""
    row = _reader(request).treatment(plant_id, heat_uid, station, treatment_no)
    return Response(msgspec.json.encode(row), media_type="application/json")


@router.get("/api/v1/treatments", tags=["figures"])
def treatments(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    skip: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Treatments of the bus, completed last first; `next` is the `skip` for the rest."""
    known = _reader(request).now().treatments
    page = known.slice(max(0, known.height - skip - limit), max(0, min(limit, known.height - skip))).reverse()
    more = skip + limit if skip + limit < known.height else None
    return Response(
        msgspec.json.encode({"treatments": page.rows(named=True), "next": more, "all": known.height}),
        media_type="application/json",
    )


@router.get("/api/v1/errors", tags=["figures"])
def errors(request: Request, heats: Annotated[int, Query(ge=1, le=5000)] = 500) -> Response:
    """Errors of the predictions for what was weighed, by element, of the newest heats; oldest first."""
    newest = _reader(request).now().parts.newest
    of = newest.treatments.tail(heats).select(*TREATMENT, "completed_at")
    found = newest.errors.join(of, on=TREATMENT, how="semi", maintain_order="left")
    told = found.with_columns(pl.col("completed_at").dt.to_string("%Y-%m-%dT%H:%M:%S%.fZ")).write_json()
    return Response(f'{{"errors":{told}}}', media_type="application/json")  # many rows: Polars writes them


@router.get("/health/live", tags=["health"])
def live() -> dict[str, str]:
    return {"status": "live"}


@router.get("/health/ready", tags=["health"])
def ready(request: Request) -> dict[str, str]:
    """Ready is: the lake can be read, or is not there yet."""
    _reader(request).now()
    return {"status": "ready"}


@router.get("/metrics", tags=["health"])
async def prometheus(request: Request) -> Response:
    figures = metrics(*await _now(request), view_of(request), store_of(request).open_count())
    return Response(figures, media_type="text/plain; version=0.0.4")


@router.get("/", include_in_schema=False)
async def page(request: Request, element: Annotated[str | None, Query(max_length=2)] = None) -> Response:
    reading, position = await _now(request)
    figures = _answer(reading, position)
    shown = element if element in figures.elements else next(iter(figures.elements), None)
    plot = error_plot(reading.newest_errors, shown) if shown else None
    history = history_plot(reading.blocks, shown, reading.versions) if shown else None
    view, alarms = view_of(request), store_of(request).newest()
    is_promotable = view.against is not None and view.against.verdict == "shadow_better"
    newest = reading.treatments.tail(NEWEST_TREATMENTS).reverse().rows(named=True)
    return templates.TemplateResponse(
        request,
        "index.html",
        {
            "figures": figures,
            "plot": plot,
            "history": history,
            "view": view,
            "against_sentence": sentence(view.against) if view.against else "",
            "alarms": alarms,
            "state": state_of(view, alarms),
            "drift": view.drift[:DRIFT_ROWS],
            "newest": newest,
            "price_per_miss": request.app.state.settings.price_per_miss_per_t,
            "aside": reading.newest_quarantined,
            "imports_aside": reading.quarantined_imports,
            "plant_id": request.app.state.settings.plant_id,
            "box": BOX,
            "now": datetime.now(UTC),
            # a page that is filled in is not taken away from under somebody's hands
            "has_form": any(alarm.acknowledged_at is None for alarm in alarms) or is_promotable,
        },
    )


async def _now(request: Request) -> tuple[Reading, Position]:
    reading = await asyncio.to_thread(_reader(request).now)
    bus: BusPosition = request.app.state.bus_position
    return reading, await bus.of(reading)


def _reader(request: Request) -> LakeReader:
    reader: LakeReader = request.app.state.reader
    return reader


def _answer(reading: Reading, position: Position) -> SummaryAnswer:
    return SummaryAnswer(
        **reading.summary.model_dump(),
        rows=reading.rows,
        lake_version=reading.lake_version,
        quarantined=reading.quarantined,
        position=position,
    )
