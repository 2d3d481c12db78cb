"""Logging in and out: a page, a cookie that scripts cannot read, and the same answer for every failure."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from backend.access import people
from backend.access.gate import cookie_name, needs
from backend.access.people import TooManyAttemptsError
from backend.access.rules import READ
from backend.database import reading, writing
from backend.dependencies import EngineDep
from backend.pages.forms import form_of
from backend.pages.rendering import page

router = APIRouter()
private = APIRouter(dependencies=[needs(READ)])

LONGEST_NAME, LONGEST_PASSWORD = 64, 256


@router.get("/login")
def show_login(request: Request, next: str = "/") -> Response:  # noqa: A002 - as in the address
    return page(request, "login.html", {"next": _within(next)})


@router.post("/login")
def log_in(request: Request, engine: EngineDep, form: Annotated[FormData, Depends(form_of)]) -> Response:
    name, password = str(form.get("user") or ""), str(form.get("password") or "")
    onward = _within(str(form.get("next") or "/"))
    address = "" if request.client is None else request.client.host
    again = {"next": onward, "user": name}
    if request.headers.get("sec-fetch-site") == "cross-site" or not _can_be(name, password):
        return page(request, "login.html", again | {"problem": "wrong"}, HTTPStatus.UNAUTHORIZED)
    try:
        with reading(engine) as session:
            people.check_attempts(session, name, address)
            user = people.verified(session, name, password)
    except TooManyAttemptsError:
        return page(request, "login.html", again | {"problem": "slow_down"}, HTTPStatus.TOO_MANY_REQUESTS)
    with writing(engine) as session:
        if user is None:
            people.failed(session, name, address)
            return page(request, "login.html", again | {"problem": "wrong"}, HTTPStatus.UNAUTHORIZED)
        secret = people.begin(session, user, address)
    answer = RedirectResponse(onward, HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        cookie_name(request),
        secret,
        max_age=int(people.SHIFT.total_seconds()),
        secure=request.app.state.settings.cookie_secure,
        httponly=True,
        samesite="lax",
    )
    return answer


@private.post("/logout")
def log_out(request: Request, engine: EngineDep) -> Response:
    person = request.state.person
    if person is not None:
        with writing(engine) as session:
            people.end(session, request.cookies[cookie_name(request)], person.name)
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(
        cookie_name(request),
        secure=request.app.state.settings.cookie_secure,
        httponly=True,
        samesite="lax",
    )
    return answer


def _within(address: str) -> str:
    """The address, if it is a page of ours."""
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if is_ours else "/"


def _can_be(name: str, password: str) -> bool:
    return 0 < len(name) <= LONGEST_NAME and name.isprintable() and 0 < len(password) <= LONGEST_PASSWORD
