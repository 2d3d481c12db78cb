"""What needs no test, because it stands in the heats: a price, an alloy that has run out, a new grade,
late results.

A fact is no alarm: nothing is wrong with the model. It says why recommendations and costs change.
"""

from typing import NamedTuple

import polars as pl

from monitoring.diagnosis.reference import Reference
from monitoring.measures.treatments import ROW, in_force, unrolled

PRICE_STEP = 0.15  # relative
GONE_FOR = 20  # treatments of a station without an offer
OFFERED_BEFORE = 0.9  # of the treatments before
LATE_AFTER_MIN = 40  # from sample to result
LATE_WINDOW, LATE_SHARE, CORRECTED_SHARE = 40, 0.25, 0.2

COLUMNS = [
    "plant_id",
    "heat_uid",
    "station",
    "treatment_no",
    "revision",
    "heat_no",
    "grade",
    "completed_at",
    "registered_at",
    "additives",
    "samples",
]


class Fact(NamedTuple):
    """`row` counts the treatments of the plant in the order of their registration."""

    cause: str
    subject: str
    station: str | None
    row: int
    heat: str
    sentence: str


def facts(rows: pl.LazyFrame, reference: Reference) -> list[Fact]:
    """Return what is so, in the order in which it came about."""
    treatments = in_force(rows.select(COLUMNS).collect()).sort("registered_at", ROW)
    frame = treatments.drop(ROW).with_row_index(ROW)
    heats = frame.lazy().select(ROW, "station", "heat_no", "grade")
    offers = (
        unrolled(frame.lazy(), "additives")
        .group_by(ROW, "additive")
        .agg(pl.col("price_per_t").mean())
        .join(heats, on=ROW)
        .sort(ROW)
        .collect()
    )
    found = [
        *_prices(offers),
        *_gone(offers, heats.collect()),
        *_grades(heats.collect(), reference),
        *_late(frame),
    ]
    return sorted(found, key=lambda fact: fact.row)


def _prices(offers: pl.DataFrame) -> list[Fact]:
    """Steps of one additive's price, of whatever station."""
    steps = (
        offers.with_columns(pl.col("price_per_t").shift(1).over("additive").alias("before"))
        .with_columns((pl.col("price_per_t") / pl.col("before") - 1).alias("step"))
        .filter(pl.col("step").abs() > PRICE_STEP)
        .unique("additive", keep="last", maintain_order=True)
    )
    return [
        Fact(
            "price", row["additive"], None, row[ROW], row["heat_no"],
            f"Since heat {row['heat_no']} {row['additive']} costs {abs(100 * row['step']):.0f} % "
            f"{'more' if row['step'] > 0 else 'less'}. Recommendations change with it; nothing is wrong.",
        )
        for row in steps.iter_rows(named=True)
    ]  # fmt: skip


def _gone(offers: pl.DataFrame, heats: pl.DataFrame) -> list[Fact]:
    found = []
    for (station,), of in heats.group_by("station", maintain_order=True):
        numbered = of.with_row_index("n")
        seen = offers.filter(station=station).join(numbered.select(ROW, "n"), on=ROW)
        last = seen.group_by("additive").agg(
            pl.col("n").max().alias("last"), pl.col("n").min().alias("first"), pl.len().alias("offers")
        )
        gone = last.filter(
            (pl.col("last") + GONE_FOR < numbered.height)
            & (pl.col("offers") >= OFFERED_BEFORE * (pl.col("last") - pl.col("first") + 1))
        ).sort("last", "additive")
        for row in gone.iter_rows(named=True):
            at = numbered.row(row["last"] + 1, named=True)
            found.append(
                Fact(
                    "stock_out", row["additive"], str(station), at[ROW], at["heat_no"],
                    f"Since heat {at['heat_no']} there is no {row['additive']} at "
                    f"{str(station).replace('_', ' ')}. Other alloys take its place and cost changes; "
                    "nothing is wrong with the model.",
                )
            )  # fmt: skip
    return found


def _grades(heats: pl.DataFrame, reference: Reference) -> list[Fact]:
    known = [(s, g) for s, of in reference.stations.items() for g in of.grade_heats]
    schema = {"station": pl.String, "grade": pl.String}
    new = (
        heats.join(pl.DataFrame(known, schema=schema, orient="row"), on=["station", "grade"], how="anti")
        .group_by("grade")
        .agg(pl.col(ROW).min(), pl.col("heat_no").first(), pl.col("heat_no").n_unique().alias("heats"))
        .sort(ROW)
    )
    return [
        Fact(
            "new_grade", row["grade"], None, row[ROW], row["heat_no"],
            f"Grade {row['grade']}, made since heat {row['heat_no']} ({row['heats']} heats), is not among "
            "the training heats: there is nothing yet to judge the model by for it.",
        )
        for row in new.iter_rows(named=True)
    ]  # fmt: skip


def _late(frame: pl.DataFrame) -> list[Fact]:
    """Results that take long from sample to product, and those that are corrected."""
    took = pl.col("available_at") - pl.col("sampled_at")
    told = (
        unrolled(frame.lazy(), "samples")
        .filter("is_final")
        .group_by(ROW)
        .agg((took.max().dt.total_minutes() > LATE_AFTER_MIN).alias("late"))
        .join(frame.lazy().select(ROW, "heat_no", (pl.col("revision") > 1).alias("corrected")), on=ROW)
        .sort(ROW)
        .with_columns(pl.col("late", "corrected").cast(pl.Float64).rolling_mean(LATE_WINDOW))
        .filter((pl.col("late") > LATE_SHARE) | (pl.col("corrected") > CORRECTED_SHARE))
        .collect()
    )
    if told.is_empty():
        return []
    first, last = told.row(0, named=True), told.row(-1, named=True)
    late, corrected = f"{100 * last['late']:.0f} %", f"{100 * last['corrected']:.0f} %"
    how = [f"{late} come more than {LATE_AFTER_MIN} minutes after the sample"] * (last["late"] > LATE_SHARE)
    how += [f"{corrected} are corrected afterwards"] * (last["corrected"] > CORRECTED_SHARE)
    return [
        Fact(
            "late", "results", None, first[ROW], first["heat_no"],
            f"Since heat {first['heat_no']} results are told late or wrong: of the last {LATE_WINDOW} heats "
            f"{' and '.join(how)}. The reporting is in trouble; each heat counts once.",
        )
    ]  # fmt: skip
