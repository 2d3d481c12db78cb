"""What a plant makes and tips: grades, additives, handbook, from data files that a plant can edit."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from plant_simulator.elements import ELEMENTS, Floats, vector
from plant_simulator.errors import BadSettingError

FILES = ("additives.yaml", "grades.yaml", "handbook.yaml")


@dataclass(frozen=True)
class Grade:
    """`windows_pct`:

    element to {min, aim, max}, at tapping; min, aim and max as vectors, NaN where there is none.
    """

    grade: str
    campaign_share: float
    windows_pct: Mapping[str, Mapping[str, float]]
    min_pct: Floats
    aim_pct: Floats
    max_pct: Floats


@dataclass(frozen=True)
class Additive:
    """One alloy as the plant orders it; a lot's own assay scatters around `assay_pct` by `lot_sd_pct`."""

    additive: str
    lot_prefix: str
    assay_pct: Floats
    lot_sd_pct: Floats
    iron_share: float
    price_per_t: float
    chill_c_per_kg_t: float
    metallic_yield: float
    loss_factor: float
    increment_kg: float
    max_kg: float
    bin_kg: float
    can_be_left_out: bool


@dataclass(frozen=True)
class Catalogue:
    """All of it, checked. `handbook_rule` is the contract's document, as data."""

    currency: str
    prices_valid_from: str
    grades_valid_from: str
    additives: tuple[Additive, ...]
    grades: tuple[Grade, ...]
    handbook_rule: Mapping[str, Any]

    def handbook_entry(self, station: str, grade: str) -> Mapping[str, Any]:
        """The entry for a grade, or the station's entry for any other grade (`*`)."""
        entries = {e["grade"]: e["entry"] for e in self.handbook_rule["entries"] if e["station"] == station}
        found: Mapping[str, Any] = entries[grade] if grade in entries else entries["*"]
        return found

    @property
    def additive_names(self) -> tuple[str, ...]:
        return tuple(a.additive for a in self.additives)

    def per_additive(self, name: str) -> Floats:
        """One number per additive, such as `increment_kg`."""
        return np.array([getattr(a, name) for a in self.additives], dtype=np.float64)


def load(folder: Path | None = None) -> Catalogue:
    """The catalogue of a folder with additives.yaml, grades.yaml and handbook.yaml; without one, the demo
    plant's.

    Raises BadSettingError for a missing file and for figures that cannot be.
    """
    source = resources.files("plant_simulator") / "data" if folder is None else folder
    texts = {}
    for name in FILES:
        try:
            texts[name] = (source / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise BadSettingError(
                "no such file", f"{source}/{name}", f"a folder with {', '.join(FILES)}"
            ) from None
    try:
        catalogue = _read(*(yaml.safe_load(texts[name]) for name in FILES))
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadSettingError(
            f"{error!r}", str(source), f"what the demo plant's {', '.join(FILES)} have"
        ) from error
    _check_handbook(catalogue)
    return catalogue


def _read(additives: Any, grades: Any, handbook: Any) -> Catalogue:
    shares = [row["campaign_share"] for row in grades["grades"]]
    if min(shares) < 0 or max(shares) <= 0:
        raise BadSettingError(f"campaign shares {shares}", "grades.yaml", "none under 0, one above 0")
    return Catalogue(
        currency=additives["currency"],
        prices_valid_from=additives["valid_from"],
        grades_valid_from=grades["valid_from"],
        additives=tuple(_additive(row) for row in additives["additives"]),
        grades=tuple(_grade(row) for row in grades["grades"]),
        handbook_rule=handbook,
    )


def _additive(row: Mapping[str, Any]) -> Additive:
    where = f"additives.yaml, {row.get('additive')}"
    total = sum(row["assay_pct"].values()) + row["iron_pct"]
    if not 0 < total <= 100:
        raise BadSettingError(f"assay and iron add to {total:g} %", where, "above 0, at most 100 %")
    for name in ("price_per_t", "increment_kg", "max_kg", "bin_kg"):
        if row[name] <= 0:
            raise BadSettingError(f"{name} {row[name]:g}", where, "above 0")
    return Additive(
        additive=row["additive"],
        lot_prefix=row["lot_prefix"],
        assay_pct=_elements(row["assay_pct"], where),
        lot_sd_pct=_elements(row["lot_sd_pct"], where),
        iron_share=row["iron_pct"] / 100,
        can_be_left_out=bool(row["can_be_left_out"]),
        **{
            name: float(row[name])
            for name in (
                "price_per_t",
                "chill_c_per_kg_t",
                "metallic_yield",
                "loss_factor",
                "increment_kg",
                "max_kg",
                "bin_kg",
            )
        },
    )


def _grade(row: Mapping[str, Any]) -> Grade:
    windows = row["windows"]
    for element, window in windows.items():
        given = [window[bound] for bound in ("min", "aim", "max") if bound in window]
        if not given or given != sorted(given):
            raise BadSettingError(
                f"window {window}",
                f"grades.yaml, {row.get('grade')}, {element}",
                "min <= aim <= max, at least one",
            )

    def bounds(bound: str) -> Floats:
        where = f"grades.yaml, {row['grade']}"
        return _elements({e: w[bound] for e, w in windows.items() if bound in w}, where, default=np.nan)

    return Grade(
        row["grade"], float(row["campaign_share"]), windows, bounds("min"), bounds("aim"), bounds("max")
    )


def _elements(values: Mapping[str, float], where: str, default: float = 0.0) -> Floats:
    for element, value in values.items():
        if element not in ELEMENTS or not 0 <= value <= 100:
            raise BadSettingError(f"{element} {value}", where, f"0 to 100 % of {', '.join(ELEMENTS)}")
    return vector(values, default)


def _check_handbook(catalogue: Catalogue) -> None:
    known = {"*", *(g.grade for g in catalogue.grades)}
    for row in catalogue.handbook_rule["entries"]:
        where = f"handbook.yaml, {row['station']}, {row['grade']}"
        if row["grade"] not in known:
            raise BadSettingError(f"unknown grade {row['grade']}", where, ", ".join(sorted(known)))
        for step in row["entry"]["steps"]:
            unknown = set(step["additives"]) - set(catalogue.additive_names)
            if unknown:
                raise BadSettingError(
                    f"unknown additive {', '.join(sorted(unknown))}",
                    where,
                    ", ".join(catalogue.additive_names),
                )
