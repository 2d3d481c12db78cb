"""The mapping file of a history: what its columns mean, for `ml-pipeline import`."""

from datetime import datetime
from typing import Any

from plant_simulator.catalogue import LADLE_FURNACE, TAPPING, Catalogue
from plant_simulator.elements import ELEMENTS
from plant_simulator.instruments import DETECTION_LIMIT_PCT

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
BEFORE = {TAPPING: "tap", LADLE_FURNACE: "first"}
"""What the columns of the chemistry before additions begin with."""


def document(plant: Catalogue, plant_id: str, start: datetime, station: str) -> dict[str, Any]:
    """Columns, units, windows, lots with their certificates and prices."""
    limits = dict(zip(ELEMENTS, DETECTION_LIMIT_PCT.tolist(), strict=True))

    def chemistry(prefix: str) -> dict[str, Any]:
        return {
            "unit": "pct",
            "columns": {e: {"column": f"{prefix}_{e}", "below": limits[e]} for e in ELEMENTS},
        }

    def additions(prefix: str) -> dict[str, Any]:
        return {"unit": "kg", "empty": "zero", "columns": {a: f"{prefix}_{a}" for a in plant.additive_names}}

    oxides = {"unit": "pct", "columns": {"FeO": "slag_FeO", "MnO": "slag_MnO"}}
    is_tapping = station == TAPPING
    only_tapping = {
        "oxygen": {"column": "oxygen_ppm", "unit": "ppm", "plausible": [20, 3000]},
        "slag": {"carry_over_kg_t": "carry_over_kg_t", "oxides": oxides},
        "features": {"taphole_heats": "taphole_heats"},
    }
    return {
        "plant_id": plant_id,
        "station": station,
        "heats": {
            "file": "heats.csv",
            "heat_no": "heat_no",
            "grade": "grade",
            "time": {"column": "registered_at", "format": TIME_FORMAT, "timezone": "UTC"},
            "completed_after_min": "completed_after_min",
            "steel_mass": {"column": "steel_mass_t", "unit": "t", "plausible": [60, 200]},
            "temperature_c": {"column": "temperature_c", "plausible": [1400, 1800]},
            "temperature_after_c": {"column": "temperature_after_c", "plausible": [1400, 1800]},
            **(only_tapping if is_tapping else {"slag": {"oxides": oxides}}),
            "chemistry_before": chemistry(BEFORE[station]),
            "chemistry_after": chemistry("final"),
            "weighed": additions("weighed_kg"),
            "decided": additions("decided_kg"),
        },
        "additives": {
            "currency": plant.currency,
            "price_valid_from": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "table": {
                "file": "additives.csv",
                "additive": "additive",
                "lot": "lot",
                "valid_from": {"column": "valid_from", "format": TIME_FORMAT, "timezone": "UTC"},
                "price_per_t": "price_per_t",
                "max_kg": "max_kg",
                "increment_kg": "increment_kg",
                "assay": {"unit": "pct", "columns": {e: f"assay_{e}" for e in ELEMENTS}},
            },
        },
        "grades": {
            "windows": {
                g.grade: {e: dict(w) for e, w in plant.windows_of(station, i, g.is_al_killed).items()}
                for i, g in enumerate(plant.grades)
            }
        },
    }
