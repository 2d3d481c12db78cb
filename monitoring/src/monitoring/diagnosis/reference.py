"""What is normal for a model: how its base prediction missed in the heats that it was trained on, and what
those heats were like. It is never taken from the heats under test.

The contract is `contracts/monitoring/reference.v1.schema.json`; `building` makes one.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import polars as pl
from msgspec import Meta, Struct

from monitoring.diagnosis.surprises import Surprises
from monitoring.errors import UnreadableFileError
from monitoring.measures.treatments import ROW

Above0 = Annotated[float, Meta(gt=0)]
CLIPPED_AT = 4.0  # standard deviations; a false reading is no shift
WINDOWS = (20, 40, 80)


class ElementError(Struct):
    """Standardised base error (measured minus predicted, over the stated sd) of one element and grade."""

    n: Annotated[int, Meta(ge=1)]
    mean: float
    sd: Above0


class LotSpread(Struct, frozen=True):
    """How far, relative, lots differ from their certificates: 1 sd, from heat errors; in how many heats a lot
    is tipped, and what they tell.
    """

    lots: int
    sd_rel: Above0
    heats_per_lot: float
    information: float  # of a whole lot: 1 / (standard error)^2


class Before(Struct):
    """By how much (`slope`) an element's error goes with its error at the heat's station before, whose last
    sample was the first one here; `sd`, what is left then.
    """

    slope: float
    sd: Above0


class Memory(Struct):
    """Of a station's heats: by how much, relative, more or less of an element than expected comes from
    everything added, as lasts for some heats (1 sd); and what is `kept` of it from one heat to the next.
    """

    sd_rel: Above0
    kept: Annotated[float, Meta(ge=0, lt=1)]


class Beside(Struct):
    """What goes with the errors of an element in the same heat: `partner`, the element whose errors tell most
    of them, and `slope`, by how much; `sd`, what is left, besides lots, in standard deviations of the error:
    its `memory` among it.
    """

    partner: str | None
    slope: float
    sd: Above0
    before: Before | None = None
    memory: Memory | None = None


class Windows(Struct):
    """The mean of so many heats in a row, in standard deviations of one heat: its sd, and the furthest it
    was.
    """

    sd: dict[str, float]
    furthest: dict[str, float]


class Input(Struct):
    """An input of the station: how often it is missing, its middle by grade, and its sd within grades."""

    n: int
    missing: float
    middle: float
    by_grade: dict[str, float]
    sd: Above0
    windows: Windows


class Station(Struct):
    """`grades` and `aims` by grade and element: the base errors, and where people's additions were to land
    (the base prediction for them, wt %); `aim_windows` by element.
    """

    heats: int
    grade_heats: dict[str, int]
    grades: dict[str, dict[str, ElementError]]
    aims: dict[str, dict[str, ElementError]]
    aim_windows: dict[str, Windows]
    inputs: dict[str, Input]


class Reference(Struct):
    """One bundle's reference. `heats`: treatments in all. `lots`: additive to element to spread, both
    stations together. `wander`: by how much more than lots and noise explain a lot ("lot"), all lots of an
    element, or every one ("scale"), are off by themselves, as a factor on the standard deviation. `beside`:
    by station and element; none in a reference that was made before there was any. `recoveries`: the share of
    what is added that the model expects in the steel, by station and element; 1 where it is not known.
    """

    bundle_hash: str | None
    heats: int
    stations: dict[str, Station]
    lots: dict[str, dict[str, LotSpread]]
    wander: dict[str, float]
    format: Literal["monitoring-reference/v1"]
    beside: dict[str, dict[str, Beside]] = {}
    recoveries: dict[str, dict[str, Above0]] = {}


def errors_frame(of: dict[str, dict[str, ElementError]], mean: str, sd: str) -> pl.DataFrame:
    """Return `grade`, `element` and the two figures as a frame to join by."""
    rows = [(g, e, error.mean, error.sd) for g, elements in of.items() for e, error in elements.items()]
    schema = {"grade": pl.String, "element": pl.String, mean: pl.Float64, sd: pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def spread_frame(reference: Reference) -> pl.DataFrame:
    """Return `additive`, `element`, `sd_rel` of the lots that are judged, as a frame to join by."""
    rows = [(a, e, of.sd_rel) for a, elements in reference.lots.items() for e, of in elements.items()]
    schema = {"additive": pl.String, "element": pl.String, "sd_rel": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def beside_frame(of: dict[str, dict[str, Beside]]) -> pl.DataFrame:
    """Return `station`, `element`, `partner`, `slope`, `sd` as a frame to join by."""
    rows = [(s, e, b.partner, b.slope, b.sd) for s, elements in of.items() for e, b in elements.items()]
    schema = {
        "station": pl.String,
        "element": pl.String,
        "partner": pl.String,
        "slope": pl.Float64,
        "sd": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def read(file: Path) -> Reference:
    """Read a reference. Raises UnreadableFileError."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Reference)
    except (OSError, msgspec.DecodeError) as error:
        what = "a reference, as contracts/monitoring says"
        raise UnreadableFileError(str(error), where=str(file), allowed=what) from error


def write(reference: Reference, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(reference), indent=1) + b"\n")


def standardised(found: Surprises, reference: Reference) -> pl.DataFrame:
    """Return one row per treatment and element that the reference knows for its grade: `y`, the base error in
    standard deviations of that grade's (mean 0, sd 1 while nothing is wrong, clipped), and `s_pct`, that
    standard deviation in wt %.
    """
    known = pl.concat(
        [errors_frame({}, "m", "k").with_columns(pl.lit("").alias("station"))]
        + [
            errors_frame(of.grades, "m", "k").with_columns(pl.lit(station).alias("station"))
            for station, of in reference.stations.items()
        ]
    )
    return (
        found.surprises.lazy()
        .join(found.heats.lazy().select(ROW, "station", "grade"), on=ROW)
        .join(known.lazy(), on=["station", "grade", "element"])
        .with_columns(
            ((pl.col("z") - pl.col("m")) / pl.col("k")).clip(-CLIPPED_AT, CLIPPED_AT).alias("y"),
            (pl.col("sd_pct") * pl.col("k")).alias("s_pct"),
        )
        .select(ROW, "station", "grade", "element", "y", "s_pct", "pct", "first_pct")
        .sort(ROW, "element")
        .collect()
    )


def by_lot(found: Surprises, standard: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Return one row per treatment, lot and element that the lot brings: its `heat`, `y` and `x`, by how many
    standard deviations the result would be off if the lot brought 100 % more than its certificate says.
    """
    known = [(s, e, share) for s, elements in reference.recoveries.items() for e, share in elements.items()]
    schema = {"station": pl.String, "element": pl.String, "recovery": pl.Float64}
    recovery = pl.col("recovery").fill_null(1.0)
    return (
        found.added.join(standard.select(ROW, "station", "element", "y", "s_pct"), on=[ROW, "element"])
        .join(found.heats.select(ROW, pl.col("heat_uid").alias("heat")), on=ROW)
        .join(pl.DataFrame(known, schema=schema, orient="row"), on=["station", "element"], how="left")
        .with_columns((pl.col("added_pct") * recovery / pl.col("s_pct")).alias("x"))
        .select(ROW, "heat", "station", "additive", "lot", "element", "x", "y")
        .sort(ROW)
    )
