"""The first page: what is at which station now, and what waits for whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from backend.clock import instant_text
from backend.dependencies import ReadingDep
from backend.heats.tables import COMPLETED, DECIDED, RECOMMENDED, REGISTERED, HeatRecord
from backend.pages.rendering import heat_page, page
from backend.pages.view import final_chemistry, judged_by
from backend.recommendations.tables import HANDBOOK, Recommendation
from backend.samples.tables import SampleRecord

router = APIRouter()

OPEN_STATES = (RECOMMENDED, REGISTERED, DECIDED)  # in the order in which they are looked at
# Long, and no list shows them.
UNREAD = (defer(HeatRecord.told), defer(HeatRecord.diversion))  # type: ignore[arg-type]
MOST_OPEN, MOST_FINISHED, FINISHED_PER_STATION = 60, 40, 4


@dataclass(frozen=True)
class Card:
    """A heat as it is seen from a metre away."""

    heat_no: str
    href: str
    grade: str
    treatment_no: int
    state: str
    since: str
    steel_mass_t: float
    by_handbook: bool
    cost: dict[str, Any] | None
    outside: Sequence[str]
    unmeasured: Sequence[str]


@dataclass(frozen=True)
class Station:
    name: str
    open: Sequence[Card]
    finished: Sequence[Card]


class Made(NamedTuple):
    """A recommendation as a list shows it."""

    recommendation_id: str
    source: str
    model_version: str | None
    additions: list[dict[str, Any]]
    cost: dict[str, Any] | None


@router.get("/")
def heats_now(request: Request, session: ReadingDep) -> Response:
    stations = at_stations(session)
    waiting = sum(card.state == RECOMMENDED for station in stations for card in station.open)
    return page(request, "now.html", {"stations": stations, "waiting": waiting})


def at_stations(session: Session) -> list[Station]:
    """Stations with heats lately: what is under way, the longest wait first, and the last results."""
    under_way = [record for state in OPEN_STATES for record in _newest(session, state, MOST_OPEN)[::-1]]
    finished = _newest(session, COMPLETED, MOST_FINISHED)
    made = recommendations_of(session, under_way)
    results = results_of(session, finished)
    names = sorted({record.station for record in [*under_way, *finished]}, key=_along_the_way)
    return [
        Station(
            name,
            [_card(record, made, {}) for record in under_way if record.station == name],
            [_card(record, {}, results) for record in finished if record.station == name][
                :FINISHED_PER_STATION
            ],
        )
        for name in names
    ]


def recommendations_of(session: Session, records: Sequence[HeatRecord]) -> dict[str, Made]:
    """Who recommended what, without the model's whole answer, which is long."""
    wanted = [record.recommendation_id for record in records if record.recommendation_id is not None]
    columns = (getattr(Recommendation, name) for name in Made._fields)
    query = select(*columns).where(col(Recommendation.recommendation_id).in_(wanted))
    return {made.recommendation_id: Made(*made) for made in session.exec(query)}


def results_of(session: Session, records: Sequence[HeatRecord]) -> dict[int, Any]:
    """The final chemistry of each heat that has one, by the heat's row."""
    query = select(SampleRecord).where(col(SampleRecord.heat_id).in_([record.row() for record in records]))
    newest: dict[tuple[int, str], SampleRecord] = {}
    for sample in session.exec(query.order_by(col(SampleRecord.revision))):
        newest[sample.heat_id, sample.sample_id] = sample
    bodies: dict[int, list[dict[str, Any]]] = {}
    for (heat_id, _), sample in newest.items():
        bodies.setdefault(heat_id, []).append(sample.body)
    return {
        heat_id: chemistry for heat_id, of_heat in bodies.items() if (chemistry := final_chemistry(of_heat))
    }


def _newest(session: Session, state: str, limit: int) -> Sequence[HeatRecord]:
    query = select(HeatRecord).where(HeatRecord.state == state).order_by(col(HeatRecord.id).desc())
    return session.exec(query.options(*UNREAD).limit(limit)).all()


def _card(record: HeatRecord, made: dict[str, Made], results: dict[int, Any]) -> Card:
    recommendation = made.get(record.recommendation_id or "")
    chemistry = results.get(record.row())
    outside, unmeasured = judged_by(record.heat.get("windows") or {}, chemistry) if chemistry else ((), ())
    return Card(
        heat_no=record.heat_no,
        href=heat_page(record.treatment()),
        grade=record.grade,
        treatment_no=record.treatment_no,
        state=record.state,
        since=instant_text(record.completed_at or record.available_at),
        steel_mass_t=record.heat["steel_mass_t"],
        by_handbook=recommendation is not None and recommendation.source == HANDBOOK,
        cost=None if recommendation is None else recommendation.cost,
        outside=outside,
        unmeasured=unmeasured,
    )


def _along_the_way(station: str) -> tuple[int, str]:
    """Stations as the steel meets them; what a plant names otherwise follows by the alphabet."""
    way = ("tapping", "ladle_furnace")
    return (way.index(station) if station in way else len(way), station)
