"""HTTP for figures and pages: read, render, return."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.templating import Jinja2Templates

from monitoring.dashboard.bus_position import BusPosition, Position
from monitoring.dashboard.metrics import metrics
from monitoring.dashboard.plot import HEIGHT, LEFT, RIGHT, WIDTH, error_plot, signed
from monitoring.dashboard.reading import LakeReader, Reading
from monitoring.measures.summary import Summary

NEWEST_TREATMENTS = 12

router = APIRouter()
templates = Jinja2Templates(Path(__file__).parent / "templates")


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
    return Response(metrics(*await _now(request)), media_type="text/plain; version=0.0.4")


@router.get("/", include_in_schema=False)
async def page(request: Request, element: Annotated[str | None, Query(max_length=2)] = None) -> Response:
    reading, position = await _now(request)
    figures = _answer(reading, position)
    shown = element if element in figures.elements else next(iter(figures.elements), None)
    plot = error_plot(reading.assessed.errors, shown) if shown else None
    newest = reading.assessed.treatments.tail(NEWEST_TREATMENTS).reverse().rows(named=True)
    return templates.TemplateResponse(
        request,
        "index.html",
        {
            "figures": figures,
            "plot": plot,
            "newest": newest,
            "aside": reading.newest_quarantined,
            "plant_id": request.app.state.settings.plant_id,
            "box": {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT},
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


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "–"


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:,}".replace(",", "\u202f")


templates.env.filters.update(percent=_percent, moment=_moment, number=_number, signed=signed)
