"""Put an event into the outbox, see what waits, take out what the bus has acknowledged."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, delete, func, insert, select
from sqlmodel import Session

from backend.clock import now
from backend.database import run, table_of
from backend.events import product_event
from backend.outbox.tables import OutboxEvent
from backend.prepared import Prepared
from backend.shapes import Treatment

OUTBOX = table_of(OutboxEvent)

_PUT = Prepared(insert(OUTBOX))
_IDS = Prepared(select(OUTBOX.c.id).order_by(OUTBOX.c.id).limit(bindparam("most")))
_EVENT = Prepared(
    select(OUTBOX.c.id, OUTBOX.c.event_id, OUTBOX.c.type, OUTBOX.c.body).where(
        OUTBOX.c.id == bindparam("row")
    )
)
_REMOVE = Prepared(delete(OUTBOX).where(OUTBOX.c.id == bindparam("acknowledged")))


class Waiting(NamedTuple):
    id: int
    event_id: str
    type: str
    body: str


def put(session: Session, event_type: str, treatment: Treatment, data: dict[str, Any]) -> str:
    """Write the event in the caller's transaction; its id."""
    event = product_event(event_type, treatment, data)
    body = orjson.dumps(event).decode()
    new = {"event_id": event["id"], "type": event_type, "body": body, "created_at": now()}
    run(session, _PUT, new)
    return str(event["id"])


def waiting(session: Session, limit: int, known: Collection[int] = ()) -> Sequence[Waiting]:
    """The oldest events but for those that are `known`, in the order in which they were written.

    By what is there and not by the last number: a transaction with a lower number may end later.
    """
    ids = run(session, _IDS, {"most": limit + len(known)}).scalars()
    found = [run(session, _EVENT, {"row": id_}).one_or_none() for id_ in ids if id_ not in known]
    return [Waiting(*row) for row in found if row is not None]


def remove(session: Session, ids: Collection[int]) -> None:
    """Forget what the bus has: the facts themselves stay in their own tables."""
    run(session, _REMOVE, [{"acknowledged": id_} for id_ in ids])


def count_waiting(session: Session) -> int:
    return int(run(session, select(func.count()).select_from(OUTBOX)).scalar_one())
