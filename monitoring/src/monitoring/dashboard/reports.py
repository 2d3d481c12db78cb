"""One file with everything in it, to mail: a week, or the heats of a model."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import polars as pl
from fastapi import APIRouter, Request, Response
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool

from monitoring.alarms.store import Alarm
from monitoring.alarms.watch import View
from monitoring.dashboard.alarms import store_of
from monitoring.dashboard.history import blocks_of, history_plot, versions_of
from monitoring.dashboard.reading import LakeReader
from monitoring.dashboard.rendering import BOX, templates
from monitoring.errors import NothingToReportError
from monitoring.measures.override_outcomes import override_outcomes
from monitoring.measures.regret import regrets
from monitoring.measures.savings import savings, teaching
from monitoring.measures.summary import Assessed, summarise

PLOTTED = 6  # elements, those with the largest error

router = APIRouter(prefix="/reports", include_in_schema=False)


@router.get("/week")
async def week(request: Request) -> Response:
    """The seven days up to the newest heat."""
    reader: LakeReader = request.app.state.reader
    newest = (await run_in_threadpool(reader.now)).summary.last_completed_at or datetime.now(UTC)
    since = newest - timedelta(days=7)
    return await _report(
        request, f"Week to {newest:%Y-%m-%d}", pl.col("completed_at") > since, f"{newest:%Y-%m-%d}"
    )


@router.get("/model/{bundle_hash}")
async def model(request: Request, bundle_hash: Annotated[str, InPath(pattern="^[0-9a-f]{64}$")]) -> Response:
    """The heats that a bundle predicted."""
    return await _report(
        request, f"Model {bundle_hash[:8]}", pl.col("weighed_bundle_hash") == bundle_hash, bundle_hash[:8]
    )


async def _report(request: Request, title: str, which: pl.Expr, name: str) -> Response:
    reader: LakeReader = request.app.state.reader
    settings = request.app.state.settings
    html = await run_in_threadpool(
        report, reader, which, title, store_of(request).newest(), settings.price_per_miss_per_t
    )
    headers = {"Content-Disposition": f'attachment; filename="monitoring-{name}.html"'}
    return Response(html, media_type="text/html", headers=headers)


def report(
    reader: LakeReader, which: pl.Expr, title: str, alarms: list[Alarm], price_per_miss_per_t: float
) -> str:
    """Return the page about the treatments for which `which` holds. Raises NothingToReportError."""
    assessed = reader.now().assessed
    chosen = Assessed(assessed.treatments.filter(which), assessed.errors.filter(which))
    if chosen.treatments.is_empty():
        raise NothingToReportError(
            "has no heats", where=title, allowed="a week or a model with completed heats"
        )
    rows = reader.rows().filter(which)
    times = chosen.treatments["completed_at"]
    view = View(
        savings=tuple(savings(rows, price_per_miss_per_t)),
        regrets=tuple(regrets(rows, price_per_miss_per_t)),
        teaching=tuple(teaching(rows)),
        overridden=tuple(override_outcomes(rows)),
    )
    figures, blocks = summarise(chosen), blocks_of(chosen.errors)
    versions = versions_of(assessed.treatments)
    worst_first = sorted(figures.elements, key=lambda element: -figures.elements[element].mae_pct)
    plots = [history_plot(blocks, element, versions) for element in worst_first]
    style = (Path(__file__).parent / "static" / "style.css").read_text(encoding="utf-8")
    return templates.get_template("report.html").render(
        title=title,
        style=style,
        since=times[0],
        until=times[-1],
        figures=figures,
        view=view,
        alarms=[alarm for alarm in alarms if times[0] <= alarm.detected_at <= times[-1]],
        histories=[plot for plot in plots if plot][:PLOTTED],
        price_per_miss=price_per_miss_per_t,
        box=BOX,
    )
