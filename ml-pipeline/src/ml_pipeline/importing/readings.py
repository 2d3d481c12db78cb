"""From text cells to one wide row of measurements per heat, in the product's units.

Columns: heat_no, grade, treatment_no, registered_at, completed_at, steel_mass_t, temperature_c,
temperature_after_c,
oxygen_ppm, slag_carry_over_kg_t, and with a prefix `slag.FeO`, `feature.x`, `before.C`, `after.C` (wt %),
`added.SiMn`, `decided.SiMn` (kg). `below.before.C` is the detection limit where the reading lies under it.

An impossible reading makes the field missing, never the row; it is counted by reason. Steel mass alone keeps
its value, as a row without it is nothing: `sanity` says what is wrong with it.
"""

from collections import Counter
from typing import NamedTuple

import polars as pl

from ml_pipeline.errors import MappingError
from ml_pipeline.importing.mapping import (
    Additions,
    Analysis,
    Chemistry,
    FileOrder,
    Heats,
    Mass,
    Reading,
    TimeColumn,
    utc,
)

PCT_PER_UNIT = {"pct": 1.0, "mass_fraction": 100.0, "ppm": 1e-4}
KG_PER_UNIT = {"kg": 1.0, "t": 1000.0}
PLAUSIBLE_TEMPERATURE_C = (1400.0, 1780.0)
PLAUSIBLE_OXYGEN_PPM = (1.0, 3000.0)
STUCK_READINGS = 100
"""So many equal readings in a row are a stuck instrument, not a steady process."""


class Readings(NamedTuple):
    """`heats` has the columns of the module's docstring; `flaws` counts the fields that became missing:
    (field, reason) -> rows."""

    heats: pl.DataFrame
    flaws: Counter[tuple[str, str]]


def mapped_columns(heats: Heats) -> dict[str, str]:
    """Every column that the mapping names: where in the mapping -> column."""
    wanted = {"heats.heat_no": heats.heat_no, "heats.grade": heats.grade}
    if heats.treatment_no:
        wanted["heats.treatment_no"] = heats.treatment_no
    if isinstance(heats.time, TimeColumn):
        wanted["heats.time.column"] = heats.time.column
    if isinstance(heats.completed_after_min, str):
        wanted["heats.completed_after_min"] = heats.completed_after_min
    readings = {**_scalar_readings(heats), **_slag_and_features(heats)}
    wanted |= {f"heats.{name}": reading.column for name, reading in readings.items()}
    for side, chemistry in (("before", heats.chemistry_before), ("after", heats.chemistry_after)):
        for element, analysis in (chemistry.columns if chemistry else {}).items():
            wanted[f"heats.chemistry_{side}.columns.{element}"] = analysis.column
    for name, additions in (("weighed", heats.weighed), ("decided", heats.decided)):
        for additive, columns in (additions.columns if additions else {}).items():
            for column in _several(columns):
                wanted[f"heats.{name}.columns.{additive}.{column}"] = column
    return wanted


def read_heats(rows: pl.DataFrame, heats: Heats) -> Readings:
    """Turn text rows (with `line`) into measurements; the order of rows is kept. Times may come out null."""
    read = _Reader(rows, heats.decimal)
    columns: dict[str, pl.Series] = {
        "line": rows["line"],
        "heat_no": rows[heats.heat_no],
        "grade": rows[heats.grade],
        "treatment_no": (
            read.number("treatment_no", heats.treatment_no).cast(pl.Int32, strict=False)
            if heats.treatment_no
            else pl.Series([1] * rows.height, dtype=pl.Int32)
        ),
        "registered_at": parse_times(rows, heats.time),
    }
    minutes = heats.completed_after_min
    after_min = (
        read.number("completed_after_min", minutes)
        if isinstance(minutes, str)
        else pl.Series([minutes] * rows.height, dtype=pl.Float64)
    )
    usual = after_min.filter(after_min > 0).median()
    after_min = after_min.set(after_min <= 0, None).fill_null(usual if isinstance(usual, float) else 30.0)
    columns["completed_at"] = (
        columns["registered_at"] + (after_min * 60).round().cast(pl.Int64).cast(pl.Duration("ms")) * 1000
    )
    columns["steel_mass_t"] = read.steel_mass(heats.steel_mass)
    if heats.temperature_c:
        columns["temperature_c"] = read.reading(
            "temperature_c", heats.temperature_c, 1.0, PLAUSIBLE_TEMPERATURE_C
        )
    if heats.temperature_after_c:
        columns["temperature_after_c"] = read.reading(
            "temperature_after_c", heats.temperature_after_c, 1.0, PLAUSIBLE_TEMPERATURE_C
        )
    if heats.oxygen:
        ppm = PCT_PER_UNIT[heats.oxygen.unit] / PCT_PER_UNIT["ppm"]
        columns["oxygen_ppm"] = read.reading("oxygen_ppm", heats.oxygen, ppm, PLAUSIBLE_OXYGEN_PPM)
    for name, reading in _slag_and_features(heats).items():
        scale = PCT_PER_UNIT[heats.slag.oxides.unit] if name.startswith("slag.") else 1.0
        columns[name] = read.reading(name, reading, scale, None)
    for side, chemistry in (("before", heats.chemistry_before), ("after", heats.chemistry_after)):
        columns |= read.chemistry(side, chemistry) if chemistry else {}
    for prefix, additions in (("added", heats.weighed), ("decided", heats.decided)):
        columns |= read.additions(prefix, additions) if additions else {}
    frame = pl.DataFrame(columns)
    for name in ("temperature_c", "temperature_after_c", "oxygen_ppm", "slag_carry_over_kg_t"):
        if name not in frame.columns:
            frame = frame.with_columns(pl.lit(None, dtype=pl.Float64).alias(name))
    return Readings(frame, read.flaws)


def plausible_mass_t(heats: Heats) -> tuple[float, float] | None:
    """What the mapping calls a plausible steel mass, in tonnes."""
    spec = heats.steel_mass
    return (spec.plausible[0] * _tonnes(spec), spec.plausible[1] * _tonnes(spec)) if spec.plausible else None


def _tonnes(spec: Mass) -> float:
    return KG_PER_UNIT[spec.unit] / 1000


def _scalar_readings(heats: Heats) -> dict[str, Reading]:
    named = {
        "steel_mass": heats.steel_mass,
        "temperature_c": heats.temperature_c,
        "temperature_after_c": heats.temperature_after_c,
        "oxygen": heats.oxygen,
    }
    return {name: reading for name, reading in named.items() if reading}


def _slag_and_features(heats: Heats) -> dict[str, Reading]:
    readings: dict[str, Reading] = {
        f"slag.{oxide}": reading for oxide, reading in heats.slag.oxides.columns.items()
    }
    readings |= {f"feature.{name}": reading for name, reading in heats.features.items()}
    if heats.slag.carry_over_kg_t:
        readings["slag_carry_over_kg_t"] = heats.slag.carry_over_kg_t
    return readings


def _several(columns: str | list[str]) -> list[str]:
    return [columns] if isinstance(columns, str) else columns


def parse_numbers(text: pl.Series, decimal: str) -> pl.Series:
    """Finite numbers; what is none becomes null."""
    if decimal == ",":
        text = text.str.replace(",", ".", literal=True)
    values = text.cast(pl.Float64, strict=False)
    return values.set(~values.is_finite().fill_null(value=False), None)


def parse_times(rows: pl.DataFrame, time: FileOrder | TimeColumn) -> pl.Series:
    """UTC times; what does not fit the format becomes null."""
    if isinstance(time, FileOrder):
        since = (pl.int_range(rows.height, eager=True) * round(time.spacing_min * 60e6)).cast(
            pl.Duration("us")
        )
        start = pl.Series([utc(time.start)], dtype=pl.Datetime("us", "UTC"))
        return start.new_from_index(0, rows.height) + since
    naive = rows[time.column].str.to_datetime(time.format, time_unit="us", strict=False)
    if isinstance(naive.dtype, pl.Datetime) and naive.dtype.time_zone:
        return naive.dt.convert_time_zone("UTC")
    try:
        zoned = naive.dt.replace_time_zone(time.timezone, ambiguous="earliest", non_existent="null")
    except pl.exceptions.ComputeError:
        raise MappingError(
            f"heats.time.timezone: {time.timezone!r} is no time zone; allowed: IANA names such as "
            "Europe/Berlin"
        ) from None
    return zoned.dt.convert_time_zone("UTC")


class _Reader:
    """Reads columns of one extract and counts what was impossible."""

    def __init__(self, rows: pl.DataFrame, decimal: str) -> None:
        self.rows = rows
        self.decimal = decimal
        self.flaws: Counter[tuple[str, str]] = Counter()

    def number(self, name: str, column: str) -> pl.Series:
        values = parse_numbers(self.rows[column], self.decimal)
        self._count(name, "not a number", values.is_null() & self.rows[column].is_not_null())
        return values

    def reading(self, name: str, spec: Reading, scale: float, usual: tuple[float, float] | None) -> pl.Series:
        """A measurement in the product's unit; outside its plausible range, or stuck, it is missing."""
        values = self.number(name, spec.column)
        plausible = spec.plausible or ((usual[0] / scale, usual[1] / scale) if usual else None)
        if plausible:
            values = self._drop(
                name,
                f"outside {plausible[0]:g} to {plausible[1]:g}",
                values,
                ~values.is_between(plausible[0], plausible[1]),
            )
        return self._unstick(name, values) * scale

    def steel_mass(self, spec: Mass) -> pl.Series:
        """Tonnes, as read; missing only where it is no number, or stuck."""
        return self.reading("steel_mass_t", spec.model_copy(update={"plausible": None}), _tonnes(spec), None)

    def chemistry(self, side: str, chemistry: Chemistry) -> dict[str, pl.Series]:
        columns = {}
        for element, spec in chemistry.columns.items():
            name = f"{side}.{element}"
            values, below = self._analysis(name, spec, PCT_PER_UNIT[spec.unit or chemistry.unit])
            columns[name] = self._unstick(name, values) if side == "before" else values
            columns[f"below.{name}"] = below
        return columns

    def _analysis(self, name: str, spec: Analysis, scale: float) -> tuple[pl.Series, pl.Series]:
        values = self.number(name, spec.column)
        if spec.plausible:
            values = self._drop(
                name,
                f"outside {spec.plausible[0]:g} to {spec.plausible[1]:g}",
                values,
                ~values.is_between(*spec.plausible),
            )
        below = pl.Series([None] * values.len(), dtype=pl.Float64)
        if spec.below is not None:
            under = (values <= spec.below).fill_null(value=False)
            below = below.set(under, spec.below * scale)
            values = values.set(under, None)
        else:
            values = self._drop(name, "zero (not measured)", values, values == 0)
            values = self._drop(name, "negative", values, values < 0)
        return values * scale, below

    def additions(self, prefix: str, additions: Additions) -> dict[str, pl.Series]:
        """Kilograms per additive; null only where an empty cell means unknown, or the cell is no number."""
        sums = {}
        for additive, columns in additions.columns.items():
            parts = []
            for column in _several(columns):
                kg = self.number(f"{prefix}.{additive}", column) * KG_PER_UNIT[additions.unit]
                empty = self.rows[column].is_null()
                parts.append(kg.set(empty, 0.0) if additions.empty == "zero" else kg)
            total = parts[0]
            for i, part in enumerate(parts[1:], start=1):
                if any(part.equals(earlier, null_equal=True) and part.sum() for earlier in parts[:i]):
                    self.flaws[
                        f"{prefix}.{additive}", f"column {_several(columns)[i]} repeats another: counted once"
                    ] += part.len()
                else:
                    total = total + part
            sums[f"{prefix}.{additive}"] = total
        return sums

    def _drop(self, name: str, reason: str, values: pl.Series, bad: pl.Series) -> pl.Series:
        bad = bad.fill_null(value=False)
        self._count(name, reason, bad)
        return values.set(bad, None)

    def _unstick(self, name: str, values: pl.Series) -> pl.Series:
        frame = values.to_frame("value").with_columns(run=pl.col("value").rle_id())
        stuck = frame.select(
            (pl.len().over("run") >= STUCK_READINGS) & pl.col("value").is_not_null()
        ).to_series()
        return self._drop(name, f"stuck: {STUCK_READINGS} or more equal readings in a row", values, stuck)

    def _count(self, name: str, reason: str, bad: pl.Series) -> None:
        n = int(bad.fill_null(value=False).sum())
        if n:
            self.flaws[name, reason] += n
