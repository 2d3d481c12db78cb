"""Pages: the list of heats, and one heat with its recommendation, to be edited and confirmed."""

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, get_args
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.templating import Jinja2Templates

from backend.clock import new_id
from backend.database import reading, writing
from backend.decisions import service as decisions
from backend.decisions.schemas import DecisionPut
from backend.dependencies import EngineDep, ReadingDep, TreatmentDep
from backend.errors import BackendError, Detail, InvalidError, validate
from backend.heats import service as heats
from backend.heats.reading import whole
from backend.heats.schemas import State
from backend.heats.tables import HeatRecord
from backend.pages.view import HeatView, heat_view, percent_text
from backend.recommendations import service as recommendations
from backend.recommendations.tables import Recommendation
from backend.shapes import ReasonCode, Treatment

router = APIRouter()
templates = Jinja2Templates(directory=Path(__file__).parent / "templates")

HEATS_ON_A_PAGE = 50
REASONS = {reason: reason.replace("_", " ") for reason in get_args(ReasonCode)}
STATES = {
    "registered": ("…", "waits for a recommendation"),
    "recommended": ("▶", "waits for you"),
    "decided": ("◔", "waits for the result"),
    "completed": ("✓", "completed"),
    "cancelled": ("×", "cancelled"),
}


def heat_page(treatment: Treatment) -> str:
    plant_id = quote(treatment.plant_id, safe="")
    return f"/heats/{plant_id}/{treatment.heat_uid}/{treatment.station}/{treatment.treatment_no}"


def estimates_json(view: HeatView) -> dict[str, Any]:
    """What the page needs to predict an edit: value, interval and slopes of each element."""
    return {
        row.element: {
            "predicted": row.estimate.predicted_pct,
            "low": row.estimate.low_pct,
            "high": row.estimate.high_pct,
            "slope": dict(row.estimate.slope_pct_per_kg),
        }
        for row in view.elements
        if row.estimate is not None
    }


templates.env.globals.update(
    STATES=STATES, REASONS=REASONS, heat_page=heat_page, percent=percent_text, estimates_json=estimates_json
)
templates.env.filters["kg"] = lambda kg: f"{kg:,.1f}".removesuffix(".0").replace(",", "\u2009")
templates.env.filters["money"] = lambda amount: f"{amount:,.2f}".replace(",", "\u2009")


async def form_of(request: Request) -> FormData:
    return await request.form()


@router.get("/")
def list_page(
    request: Request,
    session: ReadingDep,
    state: Annotated[State | None, Query()] = None,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> Response:
    found = heats.newest(session, state=state, limit=HEATS_ON_A_PAGE + 1, before=before)
    records = found[:HEATS_ON_A_PAGE]
    context = {
        "records": records,
        "made": _recommendations(session, records),
        "state": state,
        "first_page": before is None,
        "before": records[-1].id if len(found) > HEATS_ON_A_PAGE else None,
    }
    return templates.TemplateResponse(request, "list.html", context)


@router.get("/heats/{plant_id}/{heat_uid}/{station}/{treatment_no}")
def show_heat(
    request: Request, treatment: TreatmentDep, engine: EngineDep, change: Annotated[bool, Query()] = False
) -> Response:
    """The page; that the recommendation was shown, and when, is kept."""
    with reading(engine) as session:
        known = whole(session, heats.find(session, treatment))
    if known.recommendation is not None and known.shown_at is None:
        with writing(engine) as session:
            recommendations.show(
                session, heats.find(session, treatment), known.recommendation["recommendation_id"]
            )
    return _page(request, engine, treatment, change=change)


@router.post("/heats/{plant_id}/{heat_uid}/{station}/{treatment_no}")
def confirm(
    request: Request, treatment: TreatmentDep, engine: EngineDep, form: Annotated[FormData, Depends(form_of)]
) -> Response:
    """The steelmaker's decision; what is wrong is said on the page, with what he typed still there."""
    try:
        put = validate(DecisionPut, _decision(form))
        with writing(engine) as session:
            decisions.decide(session, heats.find(session, treatment), put)
    except BackendError as refused:
        return _page(request, engine, treatment, form, refused.errors, refused.status)
    return RedirectResponse(heat_page(treatment), HTTPStatus.SEE_OTHER)


def error_page(request: Request, title: str, details: Sequence[Detail], status: int) -> Response:
    """For a person what problem details are for a program."""
    context = {"title": title, "problems": details}
    return templates.TemplateResponse(request, "error.html", context, status_code=status)


def _page(
    request: Request,
    engine: EngineDep,
    treatment: Treatment,
    form: FormData | None = None,
    problems: Sequence[Detail] = (),
    status: int = HTTPStatus.OK,
    change: bool = False,
) -> Response:
    with reading(engine) as session:
        known = whole(session, heats.find(session, treatment))
    typed = {} if form is None else dict(zip(form.getlist("additive"), form.getlist("kg"), strict=False))
    context = {
        "known": known,
        "view": heat_view(known),
        "decision_id": new_id(),
        "form": form or {},
        "typed": typed,
        "problems": problems,
        "editable": bool(known.additives)
        and (
            known.state in ("registered", "recommended")
            or (known.state == "decided" and (change or bool(problems)))
        ),
    }
    return templates.TemplateResponse(request, "heat.html", context, status_code=status)


def _decision(form: FormData) -> dict[str, Any]:
    """The form in the shape of a decision; an empty field is no addition."""
    additions = []
    for additive, lot, kg in zip(
        form.getlist("additive"), form.getlist("lot"), form.getlist("kg"), strict=True
    ):
        added_kg = _number(str(kg), str(additive))
        if added_kg:
            additions.append({"additive": additive, "lot": lot or None, "added_kg": added_kg})
    return {
        "decision_id": form.get("decision_id"),
        "decided_by": form.get("decided_by"),
        "recommendation_id": form.get("recommendation_id") or None,
        "additions": additions,
        "reason_code": form.get("reason_code") or None,
        "note": form.get("note") or None,
    }


def _number(text: str, additive: str) -> float:
    try:
        return float(text.replace(" ", "").replace(",", ".") or 0)
    except ValueError:
        raise InvalidError(
            [Detail(where=additive, what=f"{text!r} is no number", allowed="kilograms, 0 or more")]
        ) from None


def _recommendations(session: Session, records: Sequence[HeatRecord]) -> dict[str, Recommendation]:
    wanted = [record.recommendation_id for record in records if record.recommendation_id is not None]
    query = select(Recommendation).where(col(Recommendation.recommendation_id).in_(wanted))
    return {made.recommendation_id: made for made in session.exec(query)}
