"""Weighed additions: keep every revision, say which hold, and what that makes per additive."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select
from sqlmodel import Session

from backend.additions.tables import WeighedRecord
from backend.clock import instant_text, now
from backend.database import run, table_of
from backend.heats.tables import HeatRecord
from backend.master_data import kept, stock
from backend.prepared import Prepared
from backend.shapes import WeighedAddition, told

WEIGHED = table_of(WeighedRecord)

_KEEP = Prepared(insert(WEIGHED))
_ALL = Prepared(
    select(WEIGHED.c.addition_id, WEIGHED.c.revision, WEIGHED.c.body)
    .where(WEIGHED.c.heat_id == bindparam("heat_id"))
    .order_by(WEIGHED.c.id)
)


def keep(session: Session, record: HeatRecord, additions: list[WeighedAddition]) -> bool:
    """Store what is new, and whether anything in force changed. A revision that is known changes nothing."""
    rows = run(session, _ALL, {"heat_id": record.row()}).all()
    known = {(addition_id, revision) for addition_id, revision, _ in rows}
    newest = _newest(rows)
    news, movements = [], []
    for addition in additions:
        if (addition.addition_id, addition.revision) in known:
            continue
        news.append(
            {
                "heat_id": record.row(),
                "addition_id": addition.addition_id,
                "revision": addition.revision,
                "body": told(addition) | {"available_at": instant_text(now())},
            }
        )
        known.add((addition.addition_id, addition.revision))
        revision, before = newest.get(addition.addition_id, (0, None))
        if addition.revision > revision:
            movements += _movements(record, before, told(addition), addition.weighed_at)
            newest[addition.addition_id] = addition.revision, told(addition)
    if news:
        run(session, _KEEP, news)
    if movements:
        record.weighed_no += 1
        stock.note(session, record.plant_id, stock.WEIGHED, movements)
    return bool(movements)


def _movements(
    record: HeatRecord, before: dict[str, Any] | None, now_told: dict[str, Any], at: datetime
) -> list[dict[str, Any]]:
    """What was weighed out, and where it corrects an earlier weighing, that one put back."""
    taken = [(1.0, now_told)] if before is None else [(-1.0, before), (1.0, now_told)]
    return [
        {
            "additive": addition["additive"],
            "lot": addition.get("lot"),
            "kg": sign * addition["added_kg"],
            "moved_at": at,
            "heat_id": record.row(),
        }
        for sign, addition in taken
    ]


def in_force(session: Session, heat_id: int) -> list[dict[str, Any]]:
    """The newest revision of each addition, in the order in which they were first told."""
    return [body for _, body in _newest(run(session, _ALL, {"heat_id": heat_id})).values()]


def _newest(rows: Iterable[Any]) -> dict[str, tuple[int, dict[str, Any]]]:
    newest: dict[str, tuple[int, dict[str, Any]]] = {}
    for addition_id, revision, body in rows:
        if addition_id not in newest or revision > newest[addition_id][0]:
            newest[addition_id] = revision, body
    return newest


def kilograms(weighed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Kilograms per additive, with the lot that most of it came from."""
    by_lot: dict[str, dict[str | None, float]] = {}
    for addition in weighed:
        lots = by_lot.setdefault(addition["additive"], {})
        lots[addition.get("lot")] = lots.get(addition.get("lot"), 0.0) + addition["added_kg"]
    return [
        {"additive": name, "lot": max(lots, key=lambda lot: lots[lot]), "added_kg": sum(lots.values())}
        for name, lots in by_lot.items()
    ]


def offers_of(
    session: Session,
    plant_id: str,
    at: datetime,
    additions: list[dict[str, Any]],
    offers: list[dict[str, Any]],
) -> list[dict[str, Any]] | None:
    """The offers of what was added, with the certificates of its lots; None where one is not known at all."""
    offered = {offer["additive"]: offer for offer in offers}
    found = []
    for addition in additions:
        name, lot = addition["additive"], addition["lot"]
        offer = offered.get(name) or kept.additive(session, plant_id, name, at)
        if offer is None:
            return None
        if lot is not None and lot != offer["lot"]:
            assay = kept.certificate(session, plant_id, name, lot)
            offer = offer | {"lot": lot, "assay": assay or offer["assay"]}
        found.append(offer)
    return found
