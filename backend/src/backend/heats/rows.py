"""Rows of heats in a transaction: each is read once, and its changes are written when the work ends.

As the ORM would, for a tenth of its cost: every step of a heat begins with its row.
"""

from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlmodel import Session

from backend.clock import now
from backend.database import at_end, run, table_of
from backend.heats.tables import HeatRecord
from backend.prepared import Prepared, loaded
from backend.shapes import Treatment

HEATS = table_of(HeatRecord)
COLUMNS = tuple(column.name for column in HEATS.c)

# Locked for this transaction where the database locks rows.
_BY_ID = Prepared(select(HEATS).where(HEATS.c.id == bindparam("heat_id")).with_for_update())
_AS_IT_IS = Prepared(select(HEATS).where(HEATS.c.id == bindparam("heat_id")))
_OF_TREATMENT = Prepared(
    select(HEATS)
    .where(
        *(HEATS.c[name] == bindparam(name) for name in ("heat_uid", "plant_id", "station", "treatment_no"))
    )
    .with_for_update()
)
_ADD = Prepared(insert(HEATS).returning(HEATS.c.id))
_CHANGE = Prepared(update(HEATS).where(HEATS.c.id == bindparam("heat_id")))

_KNOWN = "heats"


class _Known:
    """The heats that a transaction has read, and their columns as they are in the database."""

    def __init__(self) -> None:
        self.records: dict[int, HeatRecord] = {}
        self.written: dict[int, dict[str, Any]] = {}

    def keep(self, record: HeatRecord) -> None:
        self.records[record.row()] = record
        self.written[record.row()] = dict(record.__dict__)

    def write(self, session: Session) -> None:
        for heat_id, record in self.records.items():
            before, is_now = self.written[heat_id], record.__dict__
            changed = {name: is_now[name] for name in COLUMNS if is_now[name] != before[name]}
            if changed:
                changed.setdefault("changed_at", now())
                run(session, _CHANGE, changed | {"heat_id": heat_id})
                before.update(changed)


def of_treatment(session: Session, treatment: Treatment) -> HeatRecord | None:
    """The treatment's row, locked for this transaction where the database locks rows."""
    return _known(session, run(session, _OF_TREATMENT, treatment.model_dump()).one_or_none())


def get(session: Session, heat_id: int, *, lock: bool = False) -> HeatRecord:
    """The row of a heat that is there."""
    record = _known(session, run(session, _BY_ID if lock else _AS_IT_IS, {"heat_id": heat_id}).one_or_none())
    if record is None:
        raise RuntimeError(f"there is no heat in row {heat_id}")
    return record


def add(session: Session, record: HeatRecord) -> None:
    """Store a new heat; it has its number from now on."""
    record.changed_at = now()
    new = {name: getattr(record, name) for name in COLUMNS if name != "id"}
    record.id = run(session, _ADD, new).scalar()
    _of(session).keep(record)


def _known(session: Session, row: Any) -> HeatRecord | None:
    if row is None:
        return None
    known = _of(session)
    if row.id not in known.records:
        known.keep(loaded(HeatRecord, row))
    return known.records[row.id]


def _of(session: Session) -> _Known:
    known: _Known | None = session.info.get(_KNOWN)
    if known is None:
        known = session.info[_KNOWN] = _Known()
        at_end(session, known.write)
    return known
