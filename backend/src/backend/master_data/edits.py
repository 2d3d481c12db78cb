"""What a technologist changes by hand: a grade or an additive, checked, and kept with who, what and when."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, func, select

from backend.clock import instant_text, now
from backend.errors import RefusedError
from backend.events import PriceChanged
from backend.master_data import kept, service
from backend.master_data.schemas import GradeEntry
from backend.master_data.tables import AdditiveRecord, Grade, Lot, MasterDataChange
from backend.shapes import Additive, told

GRADE, ADDITIVE = "grade", "additive"


def save_grade(session: Session, plant_id: str, entry: GradeEntry, by: str) -> None:
    """Put a version of the grade in force from its day on; versions before the newest are not rewritten."""
    if not entry.windows:
        raise RefusedError(where="$.windows", what="no element has a window", allowed="at least one window")
    names = kept.names(session, plant_id)
    unknown = [name for name in entry.forbidden_additives if name not in names]
    if unknown:
        raise RefusedError(
            where="$.forbidden_additives", what=f"{', '.join(unknown)} is not known", allowed=", ".join(names)
        )
    versions = session.exec(
        select(Grade)
        .where(Grade.plant_id == plant_id, Grade.grade == entry.grade)
        .order_by(col(Grade.valid_from).desc())
    ).all()
    newest = versions[0] if versions else None
    if newest is not None and entry.valid_from < newest.valid_from:
        raise RefusedError(
            where="$.valid_from",
            what=f"{instant_text(entry.valid_from)} is before the newest version of {entry.grade}",
            allowed=f"{instant_text(newest.valid_from)} or later",
        )
    windows = {element: told(window) for element, window in entry.windows.items()}
    after = {
        "valid_from": instant_text(entry.valid_from),
        "windows": windows,
        "forbidden_additives": entry.forbidden_additives,
    }
    before = None if newest is None else _of_grade(newest)
    session.merge(
        Grade(
            plant_id=plant_id,
            grade=entry.grade,
            valid_from=entry.valid_from,
            windows=windows,
            forbidden_additives=entry.forbidden_additives,
        )
    )
    _log(session, plant_id, by, GRADE, entry.grade, before, after)
    kept.changed(session, plant_id)


def save_additive(session: Session, plant_id: str, new: Additive, by: str) -> None:
    """Put the additive in the place of what was kept; prices of other days and old lots stay known."""
    if new.max_kg is not None and new.min_kg > new.max_kg:
        raise RefusedError(
            where="$.min_kg",
            what=f"{new.min_kg:g} kg is more than the most",
            allowed=f"up to {new.max_kg:g} kg",
        )
    if not new.assay:
        raise RefusedError(where="$.assay", what="it contains no element", allowed="at least one element")
    before = kept.additive(session, plant_id, new.additive, now())
    record = session.get(AdditiveRecord, (plant_id, new.additive), with_for_update=True)
    fields = new.model_dump(exclude={"price_per_t", "available_at"})
    if record is None:
        positions = select(func.max(col(AdditiveRecord.position))).where(AdditiveRecord.plant_id == plant_id)
        last = session.exec(positions).one()
        record = AdditiveRecord(
            plant_id=plant_id, position=0 if last is None else last + 1, available_at=now(), **fields
        )
        session.add(record)
    else:
        if new.stock_kg != record.stock_kg:
            record.stock_counted_at = now()
        for name, value in fields.items():
            setattr(record, name, value)
        record.available_at = now()
    session.flush()
    service.change_price(
        session, PriceChanged(plant_id=plant_id, additive=new.additive, price_per_t=new.price_per_t)
    )
    if new.lot is not None:
        lot = session.get(Lot, (plant_id, new.additive, new.lot))
        received_at = None if lot is None else lot.received_at
        session.merge(
            Lot(
                plant_id=plant_id,
                additive=new.additive,
                lot=new.lot,
                assay=new.assay,
                received_at=received_at,
                available_at=now(),
            )
        )
    kept.changed(session, plant_id)
    after = kept.additive(session, plant_id, new.additive, now())
    _log(session, plant_id, by, ADDITIVE, new.additive, _as_typed(before), _as_typed(after))


def grade_versions(session: Session, plant_id: str) -> dict[str, list[dict[str, Any]]]:
    """Every grade with its versions, the newest first."""
    query = select(Grade).where(Grade.plant_id == plant_id)
    found: dict[str, list[dict[str, Any]]] = {}
    for grade in session.exec(query.order_by(col(Grade.grade), col(Grade.valid_from).desc())):
        found.setdefault(grade.grade, []).append(_of_grade(grade))
    return found


def changes(
    session: Session, plant_id: str, kind: str, name: str | None, limit: int
) -> Sequence[MasterDataChange]:
    """Newest first."""
    query = select(MasterDataChange).where(
        MasterDataChange.plant_id == plant_id, MasterDataChange.kind == kind
    )
    if name is not None:
        query = query.where(MasterDataChange.name == name)
    return session.exec(query.order_by(col(MasterDataChange.id).desc()).limit(limit)).all()


def _of_grade(grade: Grade) -> dict[str, Any]:
    return {
        "valid_from": instant_text(grade.valid_from),
        "windows": grade.windows,
        "forbidden_additives": grade.forbidden_additives,
    }


def _as_typed(additive: dict[str, Any] | None) -> dict[str, Any] | None:
    """Without what nobody types."""
    if additive is None:
        return None
    return {name: value for name, value in additive.items() if name not in ("additive", "available_at")}


def _log(
    session: Session,
    plant_id: str,
    by: str,
    kind: str,
    name: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    if before == after:
        return
    session.add(
        MasterDataChange(
            plant_id=plant_id,
            changed_at=now(),
            changed_by=by,
            kind=kind,
            name=name,
            before=before,
            after=after,
        )
    )
