"""Movements of stock: received, counted, weighed. What the book says beside what the plant told last.

What can be added goes by what the plant told (a count, a lot received), for a bin that the plant does not
tell of must not run empty in the book alone. The book is for a person who wonders.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select
from sqlmodel import Session

from backend.clock import now
from backend.database import run, table_of
from backend.master_data.tables import AdditiveRecord, StockMovement
from backend.prepared import Prepared

RECEIVED, COUNTED, WEIGHED = "received", "counted", "weighed"
MOVEMENTS, ADDITIVES = table_of(StockMovement), table_of(AdditiveRecord)

_NOTE = Prepared(insert(MOVEMENTS))


class Stock(NamedTuple):
    """Kilograms of one additive: as the plant told, weighed since it was counted, and what that leaves."""

    additive: str
    lot: str | None
    told_kg: float | None
    counted_at: datetime | None
    weighed_since_kg: float
    book_kg: float | None


def note(session: Session, plant_id: str, kind: str, movements: Sequence[Mapping[str, Any]]) -> None:
    """Keep movements: additive, lot, kg (a count: what was there), moved_at, and heat_id of what was weighed.

    A correction is a movement too: of the difference.
    """
    rest = {"plant_id": plant_id, "kind": kind, "available_at": now()}
    if movements:
        run(session, _NOTE, [{"heat_id": None, **movement, **rest} for movement in movements])


def of(session: Session, plant_id: str) -> list[Stock]:
    """Of every additive, in the plant's order."""
    weighed = (
        select(func.coalesce(func.sum(MOVEMENTS.c.kg), 0.0))
        .where(MOVEMENTS.c.plant_id == plant_id, MOVEMENTS.c.additive == ADDITIVES.c.additive)
        .where(MOVEMENTS.c.kind == WEIGHED)
        .where(MOVEMENTS.c.moved_at > func.coalesce(ADDITIVES.c.stock_counted_at, ADDITIVES.c.available_at))
        .scalar_subquery()
    )
    columns = (
        ADDITIVES.c.additive,
        ADDITIVES.c.lot,
        ADDITIVES.c.stock_kg,
        ADDITIVES.c.stock_counted_at,
        weighed,
    )
    query = select(*columns).where(ADDITIVES.c.plant_id == plant_id).order_by(ADDITIVES.c.position)
    return [
        Stock(name, lot, told_kg, counted_at, since_kg, None if told_kg is None else told_kg - since_kg)
        for name, lot, told_kg, counted_at, since_kg in run(session, query)
    ]
