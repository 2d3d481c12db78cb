"""HTTP for the administrator: accounts, tokens, and who did what."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query
from sqlmodel import col, select

from backend.access import audit, machines, people
from backend.access.gate import WhoDep, needs
from backend.access.rules import ADMINISTER
from backend.access.schemas import (
    AuditPage,
    AuditRead,
    Name,
    TokenMade,
    TokenPut,
    TokenRead,
    UserPut,
    UserRead,
)
from backend.access.tables import MachineToken, User
from backend.database import writing
from backend.dependencies import EngineDep, ReadingDep
from backend.errors import UnknownError
from backend.shapes import MOST_INTEGER

router = APIRouter(tags=["access"], dependencies=[needs(ADMINISTER)])

NamePath = Annotated[Name, Path()]


@router.get("/users")
def list_users(session: ReadingDep) -> list[UserRead]:
    users = session.exec(select(User).order_by(col(User.name)))
    return [UserRead.model_validate(user.model_dump()) for user in users]


@router.put("/users/{name}", status_code=HTTPStatus.NO_CONTENT)
def set_user(name: NamePath, put: UserPut, engine: EngineDep, who: WhoDep) -> None:
    """Make the account or give it this role and password; whoever is logged in with it is out."""
    with writing(engine) as session:
        people.set_user(session, name, put.role, put.password, by=who.name)


@router.delete("/users/{name}", status_code=HTTPStatus.NO_CONTENT)
def disable_user(name: NamePath, engine: EngineDep, who: WhoDep) -> None:
    """Close the account; what was done with it stays under its name."""
    with writing(engine) as session:
        if not people.disable_user(session, name, by=who.name):
            raise UnknownError(where="path.name", what=f"there is no user {name}", allowed="a user's name")


@router.get("/tokens")
def list_tokens(session: ReadingDep) -> list[TokenRead]:
    tokens = session.exec(select(MachineToken).order_by(col(MachineToken.name)))
    return [TokenRead.model_validate(token.model_dump()) for token in tokens]


@router.put("/tokens/{name}")
def set_token(name: NamePath, put: TokenPut, engine: EngineDep, who: WhoDep) -> TokenMade:
    """Make a token, or another secret for it; the secret is told this once."""
    with writing(engine) as session:
        secret = machines.set_token(session, name, put.scopes, by=who.name)
    return TokenMade(name=name, scopes=put.scopes, secret=secret)


@router.delete("/tokens/{name}", status_code=HTTPStatus.NO_CONTENT)
def revoke_token(name: NamePath, engine: EngineDep, who: WhoDep) -> None:
    with writing(engine) as session:
        if not machines.revoke_token(session, name, by=who.name):
            raise UnknownError(
                where="path.name", what=f"there is no token {name} in use", allowed="a token's name"
            )


@router.get("/audit")
def read_audit(
    session: ReadingDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    before: Annotated[
        int | None, Query(ge=1, le=MOST_INTEGER, description="`next` of the page before")
    ] = None,
) -> AuditPage:
    found = audit.newest(session, limit=limit + 1, before=before)
    page = [AuditRead.model_validate(entry.model_dump()) for entry in found[:limit]]
    return AuditPage(entries=page, next=page[-1].id if len(found) > limit else None)
