"""Change master data: put it in place of what was kept, take the plant's news of lots, stock and prices."""

from datetime import datetime

from sqlmodel import Session, col, delete, select

from backend.clock import now
from backend.errors import RefusedError
from backend.events import LotReceived, PriceChanged, StockCounted
from backend.master_data import kept, stock
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
    kept.changed(session, plant_id)


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
    moved = {"additive": received.additive, "lot": received.lot, "moved_at": received.received_at}
    if received.received_kg:
        stock.note(session, received.plant_id, stock.RECEIVED, [moved | {"kg": received.received_kg}])
    record.available_at = known_at
    kept.changed(session, received.plant_id)
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
    moved = {"additive": counted.additive, "lot": record.lot, "moved_at": counted.counted_at}
    stock.note(session, counted.plant_id, stock.COUNTED, [moved | {"kg": counted.stock_kg}])
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
    if not _keep_price(session, changed.plant_id, changed.additive, price, now()):
        return False
    kept.changed(session, changed.plant_id)
    return True


def _known(session: Session, plant_id: str, name: str) -> AdditiveRecord:
    record = session.get(AdditiveRecord, (plant_id, name), with_for_update=True)
    if record is None:
        raise RefusedError(
            where="$.additive",
            what=f"{name} is not in the master data",
            allowed=", ".join(kept.names(session, plant_id)) or "put master data first",
        )
    return record


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
