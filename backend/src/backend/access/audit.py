"""The audit log: written in the transaction of what it tells of."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session, col, select

from backend.access.tables import AuditEntry
from backend.clock import now
from backend.database import run, table_of


def note(session: Session, actor: str, action: str, target: str, **detail: Any) -> None:
    entry = {"at": now(), "actor": actor, "action": action, "target": target, "detail": detail}
    run(session, insert(table_of(AuditEntry)), [entry])


def newest(session: Session, *, limit: int, before: int | None) -> Sequence[AuditEntry]:
    """Entries, newest first; `before` is the id of the last one seen."""
    query = select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(AuditEntry.id) < before)
    return session.exec(query).all()
