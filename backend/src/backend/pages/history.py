"""History: heats searched and filtered, newest first, and taken away as CSV or Parquet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from io import BytesIO
from typing import Annotated, Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from sqlalchemy import literal, tuple_
from sqlmodel import Session, col, select

from backend.clock import instant_text
from backend.database import UtcDateTime
from backend.decisions.tables import Decision
from backend.dependencies import ReadingDep, SettingsDep
from backend.errors import Detail, InvalidError, UnknownError
from backend.heats.schemas import State
from backend.heats.tables import COMPLETED, HeatRecord
from backend.master_data.tables import Grade
from backend.pages.export import CSV, PARQUET, frame
from backend.pages.heats_now import UNREAD, Made, recommendations_of, results_of
from backend.pages.rendering import heat_page, page
from backend.pages.view import judged_by
from backend.recommendations.tables import HANDBOOK
from backend.shapes import MOST_INTEGER

router = APIRouter()

HEATS_ON_A_PAGE = 50
MOST_EXPORTED = 10_000
AT_ONCE = 500
# Of the heats whose number begins so, the highest numbers are looked at.
MOST_NAMED = 2_000
STATES = get_args(State)
STATIONS = ("tapping", "ladle_furnace")
Word = Annotated[str, Query(max_length=64)]


@dataclass(frozen=True)
class Search:
    """What a person looks for; what is empty is no condition. `text` is the front of a heat number."""

    text: str = ""
    grade: str = ""
    station: str = ""
    state: str = ""
    since: date | None = None
    until: date | None = None

    def query(self) -> dict[str, str]:
        return {name: str(value) for name, value in vars(self).items() if value}


@dataclass(frozen=True)
class Line:
    """A heat in the table, with what was decided and what came out."""

    record: HeatRecord
    href: str
    made: Made | None
    decision: Decision | None
    chemistry: dict[str, Any] | None
    outside: Sequence[str]
    unmeasured: Sequence[str]

    @property
    def by_handbook(self) -> bool:
        return self.made is not None and self.made.source == HANDBOOK


def search_of(
    text: Word = "",
    grade: Word = "",
    station: Word = "",
    state: Word = "",
    since: Word = "",
    until: Word = "",
) -> Search:
    return Search(
        text.strip(), grade.strip(), station, state, _day(since, "query.since"), _day(until, "query.until")
    )


SearchDep = Annotated[Search, Depends(search_of)]


@router.get("/history")
def history(
    request: Request,
    session: ReadingDep,
    settings: SettingsDep,
    search: SearchDep,
    before: Annotated[int | None, Query(ge=1, le=MOST_INTEGER)] = None,
) -> Response:
    found = find(session, search, HEATS_ON_A_PAGE + 1, before)
    lines = lines_of(session, found[:HEATS_ON_A_PAGE])
    asked = search.query()
    older = (
        urlencode(asked | {"before": str(found[HEATS_ON_A_PAGE - 1].row())})
        if len(found) > len(lines)
        else None
    )
    context = {
        "lines": lines,
        "search": search,
        "older": older,
        "first_page": before is None,
        "export": urlencode(asked),
        "most": MOST_EXPORTED,
        "most_named": MOST_NAMED,
        "states": STATES,
        "stations": STATIONS,
        "grades": session.exec(
            select(Grade.grade)
            .where(Grade.plant_id == settings.plant_id)
            .distinct()
            .order_by(col(Grade.grade))
        ).all(),
    }
    return page(request, "history.html", context)


@router.get("/history.csv")
def history_as_csv(session: ReadingDep, search: SearchDep) -> Response:
    return _file(frame(_rows(session, search)).write_csv().encode(), "csv", CSV)


@router.get("/history.parquet")
def history_as_parquet(session: ReadingDep, search: SearchDep) -> Response:
    kept = BytesIO()
    frame(_rows(session, search)).write_parquet(kept)
    return _file(kept.getvalue(), "parquet", PARQUET)


def find(session: Session, search: Search, limit: int, before: int | None) -> Sequence[HeatRecord]:
    """As they were registered, newest first; `before` is the row of the last one seen.

    One condition leads, by an index that gives few rows or gives them in order; the others only filter, so
    that a page is as quick with a million heats as with a hundred, whatever a database knows of its rows.
    """
    order = (col(HeatRecord.registered_at), col(HeatRecord.id))
    query = select(HeatRecord).options(*UNREAD).order_by(*(column.desc() for column in order)).limit(limit)
    if search.text:
        # A range, not LIKE: it uses the index on every database, and %, _ are characters as others are.
        named = (HeatRecord.heat_no >= search.text, HeatRecord.heat_no < search.text + "\U0010ffff")
        newest = (
            select(HeatRecord.id).where(*named).order_by(col(HeatRecord.heat_no).desc()).limit(MOST_NAMED)
        )
        query = query.where(col(HeatRecord.id).in_(newest))
    lead = _lead(search)
    for name in ("state", "grade", "station"):
        if wanted := getattr(search, name):
            column = col(getattr(HeatRecord, name))
            query = query.where((column if name == lead else column.concat("")) == wanted)
    if search.since:
        query = query.where(HeatRecord.registered_at >= _midnight(search.since))
    if search.until:
        query = query.where(HeatRecord.registered_at < _midnight(search.until + timedelta(days=1)))
    if before is not None:
        last = session.get(HeatRecord, before)
        if last is None:
            raise UnknownError(
                where="query.before", what=f"there is no heat {before}", allowed="`before` of a link"
            )
        query = query.where(
            tuple_(*order) < tuple_(literal(last.registered_at, UtcDateTime), literal(before))
        )
    return session.exec(query).all()


def _lead(search: Search) -> str:
    """The condition whose index is used; nearly all heats are completed, so that one never leads."""
    if search.text:
        return "text"
    if search.state and search.state != COMPLETED:
        return "state"
    return "grade" if search.grade else "station"


def lines_of(session: Session, records: Sequence[HeatRecord]) -> list[Line]:
    made, results = recommendations_of(session, records), results_of(session, records)
    wanted = [record.decision_id for record in records if record.decision_id is not None]
    decisions = {
        decision.decision_id: decision
        for decision in session.exec(select(Decision).where(col(Decision.decision_id).in_(wanted)))
    }
    lines = []
    for record in records:
        chemistry = results.get(record.row())
        windows = record.heat.get("windows") or {}
        outside, unmeasured = judged_by(windows, chemistry) if chemistry and windows else ((), ())
        lines.append(
            Line(
                record,
                heat_page(record.treatment()),
                made.get(record.recommendation_id or ""),
                decisions.get(record.decision_id or ""),
                chemistry if windows else None,
                outside,
                unmeasured,
            )
        )
    return lines


def _rows(session: Session, search: Search) -> list[dict[str, Any]]:
    """The newest heats that fit, flat: one row a treatment, chemistry in a column an element."""
    rows: list[dict[str, Any]] = []
    before = None
    while len(rows) < MOST_EXPORTED:
        found = find(session, search, min(AT_ONCE, MOST_EXPORTED - len(rows)), before)
        rows += [_row(line) for line in lines_of(session, found)]
        if len(found) < AT_ONCE:
            break
        before = found[-1].row()
        session.expunge_all()
    return rows


def _row(line: Line) -> dict[str, Any]:
    record, made, decision = line.record, line.made, line.decision
    cost = (made.cost or {}) if made else {}
    row = {
        "plant_id": record.plant_id,
        "heat_uid": record.heat_uid,
        "station": record.station,
        "treatment_no": record.treatment_no,
        "heat_no": record.heat_no,
        "grade": record.grade,
        "state": record.state,
        "registered_at": instant_text(record.registered_at),
        "completed_at": None if record.completed_at is None else instant_text(record.completed_at),
        "steel_mass_t": float(record.heat["steel_mass_t"]),
        "temperature_c": record.heat.get("temperature_c"),
        "oxygen_ppm": record.heat.get("oxygen_ppm"),
        "recommended_by": None if made is None else made.source,
        "model_version": None if made is None else made.model_version,
        "recommended": None if made is None else _kilograms(made.additions),
        "cost": cost.get("amount"),
        "currency": cost.get("currency"),
        "decided": None if decision is None else _kilograms(decision.additions),
        "decided_by": None if decision is None else decision.decided_by,
        "decided_at": None if decision is None else instant_text(decision.decided_at),
        "reason_code": None if decision is None else decision.reason_code,
        "reasons": None if decision is None else _reasons(decision.reasons),
        "in_window": None if not line.chemistry or line.unmeasured else not line.outside,
    }
    for when, chemistry in (("first", record.heat["chemistry"]), ("final", line.chemistry or {})):
        for element, pct in chemistry.items():
            row[f"{when}_{element}_pct"] = pct["below"] if isinstance(pct, dict) else pct
            if isinstance(pct, dict):
                row[f"{when}_{element}_below"] = True
    return row


def _kilograms(additions: Sequence[dict[str, Any]]) -> str:
    return "; ".join(f"{addition['additive']} {addition['added_kg']:g} kg" for addition in additions)


def _reasons(reasons: dict[str, str] | None) -> str | None:
    return "; ".join(f"{additive} {code}" for additive, code in reasons.items()) if reasons else None


def _file(content: bytes, ending: str, media_type: str) -> Response:
    name = f"heats-{datetime.now(UTC):%Y%m%d-%H%M%S}.{ending}"
    return Response(
        content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _day(given: str, where: str) -> date | None:
    if not given:
        return None
    try:
        day = date.fromisoformat(given)
    except ValueError:
        day = date.min
    if not date(1900, 1, 1) <= day <= date(9000, 1, 1):
        raise InvalidError(
            [Detail(where=where, what=f"{given!r} is no day", allowed="a day as 2026-03-02, or nothing")]
        )
    return day
