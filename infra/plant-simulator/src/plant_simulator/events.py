"""The plant's messages as the contracts `plant-events` have them:

CloudEvents whose data is made of readings only.
"""

import math
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from plant_simulator.catalogue import MISS_PRICE, Additive, Catalogue
from plant_simulator.elements import ELEMENTS, Booleans, Floats
from plant_simulator.instruments import ObservedHeats, ObservedResults
from plant_simulator.lots import lot_name
from plant_simulator.master_data import assay_document, price_document

SOURCE = "plant-simulator"
REGISTERED, WEIGHED, ANALYSED = (
    "plant.heat.registered.v1",
    "plant.addition.weighed.v1",
    "plant.sample.analysed.v1",
)
CANCELLED, DIVERTED = "plant.heat.cancelled.v1", "plant.heat.diverted.v1"
LOT, STOCK, PRICE = "plant.lot.received.v1", "plant.stock.counted.v1", "plant.price.changed.v1"

Document = dict[str, Any]


def envelope(kind: str, subject: str, data: Document, now: datetime, event_id: str | None = None) -> Document:
    """A CloudEvent of one fact."""
    return {
        "specversion": "1.0",
        "id": event_id or str(uuid.uuid4()),
        "source": SOURCE,
        "type": kind,
        "subject": subject,
        "time": instant(now),
        "datacontenttype": "application/json",
        "data": data,
    }


def instant(moment: datetime) -> str:
    """UTC with milliseconds and Z."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def key(treatment: Mapping[str, Any]) -> str:
    """The subject of messages about a treatment."""
    return (
        f"{treatment['plant_id']}/{treatment['heat_uid']}/{treatment['station']}/{treatment['treatment_no']}"
    )


def heat(
    plant: Catalogue, seen: ObservedHeats, treatment: Document, heat_no: str, grade: int, now: datetime
) -> Document:
    """X, from the readings of one heat (a table of one row). False readings go as they are read; what was not
    read is left out.
    """
    slag: Document = {}
    if not math.isnan(seen.carry_over_kg_t[0]):
        slag["carry_over_kg_t"] = float(seen.carry_over_kg_t[0])
    if not math.isnan(seen.slag_feo_pct[0]):
        slag["oxides"] = {"FeO": float(seen.slag_feo_pct[0]), "MnO": float(seen.slag_mno_pct[0])}
    document = {
        "treatment": treatment,
        "heat_no": heat_no,
        "revision": 1,
        "registered_at": instant(now),
        "grade": plant.grades[grade].grade,
        "windows": windows(plant, seen, treatment, grade),
        "chemistry": chemistry(seen.chemistry_pct[0], seen.is_below[0]),
        "sampled_at": instant(now - timedelta(seconds=90)),
        "steel_mass_t": float(seen.steel_mass_t[0]),
        "temperature_c": float(seen.temperature_c[0]),
        "slag": slag,
        "features": {"taphole_heats": float(seen.taphole_heats[0])},
    }
    if not math.isnan(seen.oxygen_ppm[0]):
        document["oxygen_ppm"] = float(seen.oxygen_ppm[0])
    if forbidden := plant.grades[grade].forbidden_additives:
        document["forbidden_additives"] = list(forbidden)
    return document


def price_of_a_miss(plant: Catalogue, amount: float = MISS_PRICE) -> Document:
    """What a heat outside its windows costs, as a part of X."""
    return {"price_of_a_miss": {"amount": amount, "currency": plant.currency}}


def windows(plant: Catalogue, seen: ObservedHeats, treatment: Document, grade: int) -> Document:
    """What the heat has to meet at the treatment's station as that grade."""
    is_al_killed = bool(seen.is_al_killed[0]) if grade == seen.grade[0] else plant.grades[grade].is_al_killed
    found = plant.windows_of(treatment["station"], grade, is_al_killed)
    return {e: dict(w) for e, w in found.items()}


def cancelled(treatment: Document, now: datetime) -> Document:
    """A treatment that will not take place."""
    return {"treatment": treatment, "cancelled_at": instant(now), "reason": "heat returned to the furnace"}


def diverted(plant: Catalogue, seen: ObservedHeats, treatment: Document, now: datetime) -> Document:
    """The heat goes to the grade that it is made for now."""
    grade = int(seen.grade[0])
    return {
        "treatment": treatment,
        "diverted_at": instant(now),
        "grade": plant.grades[grade].grade,
        "windows": windows(plant, seen, treatment, grade),
        "reason": "order changed",
    }


def chemistry(read_pct: Floats, is_below: Booleans) -> Document:
    """Element to analysis; what was not measured is left out."""
    return {
        e: {"below": float(v)} if b else float(v)
        for e, v, b in zip(ELEMENTS, read_pct, is_below, strict=True)
        if not math.isnan(v)
    }


def weighed(
    plant: Catalogue,
    treatment: Document,
    seen: ObservedHeats,
    weighed_kg: Floats,
    revision: int,
    now: datetime,
) -> Document:
    """What the bin scales wrote down, by lot; only what was tipped."""
    return {
        "treatment": treatment,
        "additions": [
            {
                "addition_id": f"A{position + 1}",
                "revision": revision,
                "additive": additive.additive,
                "lot": lot_name(additive, int(seen.lot_no[0, position])),
                "added_kg": float(weighed_kg[position]),
                "weighed_at": instant(now),
            }
            for position, additive in enumerate(plant.additives)
            if weighed_kg[position] > 0
        ],
    }


def final_sample(
    treatment: Document, after: ObservedResults, sampled: datetime, revision: int, now: datetime
) -> Document:
    """X', from the readings after additions (a table of one row)."""
    return {
        "treatment": treatment,
        "sample": {
            "sample_id": "S2",
            "revision": revision,
            "is_final": True,
            "sampled_at": instant(sampled),
            "analysed_at": instant(now),
            "chemistry": chemistry(after.chemistry_pct[0], after.is_below[0]),
            "steel_mass_t": float(after.steel_mass_t[0]),
            "temperature_c": float(after.temperature_c[0]),
        },
    }


def extra_sample(treatment: Document, after: ObservedResults, now: datetime) -> Document:
    """A sample before the final one, of temperature only."""
    return {
        "treatment": treatment,
        "sample": {
            "sample_id": "S1",
            "revision": 1,
            "is_final": False,
            "sampled_at": instant(now),
            "chemistry": {},
            "temperature_c": float(after.temperature_c[0]),
        },
    }


def lot_received(
    plant_id: str,
    additive: Additive,
    lot_no: int,
    certificate_pct: Floats,
    received_kg: float,
    now: datetime,
) -> Document:
    """A lot with its certificate."""
    return {
        "plant_id": plant_id,
        "additive": additive.additive,
        "lot": lot_name(additive, lot_no),
        "assay": assay_document(certificate_pct),
        "received_at": instant(now),
        "received_kg": received_kg,
    }


def stock_counted(plant_id: str, additive: Additive, stock_kg: float, now: datetime) -> Document:
    """What the bin holds."""
    return {
        "plant_id": plant_id,
        "additive": additive.additive,
        "stock_kg": stock_kg,
        "counted_at": instant(now),
    }


def price_changed(
    plant: Catalogue, plant_id: str, additive: Additive, price_per_t: float, now: datetime
) -> Document:
    """A price from now on."""
    price = price_document(plant, price_per_t, valid_from=instant(now))
    return {"plant_id": plant_id, "additive": additive.additive, "price_per_t": price}
