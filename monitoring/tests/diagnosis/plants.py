"""A small plant in the lake's own shape, seeded, in which one thing can be made to go wrong.

One station pair, three grades, four alloys; what the model predicts is what truly happens but for noise,
lots that differ a little from their certificates, and what is made to go wrong from heat `begin` on.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import polars as pl
import pyarrow as pa

from monitoring.lake.tables import arrow_schema, delta_schema

FIRST_AT = datetime(2026, 1, 1, tzinfo=UTC)
ASSAYS = {
    "SiMn": {"Mn": 66.0, "Si": 17.0},
    "FeMn": {"Mn": 76.0},
    "FeSi": {"Si": 75.0},
    "coke": {"C": 96.0},
}
KG = {
    "A": {"SiMn": 1200.0, "FeMn": 300.0, "FeSi": 100.0, "coke": 150.0},
    "B": {"SiMn": 800.0, "FeMn": 700.0, "FeSi": 250.0, "coke": 350.0},
    "C": {"SiMn": 500.0, "FeMn": 900.0, "FeSi": 300.0, "coke": 500.0},
}
SD_PCT = {"Mn": 0.015, "Si": 0.008, "C": 0.006}
LOT_HEATS, LOT_SD_REL, MASS_T = 60, 0.007, 120.0
SHARE_AT_LADLE_FURNACE = 0.15


@dataclass
class Trouble:
    """What goes wrong from heat `begin` on; nothing by default."""

    begin: int = 10**9
    lot: tuple[str, str, float] | None = None  # additive, element, relative
    scale: float = 0.0  # relative, of everything that is tipped
    spectrometer: tuple[str, float] | None = None  # element, relative, of both samples
    practice: tuple[str, str, float] | None = None  # grade, element, wt %, at tapping
    aim_pct: float = 0.0  # wt % of Mn, people's own
    carry_over_kg_t: float = 0.0
    oxygen_is_missing: bool = False
    copper_pct: float = 0.0
    price: float = 1.0
    without: str | None = None
    grade: str | None = None
    change: Callable[[dict[str, Any]], None] = field(default=lambda row: None)


def rows(heats: int, trouble: Trouble | None = None, *, seed: int = 1, plant_id: str = "P") -> pl.LazyFrame:
    """Rows of the lake: each heat at tapping and at the ladle furnace."""
    wrong = trouble or Trouble()
    rng = random.Random(seed)
    true_lots: dict[tuple[str, str, int], float] = {}
    found = []
    for n in range(heats):
        now = n >= wrong.begin
        grade = "ABC"[(n // 6) % 3]
        if now and wrong.grade and grade == "C":
            grade = wrong.grade
        copper = 0.2 + (wrong.copper_pct if now else 0.0)
        for station, share in (("tapping", 1.0), ("ladle_furnace", SHARE_AT_LADLE_FURNACE)):
            found.append(_row(rng, wrong, true_lots, n, now, grade, station, share, copper, plant_id))
            wrong.change(found[-1])
    table = pa.Table.from_pylist(found, schema=arrow_schema(delta_schema("heats")))
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame.lazy()


def _row(
    rng: random.Random,
    wrong: Trouble,
    true_lots: dict[tuple[str, str, int], float],
    n: int,
    now: bool,
    grade: str,
    station: str,
    share: float,
    copper: float,
    plant_id: str,
) -> dict[str, Any]:
    at = FIRST_AT + timedelta(minutes=40 * n + (30 if station == "ladle_furnace" else 0))
    aim_kg = rng.gauss(0, 10) + (wrong.aim_pct * MASS_T * 1000 / 76 if now else 0.0)
    kg = {
        a: of * share * rng.uniform(0.9, 1.1)
        for a, of in KG.get(grade, KG["C"]).items()
        if a != wrong.without or not now
    }
    if "FeMn" in kg:
        kg["FeMn"] += aim_kg if station == "tapping" else 0.0
    offset = {"SiMn": 0, "FeMn": 17, "FeSi": 31, "coke": 43}
    lots = {a: (n + offset[a]) // LOT_HEATS for a in kg}
    if now and wrong.lot and n < wrong.begin + LOT_HEATS:
        lots[wrong.lot[0]] = 9001
    first = {
        "Mn": 0.1 + (1 - share),
        "Si": 0.01 + 0.2 * (1 - share),
        "C": 0.05 + 0.2 * (1 - share),
        "Cu": copper,
    }
    base, final = dict(first), dict(first)
    for additive, of_kg in kg.items():
        for element, pct in ASSAYS[additive].items():
            added = of_kg * pct / (1000 * MASS_T)
            key = (additive, element, lots[additive])
            off = true_lots.setdefault(key, rng.gauss(0, LOT_SD_REL))
            if lots[additive] == 9001 and wrong.lot:
                off = wrong.lot[2] if element == wrong.lot[1] else 0.0
            base[element] += added
            final[element] += added * (1 + off + (wrong.scale if now else 0.0))
    for element, sd in SD_PCT.items():
        final[element] += rng.gauss(0, sd * (1 if station == "tapping" else 0.4))
    if now and wrong.practice and wrong.practice[0] == grade and station == "tapping":
        final[wrong.practice[1]] += wrong.practice[2]
    if now and wrong.spectrometer:
        element, relative = wrong.spectrometer
        final[element] += (final[element] - first[element]) * relative  # both samples read high
    sds = {e: sd * (1 if station == "tapping" else 0.4) for e, sd in SD_PCT.items()}
    return {
        "event_id": f"{plant_id}/{n}/{station}",
        "origin": "bus",
        "stream": "PRODUCT then",
        "stream_seq": 2 * n + (station != "tapping"),
        "plant_id": plant_id,
        "heat_uid": str(UUID(int=n + 1, version=4)),
        "station": station,
        "treatment_no": 1,
        "revision": 1,
        "heat_no": str(n),
        "completed_at": at + timedelta(minutes=14),
        "available_at": at + timedelta(minutes=14),
        "grade": grade,
        "registered_at": at,
        "windows": [{"element": e, "min_pct": 0.0, "aim_pct": base[e], "max_pct": 3.0} for e in SD_PCT],
        "steel_mass_t": MASS_T,
        "temperature_c": rng.gauss(1650, 14),
        "oxygen_ppm": None if now and wrong.oxygen_is_missing else rng.gauss(880, 200),
        "slag_carry_over_kg_t": max(0.0, rng.gauss(6, 1.5) + (wrong.carry_over_kg_t if now else 0.0)),
        "slag": [],
        "features": [],
        "chemistry": [
            {"element": e, "pct": v + (rng.gauss(0, 0.02) if e == "Cu" else 0.0), "below_pct": None}
            for e, v in first.items()
        ],
        "additives": [
            {
                "additive": a,
                "lot": f"{a}-{lots[a]}",
                "assay": [{"element": e, "pct": p} for e, p in ASSAYS[a].items()],
                "price_per_t": 1000.0 * (wrong.price if now else 1.0),
                "currency": "EUR",
                "increment_kg": 5.0,
            }
            for a in kg
        ],
        "recommended": [],
        "recommended_predicted": [],
        "handbook": [],
        "decided": [],
        "weighed": [
            {
                "addition_id": f"A{i}",
                "revision": 1,
                "additive": a,
                "lot": f"{a}-{lots[a]}",
                "added_kg": of_kg,
                "weighed_at": at + timedelta(minutes=3),
            }
            for i, (a, of_kg) in enumerate(kg.items())
        ],
        "weighed_predicted": [
            {
                "element": e,
                "base_pct": base[e],
                "correction_pct": 0.0,
                "predicted_pct": base[e],
                "sd_pct": sd,
                "low_pct": base[e] - 1.645 * sd,
                "high_pct": base[e] + 1.645 * sd,
            }
            for e, sd in sds.items()
        ],
        "samples": [
            {
                "sample_id": "S",
                "revision": 1,
                "is_final": True,
                "sampled_at": at + timedelta(minutes=9),
                "available_at": at + timedelta(minutes=14),
                "chemistry": [
                    {"element": e, "pct": max(0.0, v), "below_pct": None} for e, v in final.items()
                ],
            }
        ],
    }
