"""Keep master data, take the plant's news of lots, stock and prices, and say what can be added to a heat."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, delete, func, select

from backend.clock import instant_text, now
from backend.errors import RefusedError, UnknownError
from backend.events import LotReceived, PriceChanged, StockCounted
from backend.master_data.schemas import MasterData
from backend.master_data.tables import AdditiveRecord, Grade, HandbookRule, Lot, Price
from backend.shapes import PricePerT, told


def replace(session: Session, new: MasterData, plant_id: str) -> None:
    """Put this in the place of what was kept of the plant; prices of other days and old lots stay known."""
    if new.plant_id != plant_id:
        raise RefusedError(
            where="$.plant_id", what=f"plant {new.plant_id} is not served here", allowed=plant_id
        )
    known_at = now()
    for table in (Grade, AdditiveRecord, HandbookRule):
        session.exec(delete(table).where(col(table.plant_id) == new.plant_id))
    for grade in new.grades:
        windows = {element: told(window) for element, window in grade.windows.items()}
        session.add(
            Grade(
                plant_id=new.plant_id,
                grade=grade.grade,
                valid_from=grade.valid_from,
                windows=windows,
                forbidden_additives=grade.forbidden_additives,
            )
        )
    for position, additive in enumerate(new.additives):
        fields = additive.model_dump(exclude={"price_per_t", "available_at"})
        session.add(AdditiveRecord(plant_id=new.plant_id, position=position, available_at=known_at, **fields))
        _keep_price(session, new.plant_id, additive.additive, additive.price_per_t, known_at)
        if additive.lot is not None:
            _keep_lot(session, new.plant_id, additive.additive, additive.lot, additive.assay, None, known_at)
    session.add(HandbookRule(plant_id=new.plant_id, document=told(new.handbook_rule)))


def read(session: Session, plant_id: str) -> dict[str, Any]:
    """All that is kept of the plant, with today's prices, in the shape of master-data.v1."""
    rule = session.get(HandbookRule, plant_id)
    if rule is None:
        raise UnknownError(
            where=plant_id, what="no master data is kept of this plant", allowed="put master data first"
        )
    grades = session.exec(
        select(Grade).where(Grade.plant_id == plant_id).order_by(col(Grade.grade), col(Grade.valid_from))
    ).all()
    return {
        "plant_id": plant_id,
        "grades": [
            {
                "grade": grade.grade,
                "valid_from": instant_text(grade.valid_from),
                "windows": grade.windows,
                "forbidden_additives": grade.forbidden_additives,
            }
            for grade in grades
        ],
        "additives": _documents(session, plant_id, now(), _additives(session, plant_id)),
        "handbook_rule": rule.document,
    }


def grade_windows(session: Session, plant_id: str, grade: str, at: datetime) -> dict[str, Any] | None:
    record = _grade(session, plant_id, grade, at)
    return None if record is None else record.windows


def offers(session: Session, plant_id: str, grade: str, at: datetime) -> list[dict[str, Any]]:
    """What can be added then, in the technologist's order: in stock, priced, not forbidden for the grade."""
    known = _grade(session, plant_id, grade, at)
    forbidden = set() if known is None else set(known.forbidden_additives)
    records = [
        record
        for record in _additives(session, plant_id)
        if record.additive not in forbidden and (record.stock_kg is None or record.stock_kg > 0)
    ]
    return _documents(session, plant_id, at, records)


def additive(session: Session, plant_id: str, name: str, at: datetime) -> dict[str, Any] | None:
    """One additive, whether it can be added today or not; None where it is not known."""
    record = session.get(AdditiveRecord, (plant_id, name))
    found = [] if record is None else _documents(session, plant_id, at, [record])
    return found[0] if found else None


def names(session: Session, plant_id: str) -> list[str]:
    return [record.additive for record in _additives(session, plant_id)]


def certificate(session: Session, plant_id: str, name: str, lot: str) -> dict[str, float] | None:
    """The assay of a lot, in wt %; None where the lot is not known."""
    record = session.get(Lot, (plant_id, name, lot))
    return None if record is None else record.assay


def handbook_entry(session: Session, plant_id: str, station: str, grade: str) -> dict[str, Any] | None:
    """The rule for the station and grade, else for the station and any grade, else None."""
    rule = session.get(HandbookRule, plant_id)
    entries = [] if rule is None else rule.document["entries"]
    of_station = {entry["grade"]: entry["entry"] for entry in entries if entry["station"] == station}
    entry: dict[str, Any] | None = of_station.get(grade, of_station.get("*"))
    return entry


def receive_lot(session: Session, received: LotReceived) -> bool:
    """The lot's certificate is kept; from the newest receipt on it is what the bin holds.

    Whether that was news.
    """
    record = _known(session, received.plant_id, received.additive)
    known = session.get(Lot, (received.plant_id, received.additive, received.lot))
    if known is not None and known.received_at is not None and received.received_at <= known.received_at:
        return False
    known_at = now()
    _keep_lot(
        session,
        received.plant_id,
        received.additive,
        received.lot,
        received.assay,
        received.received_at,
        known_at,
    )
    if record.stock_kg is not None and received.received_kg:
        counted_at = record.stock_counted_at
        # A count that is newer than the receipt has counted it already.
        if counted_at is None or received.received_at > counted_at:
            record.stock_kg += received.received_kg
    if record.lot_received_at is None or received.received_at >= record.lot_received_at:
        record.lot, record.assay, record.lot_received_at = received.lot, received.assay, received.received_at
    record.available_at = known_at
    return True


def count_stock(session: Session, counted: StockCounted) -> bool:
    record = _known(session, counted.plant_id, counted.additive)
    if record.stock_counted_at is not None and counted.counted_at <= record.stock_counted_at:
        return False
    record.stock_kg, record.stock_counted_at, record.available_at = (
        counted.stock_kg,
        counted.counted_at,
        now(),
    )
    return True


def change_price(session: Session, changed: PriceChanged) -> bool:
    _known(session, changed.plant_id, changed.additive)
    price = changed.price_per_t
    other = session.exec(
        select(Price.currency)
        .where(Price.plant_id == changed.plant_id, Price.currency != price.currency)
        .limit(1)
    ).first()
    if other is not None:
        raise RefusedError(
            where="$.price_per_t.currency",
            what=f"{price.currency}: prices of one plant have one currency",
            allowed=other,
        )
    return _keep_price(session, changed.plant_id, changed.additive, price, now())


def _known(session: Session, plant_id: str, name: str) -> AdditiveRecord:
    record = session.get(AdditiveRecord, (plant_id, name), with_for_update=True)
    if record is None:
        raise RefusedError(
            where="$.additive",
            what=f"{name} is not in the master data",
            allowed=", ".join(names(session, plant_id)) or "put master data first",
        )
    return record


def _additives(session: Session, plant_id: str) -> Sequence[AdditiveRecord]:
    query = select(AdditiveRecord).where(AdditiveRecord.plant_id == plant_id)
    return session.exec(query.order_by(col(AdditiveRecord.position))).all()


def _grade(session: Session, plant_id: str, grade: str, at: datetime) -> Grade | None:
    """The grade as it was valid then; before its first day, as on its first day."""
    query = select(Grade).where(Grade.plant_id == plant_id, Grade.grade == grade)
    valid = query.where(col(Grade.valid_from) <= at).order_by(col(Grade.valid_from).desc()).limit(1)
    found = session.exec(valid).first()
    return found or session.exec(query.order_by(col(Grade.valid_from)).limit(1)).first()


def _prices(session: Session, plant_id: str, at: datetime) -> dict[str, Price]:
    """Each additive's price as it was valid then; before its first day, as on its first day."""

    def chosen(day: Any) -> dict[str, Price]:
        query = select(Price).join(
            day, (Price.additive == day.c.additive) & (Price.valid_from == day.c.valid_from)
        )
        return {price.additive: price for price in session.exec(query.where(Price.plant_id == plant_id))}

    of_plant = select(Price.additive, func.min(Price.valid_from).label("valid_from")).where(
        Price.plant_id == plant_id
    )
    valid = (
        select(Price.additive, func.max(Price.valid_from).label("valid_from"))
        .where(Price.plant_id == plant_id)
        .where(col(Price.valid_from) <= at)
    )
    found = chosen(valid.group_by(col(Price.additive)).subquery())
    return chosen(of_plant.group_by(col(Price.additive)).subquery()) | found


def _documents(
    session: Session, plant_id: str, at: datetime, records: Sequence[AdditiveRecord]
) -> list[dict[str, Any]]:
    prices = _prices(session, plant_id, at)
    return [
        {
            "additive": record.additive,
            "lot": record.lot,
            "assay": record.assay,
            "price_per_t": {
                "amount": prices[record.additive].amount,
                "currency": prices[record.additive].currency,
                "valid_from": instant_text(prices[record.additive].valid_from),
            },
            "stock_kg": record.stock_kg,
            "min_kg": record.min_kg,
            "max_kg": record.max_kg,
            "increment_kg": record.increment_kg,
            "metallic_yield": record.metallic_yield,
            "chill_c_per_kg_t": record.chill_c_per_kg_t,
            "available_at": instant_text(record.available_at),
        }
        for record in records
        if record.additive in prices
    ]


def _keep_price(session: Session, plant_id: str, name: str, price: PricePerT, known_at: datetime) -> bool:
    record = session.get(Price, (plant_id, name, price.valid_from))
    if record is not None and (record.amount, record.currency) == (price.amount, price.currency):
        return False
    session.merge(
        Price(
            plant_id=plant_id,
            additive=name,
            valid_from=price.valid_from,
            amount=price.amount,
            currency=price.currency,
            available_at=known_at,
        )
    )
    return True


def _keep_lot(
    session: Session,
    plant_id: str,
    name: str,
    lot: str,
    assay: dict[str, float],
    received_at: datetime | None,
    known_at: datetime,
) -> None:
    session.merge(
        Lot(
            plant_id=plant_id,
            additive=name,
            lot=lot,
            assay=assay,
            received_at=received_at,
            available_at=known_at,
        )
    )
