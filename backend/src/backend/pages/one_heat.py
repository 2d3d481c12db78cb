"""The page of one heat: what is recommended and why, to be edited and confirmed; later the result too."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from backend.access.gate import needs
from backend.access.rules import DECIDE
from backend.clock import new_id
from backend.database import reading, writing
from backend.decisions import service as decisions
from backend.decisions.schemas import DecisionPut
from backend.dependencies import EngineDep, TreatmentDep
from backend.errors import BackendError, ConflictError, Detail, InvalidError, StateError, validate
from backend.heats import service as heats
from backend.heats.reading import whole
from backend.heats.schemas import TreatmentRead
from backend.pages.forms import form_of, number_of
from backend.pages.rendering import heat_page, money_text, page, templates
from backend.pages.texts import language_for, text
from backend.pages.view import HeatView, heat_view
from backend.pages.why import why
from backend.recommendations import service as recommendations
from backend.shapes import ReasonCode, Treatment

log = logging.getLogger(__name__)

router = APIRouter()

REASONS = get_args(ReasonCode)
# What the page's script says by itself.
SPOKEN = (
    "confirm.all_in",
    "confirm.edge",
    "confirm.outside",
    "confirm.saves",
    "confirm.costs",
    "confirm.same",
)
# A field for each additive, in which its own reason stands.
REASON_OF = "reason_of."
VERDICTS = ("inside", "tight", "low", "high")
UNDECIDED = ("registered", "recommended")


@router.get("/heats/{plant_id}/{heat_uid}/{station}/{treatment_no}")
def show_heat(
    request: Request, treatment: TreatmentDep, engine: EngineDep, change: Annotated[bool, Query()] = False
) -> Response:
    """The page; that the recommendation was shown, and when, is kept."""
    with reading(engine) as session:
        known = whole(session, heats.find(session, treatment))
    if (
        DECIDE in request.state.who.permissions
        and known.recommendation is not None
        and known.shown_at is None
    ):
        with writing(engine) as session:
            recommendations.show(
                session, heats.find(session, treatment), known.recommendation["recommendation_id"]
            )
    return _page(request, engine, treatment, change=change)


@router.post("/heats/{plant_id}/{heat_uid}/{station}/{treatment_no}", dependencies=[needs(DECIDE)])
def confirm(
    request: Request, treatment: TreatmentDep, engine: EngineDep, form: Annotated[FormData, Depends(form_of)]
) -> Response:
    """The steelmaker's decision; what is wrong is said on the page, with what he typed still there."""
    try:
        put = validate(DecisionPut, _decision(form))
        person = request.state.person
        with writing(engine) as session:
            decision, new = decisions.decide(
                session, heats.find(session, treatment), put, None if person is None else person.name
            )
    except BackendError as refused:
        conflict = isinstance(refused, ConflictError)
        return _page(
            request, engine, treatment, form, refused.errors, status=refused.status, conflict=conflict
        )
    told = {"treatment": treatment.model_dump(), "decision_id": decision.decision_id, "new": new}
    log.info("decided by %s", decision.decided_by, extra={"told": told})
    return RedirectResponse(heat_page(treatment), HTTPStatus.SEE_OTHER)


@router.post("/heats/{plant_id}/{heat_uid}/{station}/{treatment_no}/again", dependencies=[needs(DECIDE)])
def recommend_anew(treatment: TreatmentDep, engine: EngineDep) -> Response:
    """Ask for another recommendation; the page says that it is on its way, or what the heat is past it."""
    with contextlib.suppress(StateError), writing(engine) as session:
        recommendations.ask_again(session, heats.find(session, treatment))
    return RedirectResponse(heat_page(treatment), HTTPStatus.SEE_OTHER)


def _page(
    request: Request,
    engine: EngineDep,
    treatment: Treatment,
    form: FormData | None = None,
    problems: Sequence[Detail] = (),
    *,
    status: int = HTTPStatus.OK,
    conflict: bool = False,
    change: bool = False,
) -> Response:
    may_decide = DECIDE in request.state.who.permissions
    with reading(engine) as session:
        known = whole(session, heats.find(session, treatment))
    view = heat_view(known)
    answer = (known.recommendation or {}).get("answer")
    by_model = (
        answer is not None and known.recommendation is not None and known.recommendation["source"] == "model"
    )
    changing = known.state == "decided" and (change or bool(problems))
    context = {
        "known": known,
        "view": view,
        "version": _version(known),
        "reasons": why(answer, known.heat.get("windows") or {}) if by_model and answer else None,
        "handbook": _beside_handbook(known),
        "decision_id": new_id(),
        "form": form or {},
        "typed": {}
        if form is None
        else dict(zip(form.getlist("additive"), form.getlist("kg"), strict=False)),
        "problems": problems,
        "conflict": conflict,
        "editable": may_decide and (known.state in UNDECIDED or changing),
        "cost": _cost(view),
        "temperature": _temperature(view),
        "saving": lambda cost, t: _saving(view, cost, t),
        "data": _data(known, view, language_for(request.headers.get("accept-language", ""))),
        "REASONS": REASONS,
        "REASON_OF": REASON_OF,
        "one_by_one": any(name.startswith(REASON_OF) and value for name, value in (form or {}).items()),
    }
    return page(request, "heat.html", context, status)


def _version(known: TreatmentRead) -> str:
    """Another text whenever the page would show something else."""
    recommendation, decision = known.recommendation or {}, known.decision or {}
    parts = (
        known.state,
        known.revision,
        recommendation.get("recommendation_id"),
        decision.get("decision_id"),
        len(known.weighed),
        known.completed_revision,
        known.prediction is not None,
        known.stale,
    )
    return " ".join(map(str, parts))


def _data(known: TreatmentRead, view: HeatView, language: str) -> dict[str, Any]:
    """What the page's script predicts an edit from: exactly, as the outcome is affine in the kilograms,
    and the square of the interval's half is a fixed part's plus that of what the kilograms bring.
    """
    return {
        "basis": view.estimates_hold_for,
        "elements": {
            row.element: {
                "predicted": row.estimate.predicted_pct,
                "half": row.estimate.half_pct,
                "slope": dict(row.estimate.slope_pct_per_kg),
                "growth": dict(row.estimate.half_pct_per_kg),
                "min": row.low_pct,
                "max": row.high_pct,
            }
            for row in view.elements
            if row.estimate is not None
        },
        "additives": {
            row.additive: {
                "price": row.unit_price,
                "recommended": row.recommended_kg,
                "start": row.start_kg,
                "increment": row.increment_kg,
                "most": row.most_kg,
            }
            for row in view.additives
        },
        "temperature": {
            "predicted": view.temperature.predicted_c,
            "slope": dict(view.temperature.slope_c_per_kg),
        },
        "handbookCost": view.handbook_cost,
        "recommended": known.recommendation is not None and known.state != "registered",
        "texts": {name: text(language, name) for name in SPOKEN},
        "verdicts": {verdict: text(language, f"verdict.{verdict}") for verdict in VERDICTS},
    }


def _cost(view: HeatView) -> float:
    """Of what was weighed, else decided, else recommended."""
    return sum(
        row.unit_price * (row.start_kg if row.weighed_kg is None else row.weighed_kg)
        for row in view.additives
    )


def _saving(view: HeatView, cost: float, t: Any) -> str:
    more = cost - (view.handbook_cost or 0.0)
    if abs(more) < 0.005:
        return str(t("confirm.same"))
    return str(t("confirm.saves" if more < 0 else "confirm.costs", amount=money_text(abs(more))))


def _temperature(view: HeatView) -> str:
    if view.temperature.predicted_c is not None:
        return f"{view.temperature.predicted_c:.0f}"
    chill = sum(
        view.temperature.slope_c_per_kg.get(row.additive, 0.0) * row.start_kg for row in view.additives
    )
    return f"{chill:+.0f}".replace("-", "−")


def _beside_handbook(known: TreatmentRead) -> list[tuple[str, float, float]]:
    """Additive, kilograms by the rule, kilograms recommended; where either is something."""
    recommendation = known.recommendation or {}
    by_rule = ((recommendation.get("answer") or {}).get("handbook") or {}).get("additions")
    if by_rule is None:
        return []
    rule, model = _per_additive(by_rule), _per_additive(recommendation["additions"])
    order = [offer["additive"] for offer in known.additives]
    return [
        (name, rule.get(name, 0.0), model.get(name, 0.0))
        for name in order
        if rule.get(name) or model.get(name)
    ]


def _per_additive(additions: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {addition["additive"]: addition["added_kg"] for addition in additions}


def limit_words(kind: str, subject: str, t: Any) -> str:
    """A limit as a person names it; what has no kind is a sentence already."""
    return str(t(f"limit.{kind}", subject=subject)) if kind else subject


templates.env.globals.update(limit_words=limit_words)


def _decision(form: FormData) -> dict[str, Any]:
    """The form in the shape of a decision; an empty field is no addition."""
    additions = []
    columns = [form.getlist(name) for name in ("additive", "lot", "kg")]
    if len({len(column) for column in columns}) > 1:
        what = f"{', '.join(str(len(column)) for column in columns)} of additive, lot and kg"
        raise InvalidError([Detail(where="form", what=what, allowed="as many of each")])
    for additive, lot, kg in zip(*columns, strict=True):
        added_kg = number_of(kg, str(additive))
        if added_kg:
            additions.append({"additive": additive, "lot": lot or None, "added_kg": added_kg})
    return {
        "decision_id": form.get("decision_id"),
        "decided_by": form.get("decided_by") or None,
        "seen": {
            "heat_revision": int(seen) if (seen := str(form.get("seen_heat_revision"))).isdecimal() else None,
            "grade": form.get("seen_grade") or None,
            "recommendation_id": form.get("seen_recommendation_id") or None,
            "decision_id": form.get("seen_decision_id") or None,
        },
        "recommendation_id": form.get("recommendation_id") or None,
        "additions": additions,
        "reason_code": form.get("reason_code") or None,
        "reasons": {
            str(additive): reason
            for additive in form.getlist("additive")
            if (reason := form.get(f"{REASON_OF}{additive}"))
        },
        "note": form.get("note") or None,
    }
