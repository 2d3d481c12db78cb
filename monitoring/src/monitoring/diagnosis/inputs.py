"""What a station gets: the readings before additions, one column each."""

import polars as pl

from monitoring.measures.treatments import ROW, in_force, unrolled

COLUMNS = [
    "plant_id",
    "heat_uid",
    "station",
    "grade",
    "treatment_no",
    "revision",
    "completed_at",
    "steel_mass_t",
    "temperature_c",
    "oxygen_ppm",
    "slag_carry_over_kg_t",
    "slag",
    "chemistry",
]
READINGS = ["steel_mass_t", "temperature_c", "oxygen_ppm", "slag_carry_over_kg_t"]


def inputs_of(rows: pl.LazyFrame) -> pl.DataFrame:
    """Return one row per treatment, plant by plant in the order in which results came, and one column per
    reading: `ROW` and `grade` first, then `READINGS`, slag oxides as `slag_FeO_pct` and first chemistry as
    `first_Mn_pct`; null is not measured, and under the detection limit is the limit.
    """
    treatments = in_force(rows.select(COLUMNS).collect()).sort("plant_id", "completed_at", ROW)
    lazy = treatments.drop(ROW).with_row_index(ROW).lazy()
    frame = lazy.select(ROW, "grade", *READINGS).collect()
    for column, key, name in (("slag", "oxide", "slag_{}_pct"), ("chemistry", "element", "first_{}_pct")):
        wide = unrolled(lazy, column).select(ROW, key, pl.coalesce("pct", "below_pct").alias("pct")).collect()
        if wide.is_empty():
            continue
        pivoted = wide.pivot(key, index=ROW, values="pct", aggregate_function="first")
        named = {c: name.format(c) for c in sorted(pivoted.columns) if c != ROW}
        frame = frame.join(pivoted.select(ROW, *named).rename(named), on=ROW, how="left")
    return frame
