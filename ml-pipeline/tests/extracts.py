"""Small made-up extracts in the formats of real plants; tests add the flaws. Nothing here is measured."""

import csv
from pathlib import Path

import numpy as np

MAPPING = """
plant_id: toy-bof
station: tapping
heats:
  file: heats.csv
  heat_no: heat_id
  grade: grade
  time: {order: file, start: 2025-01-01T00:00:00Z, spacing_min: 40}
  completed_after_min: 35
  steel_mass: {column: steel_kg, unit: kg}
  temperature_c: {column: T_tap, plausible: [1500, 1780]}
  oxygen: {column: O_ppm, unit: ppm}
  slag: {oxides: {unit: pct, columns: {FeO: slag_FeO, CaO: slag_CaO, SiO2: slag_SiO2}}}
  features: {tap_minutes: tap_min}
  chemistry_before:
    unit: mass_fraction
    columns: {C: tap_C, Mn: tap_Mn, Si: {column: tap_Si_pct, unit: pct, below: 0.002}}
  chemistry_after:
    unit: mass_fraction
    columns: {C: final_C, Mn: final_Mn, Si: final_Si}
  weighed:
    unit: kg
    empty: zero
    columns: {硅锰: kg_SiMn, FeSi: kg_FeSi, coke: kg_coke, FeAl: [kg_FeAl, kg_FeAl2]}
additives:
  currency: EUR
  price_valid_from: 2025-01-01T00:00:00Z
  table:
    file: additives.csv
    additive: name
    price_per_t: price
    assay: {unit: mass_fraction, columns: {C: C, Mn: Mn, Si: Si, Al: Al}}
  listed:
    FeSi: {increment_kg: 5}
grades:
  windows:
    A: {C: {min: 0.19, aim: 0.22, max: 0.26}, Mn: {min: 1.15, aim: 1.3, max: 1.45}, Si: {min: 0.28, aim: 0.36, max: 0.46}}
  derived: {elements: [C, Mn, Si], quantiles: [0.02, 0.5, 0.98], min_heats: 30}
"""  # noqa: E501

ADDITIVES = [
    {"name": "硅锰", "C": 0.017, "Mn": 0.66, "Si": 0.17, "Al": 0, "price": 1030},
    {"name": "FeSi", "C": 0.001, "Mn": 0, "Si": 0.75, "Al": 0.01, "price": 1600},
    {"name": "coke", "C": 0.95, "Mn": 0, "Si": 0, "Al": 0, "price": 470},
    {"name": "FeAl", "C": 0, "Mn": 0, "Si": 0.3, "Al": 0.3, "price": 1500},
]
RECOVERY = {"C": 0.93, "Mn": 0.91, "Si": 0.85}
ASSAY_PCT = {"C": (1.7, 0.1, 95.0), "Mn": (66.0, 0.0, 0.0), "Si": (17.0, 75.0, 0.0)}


def heats(n: int, seed: int = 0, noise: float = 1.0) -> list[dict[str, object]]:
    """Rows of a tapping extract: Mn and Si recover best at 700 ppm of oxygen; operators aim at the grade."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for i in range(n):
        grade = "A" if rng.random() < 0.7 else "Б"
        aim = {"C": 0.22, "Mn": 1.30, "Si": 0.36} if grade == "A" else {"C": 0.24, "Mn": 0.90, "Si": 0.30}
        mass_t = rng.normal(72, 1.0)
        oxygen = float(np.clip(rng.normal(700, 180), 250, 1500))
        first = {"C": 0.0025 / oxygen * 1e4 * rng.lognormal(0, 0.1), "Mn": rng.normal(0.10, 0.015), "Si": 0.0}
        kg = _dose(aim, first, mass_t, rng)
        late = 0.03 - 0.05 * min(abs(oxygen - 700) / 180, 2.5)
        final = {}
        for e, share in RECOVERY.items():
            added = sum(k * a for k, a in zip(kg, ASSAY_PCT[e], strict=True)) / (1000 * mass_t)
            dilution = sum(kg) * aim[e] / (1000 * mass_t)
            state = share + (0.0 if e == "C" else late)
            sd = {"C": 0.006, "Mn": 0.015, "Si": 0.012}[e] * noise
            final[e] = first[e] + state * added - dilution + rng.normal(0, sd)
        rows.append(
            {
                "heat_id": f"T{i:05d}", "grade": grade, "O_ppm": round(oxygen),
                "T_tap": round(rng.normal(1660, 15)),
                "tap_min": round(rng.normal(5, 0.5), 1), "steel_kg": round(mass_t * 1000, -1),
                "slag_FeO": round(rng.normal(22, 3), 1), "slag_CaO": round(rng.normal(45, 2), 1),
                "slag_SiO2": round(rng.normal(15, 1), 1) if rng.random() < 0.9 else "",
                "tap_C": round(first["C"] / 100, 6), "tap_Mn": round(first["Mn"] / 100, 6),
                "tap_Si_pct": 0.001,
                "final_C": round(final["C"] / 100, 6), "final_Mn": round(final["Mn"] / 100, 6),
                "final_Si": round(final["Si"] / 100, 6),
                "kg_SiMn": kg[0], "kg_FeSi": kg[1], "kg_coke": kg[2], "kg_FeAl": "", "kg_FeAl2": "",
            }
        )  # fmt: skip
    return rows


def write(folder: Path, rows: list[dict[str, object]], mapping: str = MAPPING, **options: object) -> Path:
    """Write heats.csv, additives.csv and mapping.yaml; return the mapping's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "heats.csv", rows, **options)  # type: ignore[arg-type]
    write_csv(folder / "additives.csv", ADDITIVES)
    path = folder / "mapping.yaml"
    path.write_text(mapping, encoding="utf-8")
    return path


def write_csv(
    path: Path, rows: list[dict[str, object]], delimiter: str = ",", encoding: str = "utf-8"
) -> None:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def _dose(
    aim: dict[str, float], first: dict[str, float], mass_t: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Kilograms of SiMn, FeSi and coke as an operator with fixed recoveries tips them, and his scatter."""
    simn = (aim["Mn"] - first["Mn"]) * mass_t * 1000 / (66.0 * 0.90) * rng.normal(1, 0.03)
    si = simn * 17.0 / (mass_t * 1000) * 0.85
    fesi = max(aim["Si"] - si, 0.0) * mass_t * 1000 / (75.0 * 0.85) * rng.normal(1, 0.08)
    carbon = simn * 1.7 / (mass_t * 1000) * 0.93
    coke = max(aim["C"] - first["C"] - carbon, 0.0) * mass_t * 1000 / (95.0 * 0.93) * rng.normal(1, 0.08)
    return float(round(simn)), float(round(fesi)), float(round(coke))
