"""How the inputs have drifted over all heats, month by month, against the training heats.

One pass over the lake in pieces (Polars streams it), so that a million heats need little memory; what comes
out is small.
"""

import polars as pl

from monitoring.diagnosis.inputs import READINGS
from monitoring.diagnosis.reference import CLIPPED_AT, Reference
from monitoring.measures.treatments import TREATMENT

PERIOD = "1mo"
PLACE = ["station", "grade", "period"]


def drift_history(rows: pl.LazyFrame, reference: Reference) -> pl.DataFrame:
    """Return one row per station, reading and month: `heats` that had the reading, `effect`, their mean
    difference from the middle of their grade in training, in standard deviations of one heat within grades,
    and the shares of heats without it, `missing`, and in training, `missing_before`.

    `rows` of the lake, every revision may be among them. Grades and readings that the reference does not
    know are left out.
    """
    treatments = _in_force(rows).with_columns(pl.col("completed_at").dt.truncate(PERIOD).alias("period"))
    value = pl.col("value").cast(pl.Float64)
    readings = [
        treatments.select(*PLACE, pl.lit(name).alias("reading"), value=pl.col(name)) for name in READINGS
    ]
    for column, key, name in (("slag", "oxide", "slag_{}_pct"), ("chemistry", "element", "first_{}_pct")):
        listed = treatments.select(*PLACE, column).explode(column).unnest(column).drop_nulls(key)
        readings.append(
            listed.select(
                *PLACE, pl.format(name, pl.col(key)).alias("reading"), value=pl.coalesce("pct", "below_pct")
            )
        )
    off = ((value - pl.col("middle")) / pl.col("sd")).clip(-CLIPPED_AT, CLIPPED_AT)
    known = _known(reference)
    found = (
        pl.concat(readings)
        .drop_nulls("value")
        .join(known, on=["station", "grade", "reading"])
        .group_by("station", "reading", "period")
        .agg(pl.len().alias("heats"), off.mean().alias("effect"), pl.col("missing_before").first())
    )
    judged = treatments.join(known.select("station", "grade").unique(), on=["station", "grade"], how="semi")
    of_all = judged.group_by("station", "period").agg(pl.len().alias("of"))
    figures, treated = pl.collect_all([found, of_all], engine="streaming")
    return (
        figures.join(treated, on=["station", "period"])
        .with_columns((1 - pl.col("heats") / pl.col("of")).clip(0).alias("missing"))
        .select("station", "reading", "period", "heats", "effect", "missing", "missing_before")
        .sort("station", "reading", "period")
    )


def _in_force(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Few treatments have more than one revision: so only those are looked up."""
    newest = (
        rows.filter(pl.col("revision") > 1).group_by(TREATMENT).agg(pl.col("revision").max().alias("newest"))
    )
    return (
        rows.select(*TREATMENT, "revision", "grade", "completed_at", *READINGS, "slag", "chemistry")
        .join(newest, on=TREATMENT, how="left")
        .filter(pl.col("newest").is_null() | (pl.col("revision") == pl.col("newest")))
    )


def _known(reference: Reference) -> pl.LazyFrame:
    rows = [
        (station, grade, name, middle, of.sd, of.missing)
        for station, of_station in reference.stations.items()
        for name, of in of_station.inputs.items()
        for grade, middle in of.by_grade.items()
    ]
    schema = {
        "station": pl.String,
        "grade": pl.String,
        "reading": pl.String,
        "middle": pl.Float64,
        "sd": pl.Float64,
        "missing_before": pl.Float64,
    }
    return pl.LazyFrame(rows, schema=schema, orient="row")
