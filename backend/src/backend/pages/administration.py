"""Grades and additives: seen by everybody, changed by the technologist, with what changed and who did it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlmodel import Session
from starlette.datastructures import FormData

from backend.access.gate import needs
from backend.access.rules import KEEP
from backend.clock import instant_text, now
from backend.database import reading, writing
from backend.dependencies import EngineDep, ReadingDep, SettingsDep
from backend.errors import BackendError, Detail, InvalidError, UnknownError, validate
from backend.master_data import edits, kept
from backend.master_data.schemas import GradeEntry
from backend.pages.change_log import told
from backend.pages.forms import form_of, number_of, numbers_by_element
from backend.pages.rendering import page
from backend.pages.view import usual
from backend.shapes import Additive

router = APIRouter()

CHANGES_SHOWN = 20
BLANK_ROWS = 3
Name = Annotated[str, Query(max_length=64)]
FormDep = Annotated[FormData, Depends(form_of)]


@router.get("/grades")
def grades(request: Request, session: ReadingDep, settings: SettingsDep) -> Response:
    at = instant_text(now())
    valid = {
        grade: next((version for version in versions if version["valid_from"] <= at), versions[-1])
        for grade, versions in edits.grade_versions(session, settings.plant_id).items()
    }
    elements = sorted({element for version in valid.values() for element in version["windows"]}, key=usual)
    changes = edits.changes(session, settings.plant_id, edits.GRADE, None, CHANGES_SHOWN)
    return page(request, "grades.html", {"grades": valid, "elements": elements, "changes": told(changes)})


@router.get("/grades/one")
def grade(request: Request, engine: EngineDep, settings: SettingsDep, name: Name = "") -> Response:
    """The form of one grade; without a name, of a new one."""
    return _grade_page(request, engine, settings.plant_id, name)


@router.post("/grades/one", dependencies=[needs(KEEP)])
def save_grade(request: Request, engine: EngineDep, settings: SettingsDep, form: FormDep) -> Response:
    def save(session: Session) -> str:
        entry = validate(GradeEntry, _grade_entry(form))
        edits.save_grade(session, settings.plant_id, entry, _by(request, form))
        return entry.grade

    return _saved(request, engine, form, save, partial(_grade_page, request, engine, settings.plant_id))


@router.get("/additives")
def additives(request: Request, session: ReadingDep, settings: SettingsDep) -> Response:
    changes = edits.changes(session, settings.plant_id, edits.ADDITIVE, None, CHANGES_SHOWN)
    found = kept.additives(session, settings.plant_id, now())
    return page(request, "additives.html", {"additives": found, "changes": told(changes)})


@router.get("/additives/one")
def additive(request: Request, engine: EngineDep, settings: SettingsDep, name: Name = "") -> Response:
    """The form of one additive; without a name, of a new one."""
    return _additive_page(request, engine, settings.plant_id, name)


@router.post("/additives/one", dependencies=[needs(KEEP)])
def save_additive(request: Request, engine: EngineDep, settings: SettingsDep, form: FormDep) -> Response:
    def save(session: Session) -> str:
        new = validate(Additive, _additive(form))
        edits.save_additive(session, settings.plant_id, new, _by(request, form))
        return new.additive

    return _saved(request, engine, form, save, partial(_additive_page, request, engine, settings.plant_id))


class Refused(NamedTuple):
    """A form that was sent and not kept, and why; empty while nobody has sent one."""

    form: FormData | None = None
    problems: Sequence[Detail] = ()
    status: int = HTTPStatus.OK


NOTHING_SENT = Refused()


def _saved(
    request: Request,
    engine: EngineDep,
    form: FormData,
    save: Callable[[Session], str],
    again: Callable[[str, Refused], Response],
) -> Response:
    """Save what the form holds and show it as kept, by the name that `save` gives; else show it again."""
    try:
        with writing(engine) as session:
            name = save(session)
    except BackendError as refused:
        return again(_typed(form, "name"), Refused(form, refused.errors, refused.status))
    return RedirectResponse(f"{request.url.path}?name={quote(name, safe='')}&saved=1", HTTPStatus.SEE_OTHER)


def _form_page(
    request: Request, template: str, name: str, sent: Refused, changes: Sequence[Any], context: dict[str, Any]
) -> Response:
    """The page of one thing: its own `context`, the form as it was sent, and what changed."""
    of_every_form: dict[str, Any] = {
        "name": name,
        "form": sent.form or {},
        "problems": sent.problems,
        "changes": told(changes),
        "saved": "saved" in request.query_params and not sent.problems,
    }
    return page(request, template, of_every_form | context, sent.status)


def _grade_page(
    request: Request, engine: EngineDep, plant_id: str, name: str, sent: Refused = NOTHING_SENT
) -> Response:
    form = sent.form
    with reading(engine) as session:
        versions = edits.grade_versions(session, plant_id).get(name, [])
        offered = kept.additives(session, plant_id, now())
        changes = edits.changes(session, plant_id, edits.GRADE, name, CHANGES_SHOWN) if name else []
    if name and not versions and form is None:
        raise UnknownError(where="name", what=f"grade {name} is not kept here", allowed="a grade of /grades")
    if form is None:
        windows = versions[0]["windows"] if versions else {}
        rows = [(element, windows[element]) for element in sorted(windows, key=usual)]
        forbidden = versions[0]["forbidden_additives"] if versions else []
    else:
        bounds = zip(*(form.getlist(bound) for bound in ("min", "aim", "max")), strict=False)
        typed = [dict(zip(("min", "aim", "max"), row, strict=True)) for row in bounds]
        rows = [
            row for row in zip(form.getlist("element"), typed, strict=False) if row[0] or any(row[1].values())
        ]
        forbidden = form.getlist("forbidden")
    context: dict[str, Any] = {
        "new": not versions,
        "rows": [*rows, *([("", {})] * BLANK_ROWS)],
        "versions": versions,
        "forbidden": forbidden,
        "offered": [additive["additive"] for additive in offered],
    }
    return _form_page(request, "grade.html", name, sent, changes, context)


def _additive_page(
    request: Request, engine: EngineDep, plant_id: str, name: str, sent: Refused = NOTHING_SENT
) -> Response:
    form = sent.form
    with reading(engine) as session:
        known = {additive["additive"]: additive for additive in kept.additives(session, plant_id, now())}
        changes = edits.changes(session, plant_id, edits.ADDITIVE, name, CHANGES_SHOWN) if name else []
    as_is = known.get(name)
    if name and as_is is None and form is None:
        raise UnknownError(
            where="name", what=f"additive {name} is not kept here", allowed="one of /additives"
        )
    currencies = [additive["price_per_t"]["currency"] for additive in known.values()]
    values: Mapping[str, Any]
    if form is None:
        price = as_is["price_per_t"]["amount"] if as_is else None
        values = {**(as_is or {"increment_kg": 1, "min_kg": 0, "metallic_yield": 1}), "price": price}
        assay = (as_is or {}).get("assay", {})
        rows = [(element, assay[element]) for element in sorted(assay, key=usual)]
    else:
        values = form
        rows = [row for row in zip(form.getlist("element"), form.getlist("pct"), strict=False) if any(row)]
    context = {
        "new": as_is is None,
        "values": values,
        "currency": currencies[0] if currencies else "EUR",
        "one_currency": bool(currencies),
        "priced_since": as_is["price_per_t"]["valid_from"] if as_is else None,
        "rows": [*rows, *([("", "")] * BLANK_ROWS)],
    }
    return _form_page(request, "additive.html", name, sent, changes, context)


def _grade_entry(form: FormData) -> dict[str, Any]:
    """The form in the shape of a grade entry; without a day it is valid from now on."""
    return {
        "grade": _typed(form, "name"),
        "valid_from": _instant(form.get("valid_from")) or instant_text(now()),
        "windows": numbers_by_element(form, ("min", "aim", "max"), "$.windows"),
        "forbidden_additives": [str(name) for name in form.getlist("forbidden")],
    }


def _additive(form: FormData) -> dict[str, Any]:
    """The form in the shape of an additive; a price that is the same keeps the day it is valid from."""
    numbers = {
        field: number_of(form.get(field), f"$.{field}")
        for field in (
            *("stock_kg", "min_kg", "max_kg", "increment_kg"),
            *("metallic_yield", "chill_c_per_kg_t"),
        )
    }
    required = {
        field: numbers[field]
        for field in ("min_kg", "increment_kg", "metallic_yield")
        if numbers[field] is not None
    }
    price = number_of(form.get("price"), "$.price_per_t.amount")
    same = price is not None and str(form.get("price_before") or "") == f"{price:g}"
    since = str(form.get("priced_since") or "") if same else ""
    return {
        "additive": _typed(form, "name"),
        "lot": _typed(form, "lot") or None,
        "assay": {
            element: bounds["pct"]
            for element, bounds in numbers_by_element(form, ("pct",), "$.assay").items()
        },
        "price_per_t": {
            "amount": price,
            "currency": form.get("currency"),
            "valid_from": _instant(form.get("valid_from")) or since or instant_text(now()),
        },
        "stock_kg": numbers["stock_kg"],
        "max_kg": numbers["max_kg"],
        "chill_c_per_kg_t": numbers["chill_c_per_kg_t"],
        **required,
    }


def _typed(form: FormData, field: str) -> str:
    return str(form.get(field) or "").strip()


def _instant(given: Any) -> str:
    """What a datetime field holds (UTC, no zone) as an instant; else it is for the shape to refuse."""
    typed = str(given or "").strip()
    return f"{typed}:00Z" if typed.count(":") == 1 else f"{typed}Z" if typed else ""


def _by(request: Request, form: FormData) -> str:
    person = request.state.person
    by = _typed(form, "changed_by") if person is None else person.name
    if not by:
        raise InvalidError([Detail(where="changed_by", what="nobody is named", allowed="who changes it")])
    return by
