"""People: keep their accounts, log them in and out, and know them by their cookie."""

import hashlib
import secrets
from datetime import timedelta
from functools import cache
from http import HTTPStatus
from typing import NamedTuple, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import bindparam, delete, func, insert, select
from sqlmodel import Session

from backend.access import audit
from backend.access.rules import ROLES, SHORTEST_PASSWORD, Permission, Role
from backend.access.tables import LoginFailure, LoginSession, User
from backend.clock import now
from backend.database import run, table_of
from backend.errors import BackendError, RefusedError
from backend.prepared import Prepared

USERS, SESSIONS, FAILURES = table_of(User), table_of(LoginSession), table_of(LoginFailure)

SHIFT = timedelta(hours=12)
# So many failures within this time are a person who has forgotten; more are somebody who guesses.
FAILURES_COUNT_FOR = timedelta(minutes=5)
MOST_FAILURES_OF_NAME, MOST_FAILURES_OF_ADDRESS = 5, 20

HASHER = PasswordHasher()

_KNOWN = Prepared(
    select(USERS.c.name, USERS.c.role)
    .join(SESSIONS, SESSIONS.c.user_name == USERS.c.name)
    .where(SESSIONS.c.secret_hash == bindparam("secret_hash"))
    .where(SESSIONS.c.ends_at > bindparam("now"), USERS.c.is_active)
)


class Person(NamedTuple):
    """Somebody who is logged in; `csrf_token` is what his own pages send along with what they change."""

    name: str
    role: Role
    csrf_token: str

    @property
    def permissions(self) -> frozenset[Permission]:
        return ROLES[self.role]


class LoginRefusedError(BackendError):
    status = HTTPStatus.UNAUTHORIZED
    title = "Not logged in"


class TooManyAttemptsError(BackendError):
    status = HTTPStatus.TOO_MANY_REQUESTS
    title = "Too many attempts"


def hash_of(secret: str) -> str:
    """SHA-256: enough for secrets of 256 random bits, which nobody can guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def csrf_token_of(secret: str) -> str:
    """Another secret from that of the cookie; from it nobody can reckon back."""
    return hash_of(f"csrf:{secret}")


def set_user(session: Session, name: str, role: Role, password: str, by: str) -> None:
    """Make the account, or give it this role and password; whoever was logged in with it is out."""
    if role not in ROLES:
        raise RefusedError(where="role", what=f"{role!r} is no role", allowed=", ".join(get_args(Role)))
    if len(password) < SHORTEST_PASSWORD:
        raise RefusedError(
            where="password",
            what="this password is too short",
            allowed=f"{SHORTEST_PASSWORD} characters or more",
        )
    session.merge(User(name=name, role=role, password_hash=HASHER.hash(password), changed_at=now()))
    session.flush()
    run(session, delete(SESSIONS).where(SESSIONS.c.user_name == name))
    audit.note(session, by, "user set", name, role=role)


def disable_user(session: Session, name: str, by: str) -> bool:
    """Close the account and log it out; whether there is one."""
    user = session.get(User, name)
    if user is None:
        return False
    user.is_active, user.changed_at = False, now()
    session.flush()
    run(session, delete(SESSIONS).where(SESSIONS.c.user_name == name))
    audit.note(session, by, "user disabled", name)
    return True


def check_attempts(session: Session, name: str, address: str) -> None:
    """TooManyAttemptsError where this name from there, or this address, has failed too often."""
    recent = FAILURES.c.at > now() - FAILURES_COUNT_FOR
    of_name = func.count().filter(FAILURES.c.name == name)
    query = select(of_name, func.count()).where(FAILURES.c.address == address, recent)
    failed_as_name, failed = run(session, query).one()
    if failed_as_name >= MOST_FAILURES_OF_NAME or failed >= MOST_FAILURES_OF_ADDRESS:
        raise TooManyAttemptsError(
            where="login",
            what="too many attempts have failed",
            allowed=f"again in {FAILURES_COUNT_FOR.seconds // 60} minutes",
        )


def verified(session: Session, name: str, password: str) -> User | None:
    """The account, if it is open and this is its password. As slow for a name that there is not."""
    user = session.get(User, name)
    kept = user.password_hash if user is not None else _nobodys_hash()
    try:
        HASHER.verify(kept, password)
    except (VerifyMismatchError, InvalidHashError):
        return None
    return user if user is not None and user.is_active else None


def failed(session: Session, name: str, address: str) -> None:
    """Note an attempt that failed; those that count no more are forgotten."""
    run(session, delete(FAILURES).where(FAILURES.c.at <= now() - FAILURES_COUNT_FOR))
    run(session, insert(FAILURES), [{"name": name, "address": address, "at": now()}])
    audit.note(session, name, "login failed", name, address=address)


def begin(session: Session, user: User, address: str) -> str:
    """Log in; the secret for the cookie, which is kept nowhere else."""
    secret = secrets.token_urlsafe(32)
    at = now()
    run(session, delete(SESSIONS).where(SESSIONS.c.ends_at <= at))
    new = {"secret_hash": hash_of(secret), "user_name": user.name, "began_at": at, "ends_at": at + SHIFT}
    run(session, insert(SESSIONS), [new])
    run(session, delete(FAILURES).where(FAILURES.c.name == user.name, FAILURES.c.address == address))
    audit.note(session, user.name, "login", user.name, address=address)
    return secret


def known_by(session: Session, secret: str) -> Person | None:
    """Who has this secret in his cookie; None where it is over, or the account is closed."""
    found = run(session, _KNOWN, {"secret_hash": hash_of(secret), "now": now()}).one_or_none()
    return None if found is None else Person(found.name, found.role, csrf_token_of(secret))


def end(session: Session, secret: str, name: str) -> None:
    run(session, delete(SESSIONS).where(SESSIONS.c.secret_hash == hash_of(secret)))
    audit.note(session, name, "logout", name)


@cache
def _nobodys_hash() -> str:
    return HASHER.hash(secrets.token_urlsafe(16))
