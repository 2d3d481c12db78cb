"""The gate of every route: who asks, is he let in, and did the change he asks for come from his own page.

A route says `dependencies=[needs(READ)]`. `request.state.person` is then who is logged in (None: a machine).
"""

import hmac
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from backend.access import machines, people
from backend.access.machines import Machine
from backend.access.people import Person
from backend.access.rules import Permission
from backend.database import reading
from backend.errors import BackendError

BEARER = "bearer "
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf_token"


class StrangerError(BackendError):
    """Nobody is known by what was sent; a browser that wants a page is led to `login`."""

    status = HTTPStatus.UNAUTHORIZED
    title = "Not logged in"

    def __init__(self, login: str) -> None:
        super().__init__(
            where="Authorization",
            what="nobody is known by what was sent",
            allowed="the cookie of somebody who is logged in, or `Bearer` and a machine's token",
        )
        self.login = login


class NotAllowedError(BackendError):
    status = HTTPStatus.FORBIDDEN
    title = "Not allowed"


def cookie_name(request: Request) -> str:
    """With the prefix a browser takes it over TLS only, and from no other host."""
    return "__Host-session" if request.app.state.settings.cookie_secure else "session"


def needs(permission: Permission) -> Any:
    """A dependency that lets in who has this permission."""

    async def check(request: Request) -> None:
        who = await run_in_threadpool(_identify, request)
        request.state.person = who if isinstance(who, Person) else None
        if who is None:
            raise StrangerError(login=f"/login?next={quote(request.url.path)}")
        request.state.who = who
        if permission not in who.permissions:
            raise NotAllowedError(
                where=f"{request.method} {request.url.path}",
                what=f"{who.name} may not do this",
                allowed=f"somebody who may {permission}",
            )
        if isinstance(who, Person) and request.method not in SAFE_METHODS:
            await _require_own_page(request, who)

    check.permission = permission  # type: ignore[attr-defined] # a test walks the routes and reads it
    return Depends(check)


async def _who(request: Request) -> Person | Machine:
    """Whom the gate has let in."""
    who: Person | Machine = request.state.who
    return who


WhoDep = Annotated[Person | Machine, Depends(_who)]


def _identify(request: Request) -> Person | Machine | None:
    given = request.headers.get("authorization", "")
    cookie = request.cookies.get(cookie_name(request))
    if not given and not cookie:
        return None
    with reading(request.app.state.engine) as session:
        if given:
            is_bearer = given[: len(BEARER)].lower() == BEARER
            return machines.known_by(session, given[len(BEARER) :].strip()) if is_bearer else None
        return people.known_by(session, cookie or "")


async def _require_own_page(request: Request, person: Person) -> None:
    """A browser sends the cookie whoever made the page; only our own pages know this token."""
    sent = request.headers.get(CSRF_HEADER)
    if sent is None and request.headers.get("content-type", "").startswith(FORMS):
        sent = str((await request.form()).get(CSRF_FIELD) or "")
    if not hmac.compare_digest((sent or "").encode(), person.csrf_token.encode()):
        raise NotAllowedError(
            where=CSRF_HEADER,
            what="the request did not come from a page of this person",
            allowed=f"the token of the page in {CSRF_HEADER}, or in the form's {CSRF_FIELD}",
        )
