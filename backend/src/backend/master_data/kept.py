"""What is kept of a plant: grades, additives, prices, handbook rule; what can be added to a heat at a time.

It changes seldom and is asked for at every step of every heat, so each process keeps what it has read, under
the version that each change replaces. Stock changes often and is read anew.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import Pool, bindparam, select
from sqlmodel import Session

from backend.clock import instant_text, new_id, now
from backend.database import run, table_of
from backend.errors import UnknownError, validate
from backend.master_data.tables import AdditiveRecord, Grade, HandbookRule, Lot, MasterDataVersion, Price
from backend.prepared import Prepared, inserting
from backend.shapes import Additive

ADDITIVES, GRADES, LOTS = table_of(AdditiveRecord), table_of(Grade), table_of(Lot)
PRICES, RULES, VERSIONS = table_of(Price), table_of(HandbookRule), table_of(MasterDataVersion)

_VERSION = Prepared(select(VERSIONS.c.version).where(VERSIONS.c.plant_id == bindparam("plant_id")))
_CHANGED = inserting(
    MasterDataVersion,
    lambda new: new.on_conflict_do_update(
        index_elements=["plant_id"],
        set_={"version": new.excluded.version, "changed_at": new.excluded.changed_at},
    ),
)
_STOCK = Prepared(
    select(ADDITIVES.c.additive, ADDITIVES.c.stock_kg, ADDITIVES.c.available_at).where(
        ADDITIVES.c.plant_id == bindparam("plant_id")
    )
)
_ASSAY = Prepared(
    select(LOTS.c.assay).where(
        LOTS.c.plant_id == bindparam("plant_id"),
        LOTS.c.additive == bindparam("additive"),
        LOTS.c.lot == bindparam("lot"),
    )
)

ValueT = TypeVar("ValueT")
Dated = Sequence[tuple[datetime, ValueT]]


class Kept(NamedTuple):
    """Grades and prices by the time they are valid from, oldest first; additives in the plant's order."""

    version: str | None
    grades: Mapping[str, Dated[Mapping[str, Any]]]
    additives: Mapping[str, Mapping[str, Any]]
    prices: Mapping[str, Dated[Mapping[str, Any]]]
    rule: Mapping[str, Any] | None
    entries: Mapping[tuple[str, str], dict[str, Any]]


_read: WeakKeyDictionary[Pool, dict[str, Kept]] = WeakKeyDictionary()


def of(session: Session, plant_id: str) -> Kept:
    """What is kept now, as this transaction sees it."""
    version = run(session, _VERSION, {"plant_id": plant_id}).scalar()
    by_plant = _read.setdefault(session.connection().engine.pool, {})
    known = by_plant.get(plant_id)
    if known is None or version is None or known.version != version:
        known = by_plant[plant_id] = _load(session, plant_id, version)
    return known


def changed(session: Session, plant_id: str) -> None:
    """Say that what is kept is another; a version is never used twice, also where this is rolled back."""
    session.flush()
    run(session, _CHANGED, {"plant_id": plant_id, "version": new_id(), "changed_at": now()})


def grade_windows(session: Session, plant_id: str, grade: str, at: datetime) -> dict[str, Any] | None:
    """Windows of the grade as valid then; before its first day, as on its first day."""
    versions = of(session, plant_id).grades.get(grade)
    return None if versions is None else dict(_valid(versions, at)["windows"])


def handbook_entry(session: Session, plant_id: str, station: str, grade: str) -> dict[str, Any] | None:
    """The rule for the station and grade, else for the station and any grade, else None."""
    entries = of(session, plant_id).entries
    return entries.get((station, grade), entries.get((station, "*")))


def offers(session: Session, plant_id: str, grade: str, at: datetime) -> list[dict[str, Any]]:
    """What can be added then, in the technologist's order: in stock, priced, not forbidden for the grade."""
    kept = of(session, plant_id)
    versions = kept.grades.get(grade)
    forbidden = () if versions is None else _valid(versions, at)["forbidden_additives"]
    return [
        document
        for document in _documents(session, plant_id, kept, at)
        if document["additive"] not in forbidden
        and (document["stock_kg"] is None or document["stock_kg"] > 0)
    ]


def as_shapes(offers: Sequence[Mapping[str, Any]]) -> list[Additive]:
    """Offers of ours, as documents, in their shape; they are mostly those of the heat before."""
    return [_as_shape(orjson.dumps(offer)) for offer in offers]


@lru_cache(1024)
def _as_shape(offer: bytes) -> Additive:
    return validate(Additive, orjson.loads(offer))


def additives(session: Session, plant_id: str, at: datetime) -> list[dict[str, Any]]:
    """Every additive as it was then, in stock or not, in the technologist's order."""
    return _documents(session, plant_id, of(session, plant_id), at)


def additive(session: Session, plant_id: str, name: str, at: datetime) -> dict[str, Any] | None:
    """One additive, whether it can be added today or not; None where it is not known."""
    documents = _documents(session, plant_id, of(session, plant_id), at)
    return next((document for document in documents if document["additive"] == name), None)


def names(session: Session, plant_id: str) -> list[str]:
    return list(of(session, plant_id).additives)


def certificate(session: Session, plant_id: str, name: str, lot: str) -> dict[str, float] | None:
    """The assay of a lot, in wt %; None where the lot is not known."""
    lot_of = {"plant_id": plant_id, "additive": name, "lot": lot}
    found: dict[str, float] | None = run(session, _ASSAY, lot_of).scalar()
    return found


def document(session: Session, plant_id: str) -> dict[str, Any]:
    """All that is kept of the plant, with today's prices, in the shape of master-data.v1."""
    kept = of(session, plant_id)
    if kept.rule is None:
        raise UnknownError(
            where=plant_id, what="no master data is kept of this plant", allowed="put master data first"
        )
    return {
        "plant_id": plant_id,
        "grades": [
            {"grade": grade, "valid_from": instant_text(valid_from), **version}
            for grade, versions in kept.grades.items()
            for valid_from, version in versions
        ],
        "additives": _documents(session, plant_id, kept, now()),
        "handbook_rule": kept.rule,
    }


def _load(session: Session, plant_id: str, version: str | None) -> Kept:
    grades: dict[str, list[tuple[datetime, dict[str, Any]]]] = {}
    query = select(GRADES).where(GRADES.c.plant_id == plant_id).order_by(GRADES.c.grade, GRADES.c.valid_from)
    for row in run(session, query):
        kept = {"windows": row.windows, "forbidden_additives": row.forbidden_additives}
        grades.setdefault(row.grade, []).append((row.valid_from, kept))
    prices: dict[str, list[tuple[datetime, dict[str, Any]]]] = {}
    query = select(PRICES).where(PRICES.c.plant_id == plant_id).order_by(PRICES.c.valid_from)
    for row in run(session, query):
        price = {"amount": row.amount, "currency": row.currency, "valid_from": instant_text(row.valid_from)}
        prices.setdefault(row.additive, []).append((row.valid_from, price))
    query = select(ADDITIVES).where(ADDITIVES.c.plant_id == plant_id).order_by(ADDITIVES.c.position)
    additives = {
        row.additive: {
            "lot": row.lot,
            "assay": row.assay,
            "min_kg": row.min_kg,
            "max_kg": row.max_kg,
            "increment_kg": row.increment_kg,
            "metallic_yield": row.metallic_yield,
            "chill_c_per_kg_t": row.chill_c_per_kg_t,
        }
        for row in run(session, query)
    }
    rule = run(session, select(RULES.c.document).where(RULES.c.plant_id == plant_id)).scalar()
    entries = {
        (entry["station"], entry["grade"]): entry["entry"] for entry in (rule or {"entries": ()})["entries"]
    }
    return Kept(version, grades, additives, prices, rule, entries)


def _documents(session: Session, plant_id: str, kept: Kept, at: datetime) -> list[dict[str, Any]]:
    told = {name: rest for name, *rest in run(session, _STOCK, {"plant_id": plant_id})}
    return [
        {
            "additive": name,
            "lot": fields["lot"],
            "assay": fields["assay"],
            "price_per_t": _valid(kept.prices[name], at),
            "stock_kg": told[name][0],
            **{field: value for field, value in fields.items() if field not in ("lot", "assay")},
            "available_at": instant_text(told[name][1]),
        }
        for name, fields in kept.additives.items()
        if name in kept.prices and name in told
    ]


def _valid(versions: Dated[ValueT], at: datetime) -> ValueT:
    """The newest that was valid then; before the first day, the first."""
    found = versions[0][1]
    for valid_from, version in versions:
        if valid_from <= at:
            found = version
    return found
