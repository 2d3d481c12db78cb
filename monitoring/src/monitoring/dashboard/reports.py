"""One file with everything in it, to mail: a week, or the heats of a model.

A report over a large lake takes a moment, so it is kept: who asks gets the one that is there, and where heats
have come since it is built anew meanwhile.
"""

from datetime import timedelta
from pathlib import Path
from threading import Lock, Thread
from typing import Annotated, NamedTuple

import polars as pl
from fastapi import APIRouter, Request, Response
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool

from monitoring.alarms.store import AlarmStore
from monitoring.alarms.watch import NEWEST_TREATMENTS, View
from monitoring.dashboard.history import blocks_of, history_plot, model_name
from monitoring.dashboard.reading import WAITED_FOR_ROWS, LakeReader, Reading
from monitoring.dashboard.rendering import BOX, templates
from monitoring.errors import NothingToReportError
from monitoring.measures.cells import cells_of
from monitoring.measures.override_outcomes import override_outcomes
from monitoring.measures.regret import regrets
from monitoring.measures.savings import savings, teaching
from monitoring.measures.summary import Summary, assess, figures, summarise

PLOTTED = 6  # elements, those with the largest error

router = APIRouter(prefix="/reports", include_in_schema=False)


class Report(NamedTuple):
    name: str
    html: str


class About(NamedTuple):
    """The treatments that a report is about, those for which `which` holds: when they were completed, oldest
    first, their figures, and blocks of their errors.
    """

    title: str
    which: pl.Expr
    times: pl.Series
    figures: Summary
    blocks: pl.DataFrame


class _Kept(NamedTuple):
    of: object
    report: Report


class Reports:
    """May be asked from several threads."""

    def __init__(self, reader: LakeReader, store: AlarmStore, price_per_miss_per_t: float) -> None:
        self._reader, self._store, self._price = reader, store, price_per_miss_per_t
        self._kept: dict[str | None, _Kept] = {}
        self._building = Lock()

    def of(self, bundle_hash: str | None) -> Report:
        """Return the report of a model, or that of the newest week. Raises NothingToReportError."""
        reading = self._reader.now()
        kept = self._kept.get(bundle_hash)
        if kept is None or reading.rows < WAITED_FOR_ROWS:
            with self._building:
                return self._build(bundle_hash)
        if kept.of != _identity(reading) and self._building.acquire(blocking=False):
            Thread(target=self._build_and_release, args=[bundle_hash], daemon=True).start()
        return kept.report

    def _build_and_release(self, bundle_hash: str | None) -> None:
        try:
            self._build(bundle_hash)
        finally:
            self._building.release()

    def _build(self, bundle_hash: str | None) -> Report:
        reading = self._reader.now()
        about = (
            _of_a_week(self._reader, reading) if bundle_hash is None else _of_a_model(reading, bundle_hash)
        )
        name = bundle_hash[:8] if bundle_hash else f"{about.times[-1]:%Y-%m-%d}"
        html = render(self._reader, about, reading.versions, self._store, self._price)
        self._kept[bundle_hash] = _Kept(_identity(reading), Report(name, html))
        return self._kept[bundle_hash].report


@router.get("/week")
async def week(request: Request) -> Response:
    """The seven days up to the newest heat."""
    return await _answer(request, None)


@router.get("/model/{bundle_hash}")
async def model(request: Request, bundle_hash: Annotated[str, InPath(pattern="^[0-9a-f]{64}$")]) -> Response:
    """The heats that a bundle predicted."""
    return await _answer(request, bundle_hash)


async def _answer(request: Request, bundle_hash: str | None) -> Response:
    reports: Reports = request.app.state.reports
    report = await run_in_threadpool(reports.of, bundle_hash)
    headers = {"Content-Disposition": f'attachment; filename="monitoring-{report.name}.html"'}
    return Response(report.html, media_type="text/html", headers=headers)


def _of_a_week(reader: LakeReader, reading: Reading) -> About:
    """Raises NothingToReportError."""
    newest = reading.summary.last_completed_at
    if newest is None:
        raise NothingToReportError("has no heats", where="the newest week", allowed="a completed heat")
    which = pl.col("completed_at") > newest - timedelta(days=7)
    week = assess(reader.rows().filter(which))
    return About(
        f"Week to {newest:%Y-%m-%d}",
        which,
        week.treatments["completed_at"],
        summarise(week),
        blocks_of(cells_of(week.errors)),
    )


def _of_a_model(reading: Reading, bundle_hash: str) -> About:
    """Raises NothingToReportError."""
    which = pl.col("weighed_bundle_hash") == bundle_hash
    times = reading.treatments.filter(which)["completed_at"]
    if times.is_empty():
        raise NothingToReportError(
            "has no heats", where=f"model {bundle_hash[:8]}", allowed="a model with completed heats"
        )
    cells = reading.cells.filter(which)
    return About(
        model_name(bundle_hash, reading.versions).capitalize(),
        which,
        times,
        figures(reading.counts.filter(which), cells),
        blocks_of(cells),
    )


def render(
    reader: LakeReader,
    about: About,
    versions: dict[str, str],
    store: AlarmStore,
    price_per_miss_per_t: float,
) -> str:
    """Return the page; money and people of the newest `NEWEST_TREATMENTS`."""
    times = about.times
    looked_at = times.tail(NEWEST_TREATMENTS)
    rows = reader.rows().filter(about.which & (pl.col("completed_at") >= looked_at[0])).collect().lazy()
    view = View(
        savings=tuple(savings(rows, price_per_miss_per_t)),
        regrets=tuple(regrets(rows, price_per_miss_per_t)),
        teaching=tuple(teaching(rows)),
        overridden=tuple(override_outcomes(rows)),
    )
    elements = about.figures.elements
    worst_first = sorted(elements, key=lambda element: -elements[element].mae_pct)
    plots = [history_plot(about.blocks, element, versions) for element in worst_first]
    style = (Path(__file__).parent / "static" / "style.css").read_text(encoding="utf-8")
    return templates.get_template("report.html").render(
        title=about.title,
        style=style,
        since=times[0],
        until=times[-1],
        money_since=looked_at[0] if looked_at.len() < times.len() else None,
        figures=about.figures,
        view=view,
        alarms=[alarm for alarm in store.newest() if times[0] <= alarm.detected_at <= times[-1]],
        histories=[plot for plot in plots if plot][:PLOTTED],
        price_per_miss=price_per_miss_per_t,
        box=BOX,
    )


def _identity(reading: Reading) -> object:
    return reading.heats and reading.heats.metadata().id, reading.lake_version
