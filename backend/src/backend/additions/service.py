"""Weighed additions: keep every revision, say which hold, and what that makes per additive."""

from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from backend.additions.tables import WeighedRecord
from backend.clock import instant_text, now
from backend.heats.tables import HeatRecord
from backend.master_data import service as master_data
from backend.shapes import WeighedAddition, told


def keep(session: Session, record: HeatRecord, additions: list[WeighedAddition]) -> bool:
    """Store what is new, and whether anything in force changed. A revision that is known changes nothing."""
    rows = session.exec(select(WeighedRecord).where(WeighedRecord.heat_id == record.row())).all()
    known = {(row.addition_id, row.revision) for row in rows}
    newest = {row.addition_id: row.revision for row in sorted(rows, key=lambda row: row.revision)}
    changed = False
    for addition in additions:
        if (addition.addition_id, addition.revision) in known:
            continue
        session.add(
            WeighedRecord(
                heat_id=record.row(),
                addition_id=addition.addition_id,
                revision=addition.revision,
                body=told(addition) | {"available_at": instant_text(now())},
            )
        )
        known.add((addition.addition_id, addition.revision))
        changed = changed or addition.revision > newest.get(addition.addition_id, 0)
    if changed:
        record.weighed_no += 1
        session.flush()
    return changed


def in_force(session: Session, heat_id: int) -> list[dict[str, Any]]:
    """The newest revision of each addition, in the order in which they were first told."""
    query = select(WeighedRecord).where(WeighedRecord.heat_id == heat_id).order_by(col(WeighedRecord.id))
    newest: dict[str, WeighedRecord] = {}
    for row in session.exec(query):
        if row.addition_id not in newest or row.revision > newest[row.addition_id].revision:
            newest[row.addition_id] = row
    return [row.body for row in newest.values()]


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
        offer = offered.get(name) or master_data.additive(session, plant_id, name, at)
        if offer is None:
            return None
        if lot is not None and lot != offer["lot"]:
            assay = master_data.certificate(session, plant_id, name, lot)
            offer = offer | {"lot": lot, "assay": assay or offer["assay"]}
        found.append(offer)
    return found
