"""Requests to the model service, as the backend makes them, of a plant's extract (`plant-simulator history`).

8 elements with windows, 14 additives, and the 30 heats before with what was weighed and what came out.
"""

import csv
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

Document = dict[str, Any]

GRADE, FURTHER_WINDOWS = "42CrMo4", {"Cu": {"max": 0.30}}
LEFT_OUT = {"Ni", "CaSi"}  # of the plant's 16 additives; no window of the grade asks for them
RECENT_HEATS = 30
FULL_KG, LOW_KG = 20000.0, 5000.0  # what a bin holds, and where it is filled up again
HANDBOOK_ENTRY: Document = {
    "nominal_recovery": {"C": 0.92, "Si": 0.8, "Mn": 0.9, "Cr": 0.97, "Mo": 0.98, "Al": 0.25},
    "steps": [
        {"element": "Cr", "additives": ["FeCrHC"], "not_beyond_aim_of": ["C"]},
        {"element": "Cr", "additives": ["FeCrLC"]},
        {"element": "Mo", "additives": ["FeMo"]},
        {"element": "Si", "additives": ["SiMn"], "not_beyond_aim_of": ["Mn", "C"]},
        {"element": "Mn", "additives": ["FeMnHC"], "not_beyond_aim_of": ["C"]},
        {"element": "Mn", "additives": ["FeMnMC"]},
        {"element": "Si", "additives": ["FeSi75"]},
        {"element": "C", "additives": ["coke"]},
        {"element": "Al", "additives": ["Al"]},
    ],
}


class Plant:
    """An extract, read whole."""

    def __init__(self, folder: Path) -> None:
        mapping = yaml.safe_load((folder / "mapping.yaml").read_text())
        self.plant_id, self.station = mapping["plant_id"], mapping["station"]
        self.windows: Document = mapping["grades"]["windows"][GRADE] | FURTHER_WINDOWS
        self.heats = list(csv.DictReader((folder / "heats.csv").open(newline="")))
        self._lots = list(csv.DictReader((folder / "additives.csv").open(newline="")))
        self._stock_kg = list(self._stocks())

    def heat(self, i: int) -> Document:
        """X of the `i`-th heat, asked for in the grade of this bench."""
        row = self.heats[i]
        return {
            "treatment": self._treatment(i),
            "heat_no": row["heat_no"],
            "revision": 1,
            "registered_at": _instant(row["registered_at"]),
            "grade": GRADE,
            "windows": self.windows,
            "chemistry": self._chemistry(row, "tap"),
            "steel_mass_t": _number(row["steel_mass_t"]),
            "temperature_c": _number(row["temperature_c"]),
            "oxygen_ppm": _number(row["oxygen_ppm"]),
            "slag": {
                "carry_over_kg_t": _number(row["carry_over_kg_t"]),
                "oxides": {"FeO": _number(row["slag_FeO"]), "MnO": _number(row["slag_MnO"])},
            },
            "features": {"taphole_heats": _number(row["taphole_heats"])},
        }

    def offers(self, i: int) -> list[Document]:
        """What can be tipped into the `i`-th heat: the lot in the bin of each additive."""
        at = self.heats[i]["registered_at"]
        lots = {lot["additive"]: lot for lot in self._lots if lot["valid_from"] <= at}
        return [_offer(lot, self._stock_kg[i][name]) for name, lot in lots.items() if name not in LEFT_OUT]

    def recent(self, i: int, base_pct: Document, bundle_hash: str | None) -> Document:
        """The `i`-th heat as a finished one, with the base prediction made then for what was weighed."""
        added = self.weighed(i)
        names = {addition["additive"] for addition in added}
        completed = datetime.fromisoformat(self.heats[i]["registered_at"]) + timedelta(minutes=12)
        return {
            "treatment": self._treatment(i),
            "completed_at": _instant(str(completed)),
            "heat": self.heat(i),
            "additives": [offer for offer in self.offers(i) if offer["additive"] in names],
            "additions": added,
            "chemistry_after": self._chemistry(self.heats[i], "final"),
            "base_prediction_pct": base_pct,
            "bundle_hash": bundle_hash,
        }

    def weighed(self, i: int) -> list[Document]:
        """Y' of the `i`-th heat."""
        return [
            {"additive": offer["additive"], "lot": offer["lot"], "added_kg": kilograms}
            for offer in self.offers(i)
            if (kilograms := _number(self.heats[i][f"weighed_kg_{offer['additive']}"]) or 0.0) > 0
        ]

    def request(self, i: int, recent: list[Document]) -> Document:
        """What the backend asks for the `i`-th heat."""
        return {
            "heat": self.heat(i),
            "additives": self.offers(i),
            "recent_heats": recent,
            "handbook_entry": HANDBOOK_ENTRY,
            "confidence": 0.95,
        }

    def _stocks(self) -> Iterator[dict[str, float]]:
        """What the bins hold before each heat: less by what the heat before took."""
        stock = dict.fromkeys((lot["additive"] for lot in self._lots), FULL_KG)
        for row in self.heats:
            yield dict(stock)
            for name in stock:
                stock[name] -= _number(row[f"weighed_kg_{name}"]) or 0.0
                if stock[name] < LOW_KG:
                    stock[name] = FULL_KG

    def _treatment(self, i: int) -> Document:
        return {
            "plant_id": self.plant_id,
            "heat_uid": str(UUID(int=i)),
            "station": self.station,
            "treatment_no": 1,
        }

    def _chemistry(self, row: dict[str, str], sample: str) -> Document:
        return {element: _number(row[f"{sample}_{element}"]) for element in self.windows}


def _offer(lot: dict[str, str], stock_kg: float) -> Document:
    assay = {name[len("assay_") :]: float(text) for name, text in lot.items() if name.startswith("assay_")}
    return {
        "additive": lot["additive"],
        "lot": lot["lot"],
        "assay": {element: pct for element, pct in assay.items() if pct > 0},
        "price_per_t": {
            "amount": float(lot["price_per_t"]),
            "currency": "EUR",
            "valid_from": _instant(lot["valid_from"]),
        },
        "stock_kg": round(stock_kg, 1),
        "max_kg": float(lot["max_kg"]),
        "increment_kg": float(lot["increment_kg"]),
        "metallic_yield": 0.9,
        "chill_c_per_kg_t": -1.5,
    }


def _number(text: str) -> float | None:
    return float(text) if text else None


def _instant(text: str) -> str:
    return f"{text.replace(' ', 'T')}Z"
