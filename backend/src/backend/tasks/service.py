"""Ask for work, see what is due, and take it off the list."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlmodel import Session

from backend.clock import now
from backend.database import inserting, run, table_of
from backend.tasks.tables import SHADOW, Task

TASKS = table_of(Task)


class Due(NamedTuple):
    heat_id: int
    kind: str


def ask(session: Session, heat_id: int, kind: str) -> None:
    """Ask for work on what has just changed: an answer that is under way is of no use any more."""
    new = inserting(session, Task).values(heat_id=heat_id, kind=kind, version=1, since=now())
    again = {"version": TASKS.c.version + 1}
    run(session, new.on_conflict_do_update(index_elements=["heat_id", "kind"], set_=again))


def ask_shadow(session: Session, heat_id: int, request: bytes) -> None:
    """Ask the shadow what the live model was asked."""
    new = inserting(session, Task).values(
        heat_id=heat_id, kind=SHADOW, version=1, since=now(), request=request.decode()
    )
    again = {"version": TASKS.c.version + 1, "request": new.excluded.request}
    run(session, new.on_conflict_do_update(index_elements=["heat_id", "kind"], set_=again))


def request_of_shadow(session: Session, heat_id: int) -> tuple[int, bytes] | None:
    """Version and request; None where nothing is asked."""
    query = select(TASKS.c.version, TASKS.c.request).where(TASKS.c.heat_id == heat_id, TASKS.c.kind == SHADOW)
    found = run(session, query).one_or_none()
    return None if found is None else (found.version, found.request.encode())


def ensure(session: Session, heat_id: int, kind: str) -> None:
    """Ask for work unless it is asked for already."""
    new = inserting(session, Task).values(heat_id=heat_id, kind=kind, version=1, since=now())
    run(session, new.on_conflict_do_nothing())


def due(session: Session, limit: int = 256) -> Sequence[Due]:
    """What is asked for, oldest first, what a shadow is asked last: nobody waits for it."""
    columns = (TASKS.c.heat_id, TASKS.c.kind)
    query = select(*columns).order_by(TASKS.c.kind == SHADOW, TASKS.c.since).limit(limit)
    return [Due(*row) for row in run(session, query)]


def version(session: Session, heat_id: int, kind: str) -> int | None:
    """The version that is asked for; None where nothing is."""
    query = select(TASKS.c.version).where(TASKS.c.heat_id == heat_id, TASKS.c.kind == kind)
    found: int | None = run(session, query).scalar()
    return found


def drop(session: Session, heat_id: int, *kinds: str) -> None:
    run(session, delete(TASKS).where(TASKS.c.heat_id == heat_id, TASKS.c.kind.in_(kinds)))
