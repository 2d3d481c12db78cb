"""Ask for work, see what is due, and take it off the list."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select
from sqlmodel import Session

from backend.clock import now
from backend.database import run, table_of
from backend.prepared import Prepared, inserting
from backend.tasks.tables import SHADOW, Task

TASKS = table_of(Task)

_OF = (TASKS.c.heat_id == bindparam("heat_id"), TASKS.c.kind == bindparam("kind"))
_KEY, _AGAIN = ["heat_id", "kind"], {"version": TASKS.c.version + 1}
_ASK = inserting(Task, lambda new: new.on_conflict_do_update(index_elements=_KEY, set_=_AGAIN))
_ASK_SHADOW = inserting(
    Task,
    lambda new: new.on_conflict_do_update(
        index_elements=_KEY, set_=_AGAIN | {"request": new.excluded.request}
    ),
)
_ENSURE = inserting(Task, lambda new: new.on_conflict_do_nothing())
_DUE = Prepared(
    select(TASKS.c.heat_id, TASKS.c.kind)
    .order_by(TASKS.c.kind == SHADOW, TASKS.c.since)
    .limit(bindparam("most"))
)
_VERSION = Prepared(select(TASKS.c.version).where(*_OF))
_REQUEST = Prepared(select(TASKS.c.version, TASKS.c.request).where(*_OF))
_DROP = Prepared(delete(TASKS).where(*_OF))


class Due(NamedTuple):
    heat_id: int
    kind: str


def ask(session: Session, heat_id: int, kind: str) -> None:
    """Ask for work on what has just changed: an answer that is under way is of no use any more."""
    run(session, _ASK, {"heat_id": heat_id, "kind": kind, "version": 1, "since": now(), "request": None})


def ask_shadow(session: Session, heat_id: int, request: bytes) -> None:
    """Ask the shadow what the live model was asked."""
    new = {"heat_id": heat_id, "kind": SHADOW, "version": 1, "since": now(), "request": request.decode()}
    run(session, _ASK_SHADOW, new)


def request_of_shadow(session: Session, heat_id: int) -> tuple[int, bytes] | None:
    """Version and request; None where nothing is asked."""
    found = run(session, _REQUEST, {"heat_id": heat_id, "kind": SHADOW}).one_or_none()
    return None if found is None else (found.version, found.request.encode())


def ensure(session: Session, heat_id: int, kind: str) -> None:
    """Ask for work unless it is asked for already."""
    run(session, _ENSURE, {"heat_id": heat_id, "kind": kind, "version": 1, "since": now(), "request": None})


def due(session: Session, limit: int = 256) -> Sequence[Due]:
    """What is asked for, oldest first, what a shadow is asked last: nobody waits for it."""
    return [Due(*row) for row in run(session, _DUE, {"most": limit})]


def version(session: Session, heat_id: int, kind: str) -> int | None:
    """The version that is asked for; None where nothing is."""
    found: int | None = run(session, _VERSION, {"heat_id": heat_id, "kind": kind}).scalar()
    return found


def drop(session: Session, heat_id: int, *kinds: str) -> None:
    run(session, _DROP, [{"heat_id": heat_id, "kind": kind} for kind in kinds])
