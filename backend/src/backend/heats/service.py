"""Heats: register, correct, divert, cancel, find, list."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from backend.clock import instant_text, now
from backend.completions import service as completions
from backend.errors import StateError, UnknownError, validate
from backend.events import HeatCancelled, HeatDiverted
from backend.heats import rows
from backend.heats.rules import grade_in_force, in_force
from backend.heats.tables import CANCELLED, COMPLETED, DECIDED, RECOMMENDED, REGISTERED, HeatRecord
from backend.master_data import kept
from backend.shapes import Heat, Treatment, told
from backend.tasks import service as tasks
from backend.tasks.tables import PREDICTION, RECOMMENDATION


def register(session: Session, heat: Heat) -> tuple[HeatRecord, bool]:
    """Store X, and whether it was new.

    A revision that is known, or older than the one in force, changes nothing.
    """
    record = rows.of_treatment(session, heat.treatment)
    if record is not None and heat.revision <= record.revision:
        return record, False
    known_at = now()
    document = told(heat) | {"available_at": instant_text(known_at)}
    if record is None:
        record = HeatRecord(
            **heat.treatment.model_dump(),
            heat_no=heat.heat_no,
            grade=heat.grade,
            state=REGISTERED,
            revision=heat.revision,
            registered_at=heat.registered_at,
            available_at=known_at,
            told=document,
            heat=document,
        )
        _put_in_force(session, record)
        rows.add(session, record)
        tasks.ask(session, record.row(), RECOMMENDATION)
        return record, True
    record.told, record.revision, record.heat_no = document, heat.revision, heat.heat_no
    record.registered_at, record.available_at = heat.registered_at, known_at
    _put_in_force(session, record)
    if record.state in (REGISTERED, RECOMMENDED):
        _recommend_anew(session, record)
    completions.refresh(session, record)
    return record, True


def divert(session: Session, diverted: HeatDiverted) -> bool:
    """Give the heat its new grade and windows; whether that was news. The newest diversion holds."""
    record = find(session, diverted.treatment)
    if record.diversion and diverted.diverted_at <= validate(HeatDiverted, record.diversion).diverted_at:
        return False
    record.diversion = told(diverted)
    _put_in_force(session, record)
    if record.state in (REGISTERED, RECOMMENDED, DECIDED):
        _recommend_anew(session, record)
    completions.refresh(session, record)
    return True


def cancel(session: Session, cancelled: HeatCancelled) -> bool:
    """Mark a treatment that will not take place; whether that was news."""
    record = find(session, cancelled.treatment)
    if record.state == COMPLETED:
        raise StateError(
            where=record.treatment().key(),
            what="a completed treatment took place and cannot be cancelled",
            allowed="registered, recommended or decided",
        )
    if record.state == CANCELLED:
        return False
    record.state, record.cancelled_at, record.cancel_reason = (
        CANCELLED,
        cancelled.cancelled_at,
        cancelled.reason,
    )
    tasks.drop(session, record.row(), RECOMMENDATION, PREDICTION)
    return True


def find(session: Session, treatment: Treatment) -> HeatRecord:
    record = rows.of_treatment(session, treatment)
    if record is None:
        raise UnknownError(
            where=treatment.key(),
            what="this treatment is not known",
            allowed="a treatment that was registered",
        )
    return record


def newest(session: Session, *, state: str | None, limit: int, before: int | None) -> Sequence[HeatRecord]:
    """Heats as they became known, newest first; `before` is the id of the last one seen."""
    query = select(HeatRecord).order_by(col(HeatRecord.id).desc()).limit(limit)
    if state is not None:
        query = query.where(HeatRecord.state == state)
    if before is not None:
        query = query.where(col(HeatRecord.id) < before)
    return session.exec(query).all()


def _put_in_force(session: Session, record: HeatRecord) -> None:
    record.grade = grade_in_force(record.told, record.diversion)
    at: datetime = record.registered_at
    windows = kept.grade_windows(session, record.plant_id, record.grade, at)
    record.heat = in_force(record.told, record.diversion, windows)


def _recommend_anew(session: Session, record: HeatRecord) -> None:
    record.state = REGISTERED
    tasks.ask(session, record.row(), RECOMMENDATION)
