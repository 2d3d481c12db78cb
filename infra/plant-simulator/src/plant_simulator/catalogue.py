"""What a plant makes and tips: grades, additives, handbook, from data files that a plant can edit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from plant_simulator import places
from plant_simulator.elements import ELEMENTS, Booleans, Floats, vector
from plant_simulator.errors import BadSettingError
from plant_simulator.places import Placed

FILES = ("additives.yaml", "grades.yaml", "handbook.yaml")
TAPPING, LADLE_FURNACE = "tapping", "ladle_furnace"
STATIONS = (TAPPING, LADLE_FURNACE)
DEOXIDATIONS = ("SiMn", "Al")
"""How a heat is killed at tapping; `is_al_killed` is the position."""

MISS_PRICE = 6000.0
"""Money per heat outside a window: 50 a tonne [M], what a downgraded or remelted heat loses."""

Windows = Mapping[str, Mapping[str, float]]
"""Element to {min, aim, max}, wt %; a missing bound is no limit."""


class Bounds(NamedTuple):
    """Windows as arrays (grade, is_al_killed, element), NaN where there is no bound."""

    min_pct: Floats
    aim_pct: Floats
    max_pct: Floats


@dataclass(frozen=True)
class Grade:
    """One grade. `windows` are the plant's own for the finished heat, inside the `standard_windows`."""

    grade: str
    campaign_share: float
    is_al_killed: bool
    treatment_min: float
    sulphur_removed_share: float
    forbidden_additives: tuple[str, ...]
    standard_windows: Windows
    windows: Windows
    tapping_windows: Windows


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
    """All of it, checked."""

    currency: str
    prices_valid_from: str
    grades_valid_from: str
    additives: tuple[Additive, ...]
    grades: tuple[Grade, ...]
    al_killed_tapping_windows: Windows
    rule_id: str
    practices: Mapping[tuple[str, str], Mapping[str, Any]]
    """(station, deoxidation) to the handbook's entry."""
    tapping_recovery: Mapping[str, Mapping[str, float]]
    """Grade to the nominal recoveries at tapping that differ from its entry's."""

    def windows_of(self, station: str, grade: int, is_al_killed: bool) -> Windows:
        """What a heat of this grade has to meet at a station."""
        found = self.grades[grade]
        if station == LADLE_FURNACE:
            return found.windows
        return {**found.tapping_windows, **(self.al_killed_tapping_windows if is_al_killed else {})}

    def entry(self, station: str, grade: int, is_al_killed: bool) -> Mapping[str, Any]:
        """The handbook's entry for a grade."""
        entry = self.practices[station, DEOXIDATIONS[is_al_killed]]
        own = self.tapping_recovery.get(self.grades[grade].grade, {})
        if station == TAPPING and self.grades[grade].is_al_killed == is_al_killed and own:
            return {**entry, "nominal_recovery": {**entry["nominal_recovery"], **own}}
        return entry

    @property
    def handbook_rule(self) -> dict[str, Any]:
        """The handbook as the contract has it; `*` is any grade that is killed with SiMn."""
        entries = []
        for station in STATIONS:
            usual = self.practices[station, DEOXIDATIONS[False]]
            entries.append({"station": station, "grade": "*", "entry": usual})
            for position, grade in enumerate(self.grades):
                entry = self.entry(station, position, grade.is_al_killed)
                if entry is not usual:
                    entries.append({"station": station, "grade": grade.grade, "entry": entry})
        return {"rule_id": self.rule_id, "entries": entries}

    def nominal(self, station: str) -> tuple[Floats, Floats]:
        """Nominal recoveries, and assumed contents in wt %, as arrays (grade, is_al_killed, element)."""
        if station not in self._nominal:
            entries = [
                [self.entry(station, g, bool(k)) for k in range(len(DEOXIDATIONS))]
                for g in range(len(self.grades))
            ]
            self._nominal[station] = (
                np.array([[vector(e["nominal_recovery"], 1.0) for e in row] for row in entries]),
                np.array([[vector(e.get("assumed_pct", {}), np.nan) for e in row] for row in entries]),
            )
        return self._nominal[station]

    @cached_property
    def usual_arrival_pct(self) -> Floats:
        """What heats usually bring to the ladle furnace (grade, is_al_killed, element; wt %): what tapping
        aims at, else what it is assumed to have; NaN where neither is known.
        """
        aim, assumed = self.bounds(TAPPING).aim_pct, self.nominal(TAPPING)[1]
        return np.where(np.isnan(aim), assumed, aim)

    def steps(self, station: str) -> Sequence[Mapping[str, Any]]:
        """The handbook's order of alloys at a station, the same for every grade."""
        steps: Sequence[Mapping[str, Any]] = self.practices[station, DEOXIDATIONS[0]]["steps"]
        return steps

    @cached_property
    def _nominal(self) -> dict[str, tuple[Floats, Floats]]:
        return {}

    @cached_property
    def additive_names(self) -> tuple[str, ...]:
        return tuple(a.additive for a in self.additives)

    @cached_property
    def is_forbidden(self) -> Booleans:
        """(grade, additive)"""
        names = self.additive_names
        return np.array([[a in g.forbidden_additives for a in names] for g in self.grades])

    def bounds(self, station: str) -> Bounds:
        """The windows of a station as arrays."""
        if station not in self._bounds:
            both = range(len(DEOXIDATIONS))
            arrays = [
                [
                    [
                        vector(
                            {e: w[b] for e, w in self.windows_of(station, g, bool(k)).items() if b in w},
                            np.nan,
                        )
                        for k in both
                    ]
                    for g in range(len(self.grades))
                ]
                for b in ("min", "aim", "max")
            ]
            self._bounds[station] = Bounds(*(np.array(a) for a in arrays))
        return self._bounds[station]

    @cached_property
    def _bounds(self) -> dict[str, Bounds]:
        return {}

    @cached_property
    def _columns(self) -> dict[str, Floats]:
        return {}

    def per_additive(self, name: str) -> Floats:
        """One number per additive, such as `increment_kg`."""
        if name not in self._columns:
            self._columns[name] = np.array([getattr(a, name) for a in self.additives], dtype=np.float64)
        return self._columns[name]


def _bound(windows: Windows, bound: str) -> dict[str, float]:
    return {element: window[bound] for element, window in windows.items() if bound in window}


def load(folder: Path | None = None) -> Catalogue:
    """The catalogue of a folder with additives.yaml, grades.yaml and handbook.yaml; without one, the demo
    plant's.

    Raises BadSettingError, with file and line, for a missing file and for figures that cannot be.
    """
    source = resources.files("plant_simulator") / "data" if folder is None else folder
    documents = []
    for name in FILES:
        try:
            text = (source / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise BadSettingError(
                "no such file", f"{source}/{name}", f"a folder with {', '.join(FILES)}"
            ) from None
        documents.append(_Reader(name, places.read(text, name)))
    additives, grades, handbook = documents
    plant = Catalogue(
        currency=additives.value(additives.document, "currency", str),
        prices_valid_from=str(additives.value(additives.document, "valid_from", str)),
        grades_valid_from=str(grades.value(grades.document, "valid_from", str)),
        additives=tuple(_additive(additives, row) for row in additives.rows("additives")),
        grades=tuple(_grade(grades, row) for row in grades.rows("grades")),
        al_killed_tapping_windows=_windows(grades, grades.document, "aluminium_killed_tapping_windows"),
        rule_id=handbook.value(handbook.document, "rule_id", str),
        practices={},
        tapping_recovery={},
    )
    _check_grades(plant, grades)
    return replace(
        plant,
        practices=_practices(handbook, plant),
        tapping_recovery=_tapping_recovery(handbook, plant),
    )


class _Reader:
    """One data file: takes its values and names the line of what cannot be."""

    def __init__(self, name: str, document: Any) -> None:
        self.name = name
        if not isinstance(document, Placed):
            raise BadSettingError("no map", name, "what the demo plant's file has")
        self.document = document

    def refuse(self, row: Placed, key: str, what: str, allowed: str) -> BadSettingError:
        return BadSettingError(what, f"{self.name}, line {row.line_of(key)}, {key}", allowed)

    def rows(self, key: str) -> list[Placed]:
        found = self.value(self.document, key, list)
        if not found or not all(isinstance(row, Placed) for row in found):
            raise self.refuse(self.document, key, f"{found!r}", "a list of maps")
        return list(found)

    def value(self, row: Placed, key: str, kind: type) -> Any:
        if key not in row:
            raise self.refuse(row, key, "missing", f"a {kind.__name__}")
        if not isinstance(row[key], kind):
            raise self.refuse(row, key, f"{row[key]!r}", f"a {kind.__name__}")
        return row[key]

    def number(self, row: Placed, key: str, least: float, most: float = np.inf, above: bool = False) -> float:
        value: Any = row.get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not least <= value <= most or (above and value == least):
            limit = f"{'above' if above else 'at least'} {least:g}"
            limit += "" if np.isinf(most) else f", at most {most:g}"
            raise self.refuse(row, key, "missing" if value is None else f"{value!r}", limit)
        return float(value)

    def elements(self, row: Placed, key: str, most: float = 100) -> dict[str, float]:
        found = self.value(row, key, Placed)
        for element in found:
            if element not in ELEMENTS:
                raise self.refuse(found, element, "unknown element", ", ".join(ELEMENTS))
        return {element: self.number(found, element, 0, most) for element in found}


def _additive(file: _Reader, row: Placed) -> Additive:
    assay = file.elements(row, "assay_pct")
    iron = file.number(row, "iron_pct", 0, 100)
    total = sum(assay.values()) + iron
    if not 0 < total <= 100:
        raise file.refuse(row, "assay_pct", f"assay and iron add to {total:g} %", "above 0, at most 100 %")
    return Additive(
        additive=file.value(row, "additive", str),
        lot_prefix=file.value(row, "lot_prefix", str),
        assay_pct=vector(assay),
        lot_sd_pct=vector(file.elements(row, "lot_sd_pct")),
        iron_share=iron / 100,
        price_per_t=file.number(row, "price_per_t", 0, above=True),
        chill_c_per_kg_t=file.number(row, "chill_c_per_kg_t", -50, 50),
        metallic_yield=file.number(row, "metallic_yield", 0, 1),
        loss_factor=file.number(row, "loss_factor", 0, 10),
        increment_kg=file.number(row, "increment_kg", 0, above=True),
        max_kg=file.number(row, "max_kg", 0, above=True),
        bin_kg=file.number(row, "bin_kg", 0, above=True),
        can_be_left_out=file.value(row, "can_be_left_out", bool),
    )


def _grade(file: _Reader, row: Placed) -> Grade:
    deoxidation = file.value(row, "deoxidation", str)
    if deoxidation not in DEOXIDATIONS:
        raise file.refuse(row, "deoxidation", f"{deoxidation!r}", " or ".join(DEOXIDATIONS))
    return Grade(
        grade=file.value(row, "grade", str),
        campaign_share=file.number(row, "campaign_share", 0, 1),
        is_al_killed=deoxidation == "Al",
        treatment_min=file.number(row, "treatment_min", 0, 600, above=True),
        sulphur_removed_share=file.number(row, "sulphur_removed_share", 0, 1),
        forbidden_additives=tuple(file.value(row, "forbidden_additives", list)),
        standard_windows=_windows(file, row, "standard_windows"),
        windows=_windows(file, row, "windows"),
        tapping_windows=_windows(file, row, "tapping_windows"),
    )


def _windows(file: _Reader, row: Placed, key: str) -> dict[str, dict[str, float]]:
    found = file.value(row, key, Placed)
    windows = {}
    for element in found:
        if element not in ELEMENTS:
            raise file.refuse(found, element, "unknown element", ", ".join(ELEMENTS))
        window = file.value(found, element, Placed)
        unknown = set(window) - {"min", "aim", "max"}
        given = [file.number(window, b, 0, 100) for b in ("min", "aim", "max") if b in window]
        if unknown or not given or given != sorted(given):
            raise file.refuse(
                found, element, f"window {dict(window)}", "min <= aim <= max, at least one of them"
            )
        windows[element] = {b: float(window[b]) for b in ("min", "aim", "max") if b in window}
    return windows


def _check_grades(plant: Catalogue, file: _Reader) -> None:
    if sum(g.campaign_share for g in plant.grades) <= 0:
        raise file.refuse(file.document, "grades", "no campaign share above 0", "one above 0")
    for grade, row in zip(plant.grades, file.rows("grades"), strict=True):
        unknown = set(grade.forbidden_additives) - set(plant.additive_names)
        if unknown:
            what = f"unknown additive {', '.join(sorted(unknown))}"
            raise file.refuse(row, "forbidden_additives", what, ", ".join(plant.additive_names))
        for element, window in grade.windows.items():
            wide = grade.standard_windows.get(element, {})
            too_low = window.get("min", np.inf) < wide.get("min", 0)
            if too_low or window.get("max", 0) > wide.get("max", np.inf):
                what = f"window {window} of {grade.grade} outside the standard's {dict(wide)}"
                raise file.refuse(row["windows"], element, what, "inside standard_windows")


def _practices(file: _Reader, plant: Catalogue) -> dict[tuple[str, str], Mapping[str, Any]]:
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in file.rows("practices"):
        for key, allowed in (("station", STATIONS), ("deoxidation", DEOXIDATIONS)):
            if file.value(row, key, str) not in allowed:
                raise file.refuse(row, key, f"{row[key]!r}", " or ".join(allowed))
        entry = file.value(row, "entry", Placed)
        file.elements(entry, "nominal_recovery", most=1)
        for step in file.value(entry, "steps", list):
            _check_step(file, step, plant.additive_names)
        found[row["station"], row["deoxidation"]] = entry
    for station in STATIONS:
        for deoxidation in DEOXIDATIONS:
            if (station, deoxidation) not in found:
                what = f"no entry for {station}, {deoxidation}"
                raise file.refuse(file.document, "practices", what, "one for each station and deoxidation")
        if found[station, "SiMn"]["steps"] != found[station, "Al"]["steps"]:
            what = f"two orders of alloys for {station}"
            raise file.refuse(file.document, "practices", what, "the same steps for both deoxidations")
    return found


def _tapping_recovery(file: _Reader, plant: Catalogue) -> dict[str, dict[str, float]]:
    known, found = [g.grade for g in plant.grades], file.value(file.document, "tapping_recovery", Placed)
    for grade in found:
        if grade not in known:
            raise file.refuse(found, grade, f"unknown grade {grade}", ", ".join(known))
    return {grade: file.elements(found, grade, most=1) for grade in found}


def _check_step(file: _Reader, step: Placed, additives: Sequence[str]) -> None:
    if file.value(step, "element", str) not in ELEMENTS:
        raise file.refuse(step, "element", f"unknown element {step['element']}", ", ".join(ELEMENTS))
    unknown = set(file.value(step, "additives", list)) - set(additives)
    if unknown:
        what = f"unknown additive {', '.join(sorted(unknown))}"
        raise file.refuse(step, "additives", what, ", ".join(additives))
