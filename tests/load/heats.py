"""Heats as a plant would send them, for load: a small generator of its own, shapes as in `contracts/`.

Random numbers come from the caller, so that a run can be repeated.
"""

import math
import uuid
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

Document = dict[str, Any]

STATION = "tapping"
TYPICAL_RECOVERY = {"C": 0.92, "Si": 0.74, "Mn": 0.88, "Cr": 0.97}
RESULT_SD_PCT = {"C": 0.008, "Si": 0.018, "Mn": 0.025, "Cr": 0.005}

# For requests straight to the model service: 8 elements with windows, 14 additives.
WINDOWS = {
    "C": {"min": 0.14, "aim": 0.16, "max": 0.18},
    "Si": {"min": 0.15, "aim": 0.25, "max": 0.45},
    "Mn": {"min": 1.30, "aim": 1.38, "max": 1.55},
    "P": {"max": 0.022},
    "S": {"max": 0.030},
    "Cr": {"max": 0.20},
    "Cu": {"max": 0.55},
    "Ni": {"max": 0.30},
}
ASSAYS = {
    "SiMn": ({"Mn": 66.0, "Si": 17.0, "C": 1.8, "P": 0.15}, 1030, 5),
    "SiMn-2": ({"Mn": 63.5, "Si": 17.5, "C": 2.7, "P": 0.15}, 990, 5),
    "FeMnHC": ({"Mn": 76.0, "C": 6.8, "Si": 0.5, "P": 0.18}, 1050, 5),
    "FeMnMC": ({"Mn": 80.0, "C": 1.5, "Si": 1.0, "P": 0.18}, 1550, 25),
    "Mn": ({"Mn": 97.0, "C": 0.05}, 1900, 25),
    "FeSi75": ({"Si": 75.5, "Al": 1.2, "C": 0.1}, 1600, 5),
    "FeSi65": ({"Si": 65.0, "Al": 0.8, "C": 0.1}, 1400, 5),
    "FeCrHC": ({"Cr": 64.0, "C": 7.5, "Si": 1.0, "P": 0.02}, 1900, 10),
    "FeCrLC": ({"Cr": 68.0, "C": 0.08}, 3900, 10),
    "FeMo": ({"Mo": 65.0, "Cu": 0.5}, 27000, 2),
    "FeV80": ({"V": 80.0, "Si": 1.5, "Al": 1.5}, 21500, 2),
    "SiC": ({"Si": 56.0, "C": 30.0}, 800, 5),
    "Al": ({"Al": 98.0}, 2400, 2),
    "coke": ({"C": 96.0, "S": 0.5}, 470, 5),
}
HANDBOOK_ENTRY: Document = {
    "nominal_recovery": {**TYPICAL_RECOVERY, "P": 1.0},
    "assumed_pct": {"C": 0.035, "Si": 0.003, "Mn": 0.09},
    "steps": [
        {"element": "Si", "additives": ["SiMn"], "not_beyond_aim_of": ["Mn", "C"]},
        {"element": "Mn", "additives": ["FeMnHC"], "not_beyond_aim_of": ["C"]},
        {"element": "Mn", "additives": ["FeMnMC"]},
        {"element": "Si", "additives": ["FeSi75"]},
        {"element": "C", "additives": ["coke"]},
    ],
}


def instant(moment: datetime) -> str:
    """UTC with milliseconds and Z."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def heat(random: Random, plant_id: str, grade: str, windows: Document, registered: datetime) -> Document:
    """X: an arc furnace's tap, read by instruments that are sometimes wrong."""
    oxygen_ppm = 880 * math.exp(random.gauss(0, 0.24))
    carbon = 27 / oxygen_ppm * math.exp(random.gauss(0, 0.12))
    chemistry: Document = {
        "C": round(carbon, 3),
        "Si": {"below": 0.005},
        "Mn": round(max(random.gauss(0.09, 0.025), 0.02), 3),
        "P": round(max(random.gauss(0.010, 0.002), 0.004), 4),
        "S": round(max(random.gauss(0.020, 0.003), 0.008), 4),
        "Cr": round(max(random.gauss(0.08, 0.015), 0.01), 3),
        "Cu": round(max(random.gauss(0.20, 0.035), 0.05), 3),
        "Ni": round(max(random.gauss(0.08, 0.012), 0.02), 3),
    }
    return {
        "treatment": {
            "plant_id": plant_id,
            "heat_uid": str(uuid.UUID(int=random.getrandbits(128), version=4)),
            "station": STATION,
            "treatment_no": 1,
        },
        "heat_no": f"LOAD-{random.getrandbits(32):08x}",
        "revision": 1,
        "registered_at": instant(registered),
        "grade": grade,
        "windows": windows,
        "chemistry": {} if random.random() < 0.03 else chemistry,
        "sampled_at": instant(registered - timedelta(seconds=90)),
        "steel_mass_t": round(random.gauss(120, 2.5), 1),
        "temperature_c": 0.0 if random.random() < 0.01 else float(round(random.gauss(1650, 14))),
        "oxygen_ppm": 9999.0 if random.random() < 0.01 else float(round(oxygen_ppm)),
        "slag": {
            "carry_over_kg_t": round(5 * math.exp(random.gauss(0, 0.45)), 1),
            "oxides": {"FeO": round(random.gauss(25, 4), 1), "MnO": round(max(random.gauss(5, 1.5), 0), 1)},
        },
        "features": {"taphole_heats": float(random.randrange(150))},
    }


def additives() -> list[Document]:
    """Fourteen offers, two or more for most elements."""
    return [
        {
            "additive": name,
            "lot": f"{name}-1",
            "assay": assay,
            "price_per_t": {"amount": float(price), "currency": "EUR", "valid_from": "2025-01-01T00:00:00Z"},
            "stock_kg": 20000.0,
            "min_kg": 0.0,
            "max_kg": 4000.0,
            "increment_kg": float(increment),
            "metallic_yield": 0.9,
            "chill_c_per_kg_t": -1.5,
        }
        for name, (assay, price, increment) in ASSAYS.items()
    ]


def usual_additions(random: Random) -> list[Document]:
    """What a steelmaker tips into 120 t of a structural grade."""
    usual = {"SiMn": 2200, "FeMnHC": 330, "FeSi75": 60, "coke": 110}
    return [
        {"additive": name, "lot": f"{name}-1", "added_kg": float(5 * round(random.gauss(kg, 0.05 * kg) / 5))}
        for name, kg in usual.items()
    ]


def result(random: Random, x: Document, offers: list[Document], additions: list[Document]) -> Document:
    """X': what these kilograms would make of the heat, with typical recoveries and some noise."""
    assays = {offer["additive"]: offer["assay"] for offer in offers}
    after: Document = {}
    for element in ("C", "Si", "Mn", "P", "S", "Cr", "Cu", "Ni"):
        before = x["chemistry"].get(element, 0.03)
        before = before["below"] / 2 if isinstance(before, dict) else before
        added = sum(a["added_kg"] * assays.get(a["additive"], {}).get(element, 0.0) for a in additions)
        gain = added / (1000 * x["steel_mass_t"]) * TYPICAL_RECOVERY.get(element, 1.0)
        noise = random.gauss(0, RESULT_SD_PCT.get(element, 0.0005))
        after[element] = round(max(before + gain + noise, 0.001), 4)
    return after


def recommendation_request(random: Random, recent: int, bundle_hash: str | None) -> Document:
    """A request as the backend makes it. With `bundle_hash`, recent heats carry the prediction made then."""
    now = datetime.now(UTC)
    offers = additives()
    by_name = {offer["additive"]: offer for offer in offers}
    past = []
    for number in range(recent, 0, -1):
        registered = now - timedelta(minutes=40 * number)
        x = heat(random, "demo", "S355J2", WINDOWS, registered)
        added = usual_additions(random)
        after = result(random, x, offers, added)
        predicted = {e: round(v + random.gauss(0, 0.005), 4) for e, v in after.items()}
        past.append(
            {
                "treatment": x["treatment"],
                "completed_at": instant(registered + timedelta(minutes=12)),
                "heat": x,
                "additives": [by_name[a["additive"]] for a in added],
                "additions": added,
                "chemistry_after": after,
                "base_prediction_pct": predicted if bundle_hash else None,
                "bundle_hash": bundle_hash,
            }
        )
    return {
        "heat": heat(random, "demo", "S355J2", WINDOWS, now),
        "additives": offers,
        "recent_heats": past,
        "handbook_entry": HANDBOOK_ENTRY,
        "confidence": 0.95,
    }
