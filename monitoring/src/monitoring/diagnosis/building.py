"""Makes the reference of a bundle from the heats that it was trained on, with its base predictions."""

import math

import polars as pl

from monitoring.diagnosis.inputs import inputs_of
from monitoring.diagnosis.lot_spreads import spreads_as_told, spreads_of_lots
from monitoring.diagnosis.lots import looks_at_lots
from monitoring.diagnosis.memories import memories
from monitoring.diagnosis.reference import (
    CLIPPED_AT,
    WINDOWS,
    Before,
    Beside,
    ElementError,
    Input,
    Reference,
    Station,
    Windows,
    beside_frame,
    by_lot,
    errors_frame,
    spread_frame,
    standardised,
)
from monitoring.diagnosis.surprises import Surprises, surprises_of
from monitoring.diagnosis.together import wander
from monitoring.diagnosis.told_apart import ToldApart, told_apart
from monitoring.diagnosis.untangled import rests, untangled, without_other_lots
from monitoring.measures.treatments import ROW

LEAST_HEATS = 20  # of a grade, before its errors are judged
SD_PER_MAD = 1.4826  # of a normal number
LEAST_CORRELATION = 0.2  # of two elements' errors, to take one from the other
LEAST_BEFORE = 0.1  # of an element's errors at two stations
SENSIBLE = (0.2, 1.1)  # recoveries; beyond, additions vary too little to tell


def build(rows: pl.LazyFrame, bundle_hash: str | None = None) -> Reference:
    """Make the reference from the rows of the training heats, with base predictions in
    `weighed_predicted`.
    """
    found = surprises_of(rows)
    errors = found.surprises.join(found.heats.select(ROW, "plant_id", "station", "grade"), on=ROW).sort(
        "plant_id", ROW
    )
    stations: dict[str, Station] = {}
    for (station,), heats in found.heats.group_by("station", maintain_order=True):
        here = errors.filter(station=station).with_columns(
            pl.col("z").clip(-3 * CLIPPED_AT, 3 * CLIPPED_AT),
            (pl.col("pct") - pl.col("surprise_pct")).alias("base"),
        )
        aims = _by_grade(here, "base")
        stations[str(station)] = Station(
            heats.height,
            dict(heats.group_by("grade").len().sort("grade").iter_rows()),
            _by_grade(here, "z"),
            aims,
            _aim_windows(here, aims),
            _inputs(rows.filter(pl.col("station") == station)),
        )
    reference = Reference(bundle_hash, found.heats.height, stations, {}, {}, "monitoring-reference/v1")
    standard = standardised(found, reference)
    reference.recoveries = recoveries(found)
    pairs = by_lot(found, standard, reference).join(found.heats.select(ROW, "plant_id"), on=ROW)
    reference.lots = spreads_of_lots(pairs, found.heats.height)
    plants = [
        (of, standard.join(of.select(ROW).unique(), on=ROW, how="semi"))
        for _, of in pairs.join(spread_frame(reference), on=["additive", "element"]).group_by(
            "plant_id", maintain_order=True
        )
    ]
    own: list[pl.DataFrame] = []
    # Where heats are so few that no lot tells of itself, there is nothing to tell lots apart by.
    if plants:
        left = [rests(without_other_lots(of), results) for of, results in plants]
        reference.beside = _beside(left)
        _note_before(reference.beside, left, found.heats)
        beside = beside_frame(reference.beside)
        own = [untangled(of, results, beside) for of, results in plants]
        reference.lots = spreads_of_lots(pl.concat(own), found.heats.height)
        _note_memories(reference.beside, pairs, found.heats)
    told = [_told(of, standard, reference) for _, of in pairs.group_by("plant_id", maintain_order=True)]
    if told:
        reference.lots = spreads_as_told([of.lots for of in told], reference.lots)
        told = [_told(of, standard, reference) for _, of in pairs.group_by("plant_id", maintain_order=True)]
        reference.wander = wander([of.changes for of in told])
        looks = pl.concat(looks_at_lots(of.lots) for of in told)
        far = looks.select((pl.col("estimate") / pl.col("spread")).pow(2).mean().sqrt()).item()
        reference.wander["lot"] = max(1.0, _number(far))
    return reference


def recoveries(found: Surprises) -> dict[str, dict[str, float]]:
    """Return the share of what is added by certificate that the base prediction expects in the steel, by
    station and element: its slope within grades, by least squares.
    """
    added = found.added.group_by(ROW, "element").agg(pl.col("added_pct").sum())
    gained = pl.col("pct") - pl.col("surprise_pct") - pl.col("first_pct")
    within = [
        (pl.col(name) - pl.col(name).mean().over("station", "grade", "element"))
        for name in ("gained", "added_pct")
    ]
    slopes = (
        found.surprises.join(found.heats.select(ROW, "station", "grade"), on=ROW)
        .join(added, on=[ROW, "element"])
        .with_columns(gained.alias("gained"))
        .drop_nulls("gained")
        .with_columns(within)
        .group_by("station", "element")
        .agg(
            (pl.col("gained") * pl.col("added_pct")).sum().alias("both"),
            (pl.col("added_pct") ** 2).sum().alias("squares"),
            pl.len().alias("n"),
        )
        .filter((pl.col("n") >= LEAST_HEATS) & (pl.col("squares") > 0))
        .with_columns((pl.col("both") / pl.col("squares")).clip(*SENSIBLE).alias("share"))
        .sort("station", "element")
    )
    shares: dict[str, dict[str, float]] = {}
    for station, element, share in slopes.select("station", "element", "share").iter_rows():
        shares.setdefault(station, {})[element] = share
    return shares


def _by_grade(errors: pl.DataFrame, column: str) -> dict[str, dict[str, ElementError]]:
    found: dict[str, dict[str, ElementError]] = {}
    figures = (
        errors.group_by("grade", "element")
        .agg(pl.len().alias("n"), pl.col(column).mean().alias("mean"), pl.col(column).std().alias("sd"))
        .filter((pl.col("n") >= LEAST_HEATS) & (pl.col("sd") > 0))
        .sort("grade", "element")
    )
    for grade, element, n, mean, sd in figures.iter_rows():
        found.setdefault(grade, {})[element] = ElementError(n, mean, sd)
    return found


def _aim_windows(errors: pl.DataFrame, aims: dict[str, dict[str, ElementError]]) -> dict[str, Windows]:
    standard = (
        errors.join(errors_frame(aims, "m", "k"), on=["grade", "element"])
        .select(
            "element",
            "has_aim",
            ((pl.col("base") - pl.col("m")) / pl.col("k")).clip(-CLIPPED_AT, CLIPPED_AT).alias("aimed"),
        )
        .filter("has_aim")
    )
    return {str(element): windows_of(of["aimed"]) for (element,), of in sorted(standard.group_by("element"))}


def windows_of(standard: pl.Series) -> Windows:
    """Return what means of heats in a row do by themselves; a window needs three times as many heats."""
    means = {str(w): standard.rolling_mean(w) for w in WINDOWS if standard.len() >= 3 * w}
    return Windows(
        {w: _number(of.std()) for w, of in means.items()},
        {w: _number(of.abs().max()) for w, of in means.items()},
    )


def _inputs(rows: pl.LazyFrame) -> dict[str, Input]:
    found: dict[str, Input] = {}
    frame = inputs_of(rows)
    for name in frame.columns[2:]:
        read = frame.select("grade", value=name).drop_nulls()
        if read.height < LEAST_HEATS:
            continue
        middle = _number(read["value"].median())
        of_grades = read.group_by("grade").agg(pl.col("value").median(), pl.len().alias("n"))
        by_grade = dict(
            of_grades.filter(pl.col("n") >= LEAST_HEATS).select("grade", "value").sort("grade").iter_rows()
        )
        off = read["value"] - read["grade"].replace_strict(by_grade, default=middle, return_dtype=pl.Float64)
        sd = _number(off.abs().median()) * SD_PER_MAD or _number(off.std())
        if sd == 0:
            continue
        windows = windows_of((off / sd).clip(-CLIPPED_AT, CLIPPED_AT))
        found[name] = Input(read.height, 1 - read.height / frame.height, middle, by_grade, sd, windows)
    return found


def _beside(of_plants: list[pl.DataFrame]) -> dict[str, dict[str, Beside]]:
    """For each element the other one whose errors, without what lots tell, go with its own most."""
    found: dict[str, dict[str, Beside]] = {}
    for (station,), of in pl.concat(of_plants).sort("station").group_by("station", maintain_order=True):
        wide = of.pivot("element", index=ROW, values="rest").drop(ROW)
        names = sorted(wide.columns)
        for element in names:
            own = wide[element].drop_nulls()
            if own.len() < LEAST_HEATS or not (own.std() or 0.0):
                continue
            shares = [
                (abs(r), other, r)
                for other in names
                if other != element and (r := _corr(wide, element, other))
            ]
            share, partner, r = max(shares, default=(0.0, None, 0.0))
            goes = share >= LEAST_CORRELATION
            slope = r * _number(own.std()) / _number(wide[partner].std()) if goes and partner else 0.0
            left = _number(own.std()) * math.sqrt(1 - r * r if goes else 1.0)
            found.setdefault(str(station), {})[element] = Beside(partner if goes else None, slope, left)
    return found


def _note_before(
    beside: dict[str, dict[str, Beside]], of_plants: list[pl.DataFrame], heats: pl.DataFrame
) -> None:
    """How an element's errors go with those of the heat's station before, each without its partner's."""
    rests = pl.concat(of_plants)
    partners = beside_frame(beside).drop("sd")
    gone_with = rests.select(ROW, pl.col("element").alias("partner"), pl.col("rest").alias("partner_rest"))
    left = pl.col("rest") - (pl.col("slope") * pl.col("partner_rest")).fill_null(0.0)
    own = (
        rests.join(partners, on=["station", "element"])
        .join(gone_with, on=[ROW, "partner"], how="left")
        .join(heats.select(ROW, "heat_uid"), on=ROW)
        .sort(ROW)
        .select("station", "element", "heat_uid", left.alias("left"))
        .with_columns(pl.col("left").shift(1).over("heat_uid", "element").alias("before"))
        .drop_nulls("before")
    )
    for station, element, n, r, sd, sd_before in (
        own.group_by("station", "element")
        .agg(pl.len(), pl.corr("left", "before").alias("r"), pl.col("left").std(), pl.col("before").std())
        .select("station", "element", "len", "r", "left", "before")
        .sort("station", "element")
        .iter_rows()
    ):
        of = beside.get(station, {}).get(element)
        if of and n >= LEAST_HEATS and r is not None and abs(r) >= LEAST_BEFORE and sd_before:
            of.before = Before(r * sd / sd_before, of.sd * math.sqrt(1 - r * r))


def _note_memories(beside: dict[str, dict[str, Beside]], pairs: pl.DataFrame, heats: pl.DataFrame) -> None:
    """What heats of a station lose of an element, and the next ones too, by what was added in all."""
    places = heats.sort("plant_id", ROW).select(
        ROW, "plant_id", pl.int_range(pl.len()).over("plant_id", "station").alias("place")
    )
    brought = pairs.group_by(ROW, "station", "element").agg(pl.col("x").sum(), pl.col("y").first())
    for station, of_station in memories(brought.join(places, on=ROW)).items():
        for element, memory in of_station.items():
            if element in beside.get(station, {}):
                beside[station][element].memory = memory


def _corr(wide: pl.DataFrame, one: str, other: str) -> float:
    both = wide.select(one, other).drop_nulls()
    r = _number(both.select(pl.corr(one, other)).item()) if both.height >= LEAST_HEATS else 0.0
    return r if math.isfinite(r) else 0.0


def _told(pairs: pl.DataFrame, standard: pl.DataFrame, reference: Reference) -> ToldApart:
    """One plant's heats, counted from 0."""
    judged = pairs.join(spread_frame(reference), on=["additive", "element"], how="semi")
    numbers = pairs.select(ROW).unique().sort(ROW).with_row_index("number")
    own, results = (
        of.join(numbers, on=ROW).drop(ROW).rename({"number": ROW}).sort(ROW, "element")
        for of in (judged, standard)
    )
    return told_apart(own, results, reference)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
