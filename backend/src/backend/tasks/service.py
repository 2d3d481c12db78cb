"""Ask for work, see what is due, and take it off the list."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from backend.clock import now
from backend.tasks.tables import Task


def ask(session: Session, heat_id: int, kind: str) -> None:
    """Ask for work on what has just changed: an answer that is under way is of no use any more."""
    task = session.get(Task, (heat_id, kind))
    if task is None:
        session.add(Task(heat_id=heat_id, kind=kind, since=now()))
    else:
        task.version += 1


def ensure(session: Session, heat_id: int, kind: str) -> None:
    """Ask for work unless it is asked for already."""
    if session.get(Task, (heat_id, kind)) is None:
        session.add(Task(heat_id=heat_id, kind=kind, since=now()))


def due(session: Session, limit: int = 256) -> Sequence[Task]:
    return session.exec(select(Task).order_by(col(Task.since)).limit(limit)).all()


def version(session: Session, heat_id: int, kind: str) -> int | None:
    """The version that is asked for; None where nothing is."""
    task = session.get(Task, (heat_id, kind))
    return None if task is None else task.version


def drop(session: Session, heat_id: int, kind: str) -> None:
    task = session.get(Task, (heat_id, kind))
    if task is not None:
        session.delete(task)
