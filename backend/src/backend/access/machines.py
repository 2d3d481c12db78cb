"""Machines: keep their tokens, and know them by what they send."""

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select
from sqlmodel import Session

from backend.access import audit
from backend.access.people import hash_of
from backend.access.rules import SCOPES, SHORTEST_TOKEN, Permission
from backend.access.tables import MachineToken
from backend.clock import now
from backend.database import run, table_of
from backend.errors import RefusedError
from backend.prepared import Prepared

TOKENS = table_of(MachineToken)

_KNOWN = Prepared(
    select(TOKENS.c.name, TOKENS.c.scopes).where(
        TOKENS.c.secret_hash == bindparam("secret_hash"), TOKENS.c.revoked_at.is_(None)
    )
)


class Machine(NamedTuple):
    """A machine that has shown its token."""

    name: str
    permissions: frozenset[Permission]


def set_token(session: Session, name: str, scopes: Sequence[str], by: str, secret: str | None = None) -> str:
    """Make the token, or put another in its place; its secret, which is kept nowhere else."""
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise RefusedError(
            where="scopes", what=f"{', '.join(unknown) or 'nothing'} is no scope", allowed=", ".join(SCOPES)
        )
    if secret is not None and len(secret) < SHORTEST_TOKEN:
        raise RefusedError(
            where="token",
            what="this token is too short",
            allowed=f"{SHORTEST_TOKEN} characters or more",
        )
    secret = secret or secrets.token_urlsafe(32)
    token = MachineToken(name=name, secret_hash=hash_of(secret), scopes=sorted(set(scopes)), made_at=now())
    session.merge(token)
    session.flush()
    audit.note(session, by, "token set", name, scopes=token.scopes)
    return secret


def revoke_token(session: Session, name: str, by: str) -> bool:
    """From now on the token opens nothing; whether there is one that did."""
    token = session.get(MachineToken, name)
    if token is None or token.revoked_at is not None:
        return False
    token.revoked_at = now()
    session.flush()
    audit.note(session, by, "token revoked", name)
    return True


def known_by(session: Session, secret: str) -> Machine | None:
    found = run(session, _KNOWN, {"secret_hash": hash_of(secret)}).one_or_none()
    return None if found is None else Machine(found.name, frozenset(found.scopes))
