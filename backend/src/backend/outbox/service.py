"""Put an event into the outbox, see what waits, mark what the bus has acknowledged."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlmodel import Session, col, func, select, update

from backend.clock import now
from backend.events import product_event
from backend.outbox.tables import OutboxEvent
from backend.shapes import Treatment


def put(session: Session, event_type: str, treatment: Treatment, data: dict[str, Any]) -> str:
    """Write the event in the caller's transaction; its id."""
    event = product_event(event_type, treatment, data)
    session.add(
        OutboxEvent(
            event_id=event["id"], type=event_type, body=orjson.dumps(event).decode(), created_at=now()
        )
    )
    return str(event["id"])


def waiting(session: Session, limit: int) -> Sequence[OutboxEvent]:
    """The oldest events that are not acknowledged, in the order in which they were written."""
    query = select(OutboxEvent).where(col(OutboxEvent.published_at).is_(None))
    return session.exec(query.order_by(col(OutboxEvent.id)).limit(limit)).all()


def mark_published(session: Session, ids: Sequence[int]) -> None:
    session.exec(update(OutboxEvent).where(col(OutboxEvent.id).in_(ids)).values(published_at=now()))


def count_waiting(session: Session) -> int:
    return session.exec(select(func.count()).where(col(OutboxEvent.published_at).is_(None))).one()
