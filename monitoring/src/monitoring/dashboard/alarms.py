"""HTTP for diagnoses and alarms: what changed, and that somebody has seen to it."""

from http import HTTPStatus
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field, ValidationError

from monitoring.alarms.announcements import APPROVED, Announcements, now_text
from monitoring.alarms.store import AlarmStore
from monitoring.alarms.watch import View, Watch
from monitoring.diagnosis.telling import as_dict
from monitoring.errors import NotBetterError, RefusedFormError
from monitoring.measures.against_shadow import sentence

MOST_FORM_BYTES = 10_000
Who = TypeVar("Who", bound="Seen")
SHA256 = "^[0-9a-f]{64}$"

router = APIRouter()


class Seen(BaseModel):
    """Who has seen to an alarm, and what he says of it."""

    by: str = Field(min_length=1, max_length=64, pattern=r"^\S(.*\S)?$")
    note: str | None = Field(default=None, max_length=1000)


class Consent(Seen):
    """Who lets a model become champion: as `monitoring.promotion.approved.v1` has it."""

    note: str | None = Field(default=None, max_length=500)


@router.get("/api/v1/alarms", tags=["diagnoses"])
def alarms(request: Request) -> Response:
    """The newest alarms, those that nobody has seen to first."""
    return _json({"alarms": [alarm._asdict() for alarm in store_of(request).newest()]})


@router.post("/api/v1/alarms/{alarm_id}/acknowledged", tags=["diagnoses"], status_code=HTTPStatus.NO_CONTENT)
def acknowledge(request: Request, alarm_id: Annotated[str, Path(max_length=64)], seen: Seen) -> None:
    """Somebody has seen to an alarm; 404 where there is none of this id."""
    store_of(request).acknowledge(alarm_id, seen.by, seen.note)


@router.post("/alarms/{alarm_id}", include_in_schema=False)
async def acknowledge_form(request: Request, alarm_id: Annotated[str, Path(max_length=64)]) -> Response:
    """The same from the page."""
    seen = await _form(request, Seen)
    store_of(request).acknowledge(alarm_id, seen.by, seen.note)
    return RedirectResponse("/#alarms", HTTPStatus.SEE_OTHER)


async def _form(request: Request, model: type[Who]) -> Who:
    """Who and what he says. Only from a page of this host: another site cannot press the button."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise RefusedFormError(f"comes from {origin}", where="Origin", allowed="a page of this service")
    fields = parse_qs((await request.body())[:MOST_FORM_BYTES].decode("utf-8", "replace"))
    try:
        return model(by=fields.get("by", [""])[0].strip(), note=fields.get("note", [""])[0].strip() or None)
    except ValidationError as error:
        first = error.errors()[0]
        raise RefusedFormError("is not valid", where=str(first["loc"][0]), allowed=first["msg"]) from error


@router.get("/api/v1/diagnosis", tags=["diagnoses"])
def diagnosis(request: Request) -> Response:
    """What the newest heats say: findings, facts, savings, drift, overrides."""
    view = view_of(request)
    named: dict[str, Any] = {
        name: [one._asdict() for one in getattr(view, name)]
        for name in ("facts", "savings", "regrets", "teaching", "drift", "overridden")
    }
    findings = [as_dict(one) for one in view.findings]
    against = view.against and view.against._asdict() | {"sentence": sentence(view.against)}
    about = {
        "treatments": view.treatments,
        "bundle_hash": view.bundle_hash,
        "has_reference": view.has_reference,
    }
    return _json(about | {"findings": findings, "against": against} | named)


@router.get("/api/v1/announcements", tags=["diagnoses"])
def announcements(request: Request) -> Response:
    """The newest events that monitoring has told on the bus, whole, newest first."""
    return _json({"announcements": _announcements(request).newest()})


@router.post("/api/v1/shadow/{bundle_hash}/approved", tags=["diagnoses"], status_code=HTTPStatus.NO_CONTENT)
def approve(request: Request, bundle_hash: Annotated[str, Path(pattern=SHA256)], consent: Consent) -> None:
    """A person lets the model in shadow become champion: told on the bus. 409 where the comparison with it
    does not say that it is better."""
    against = view_of(request).against
    if against is None or against.shadow_bundle != bundle_hash or against.verdict != "shadow_better":
        raise NotBetterError(
            "has not been found better in shadow",
            where=bundle_hash,
            allowed="a shadow that was judged better",
        )
    key = f"{bundle_hash}/{against.since_heat}"
    data = {"bundle_hash": bundle_hash, "by": consent.by, "note": consent.note, "approved_at": now_text()}
    _announcements(request).announce(APPROVED, key, data)


@router.post("/shadow/{bundle_hash}", include_in_schema=False)
async def approve_form(request: Request, bundle_hash: Annotated[str, Path(pattern=SHA256)]) -> Response:
    """The same from the page."""
    approve(request, bundle_hash, await _form(request, Consent))
    return RedirectResponse("/#shadow", HTTPStatus.SEE_OTHER)


def view_of(request: Request) -> View:
    watch: Watch = request.app.state.watch
    return watch.view


def _announcements(request: Request) -> Announcements:
    kept: Announcements = request.app.state.announcements
    return kept


def store_of(request: Request) -> AlarmStore:
    store: AlarmStore = request.app.state.alarms
    return store


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
