"""Do people aim elsewhere? Where their own additions were to land: the base prediction for what was weighed.

Only heats tell it in which people added what they wanted: those without a recommendation, and those in which
they changed the one that they were shown. Who takes what is shown says nothing of where he would aim, and
most do; among them all a shift would be too small to see. How many change what they are shown is another
question: that depends on what they are shown.

A change is judged by where it landed against what was shown, and against where people's own additions to
that grade landed in the training heats. Who changes a recommendation goes part of the way to his own figure:
where he moves, both move with him, and where recommendations move, as with prices or another model, he
follows them in part, so that the two move apart. So what counts is the smaller of the two, and nothing where
they disagree. Both against the first such heats: a habit is no change. It is told by what the model believed
in all cases, so a wrong model does not look like people.
"""

from collections.abc import Iterator

import polars as pl

from monitoring.diagnosis.budget import LOOK_EVERY, TREATMENTS, as_sure_as, limit, looks_of_windows
from monitoring.diagnosis.drift import BEYOND_FURTHEST
from monitoring.diagnosis.looks import SCHEMA, beyond
from monitoring.diagnosis.reference import CLIPPED_AT, WINDOWS, Reference, Windows, errors_frame
from monitoring.measures.overrides import overrides
from monitoring.measures.treatments import ROW, in_force, unrolled

FIRST_CHANGED = 20  # of a station and grade: how people change recommendations when nothing has changed
LEAST_CHANGED = 60  # of a station, before anything is said of them
CHANGED_WINDOWS = (40, 160, 320)  # such heats: a shift that is small beside how people differ shows in many
LOOK_EVERY_CHANGED = 40
PART_OF_THE_WAY = (0.3, 1.0)  # to their own figure, that people go; beyond, nothing is known

COLUMNS = [
    "plant_id",
    "heat_uid",
    "station",
    "treatment_no",
    "revision",
    "grade",
    "completed_at",
    "decision_id",
    "decided_recommendation_id",
    "recommendation_id",
    "recommendation_source",
    "shown_at",
    "decided_at",
    "windows",
    "additives",
    "recommended",
    "decided",
    "recommended_predicted",
    "weighed_predicted",
    "bundle_hash",
    "weighed_bundle_hash",
]


def aims(rows: pl.LazyFrame, reference: Reference) -> pl.DataFrame:
    """Return one row per treatment and element whose window has an aim: `was_shown` says that a
    recommendation of the model was decided on, `is_own` that people added what they wanted. Heats that were
    decided on the handbook's answer are left out. `aimed_pct`: how much higher (wt %) that was to land than
    what they were shown, or, without, than usual; `landed_pct`, than usual; `aimed` and `landed` the same in
    standard deviations of the grade in the training heats (`sd_pct`).
    """
    treatments = (
        in_force(rows.select(COLUMNS).collect()).sort("completed_at", ROW).drop(ROW).with_row_index(ROW)
    )
    lazy = treatments.lazy()
    was_shown = (
        (pl.col("recommendation_source") == "model")
        & (pl.col("decided_recommendation_id") == pl.col("recommendation_id"))
        & (pl.col("shown_at") <= pl.col("decided_at"))
        & (pl.col("bundle_hash") == pl.col("weighed_bundle_hash"))  # not where a model was swapped meanwhile
    ).fill_null(False)
    # Who decided on the handbook's answer, or on a recommendation that was replaced, aimed by that.
    judged = (was_shown | pl.col("decided_recommendation_id").is_null()).alias("judged")
    usual = [
        errors_frame(of.aims, "usual_pct", "k").with_columns(pl.lit(station).alias("station"))
        for station, of in reference.stations.items()
    ]
    shown = unrolled(lazy, "recommended_predicted").select(ROW, "element", recommended_pct="base_pct")
    aimed_at = unrolled(lazy, "windows").drop_nulls("aim_pct")
    higher = pl.col("base_pct") - pl.col("usual_pct")
    return (
        unrolled(lazy, "weighed_predicted")
        .select(ROW, "element", "base_pct")
        .join(
            lazy.select(ROW, "station", "grade", was_shown.alias("was_shown"), judged), on=ROW
        )
        .filter("judged")
        .join(overrides(lazy), on=ROW, how="left")
        .join(pl.concat(usual).lazy(), on=["station", "grade", "element"])
        .join(aimed_at, on=[ROW, "element"], how="semi")
        .join(shown, on=[ROW, "element"], how="left")
        .with_columns((pl.col("was_shown") & pl.col("recommended_pct").is_not_null()).alias("was_shown"))
        .with_columns(
            (~pl.col("was_shown") | pl.col("overridden").fill_null(False)).alias("is_own"),
            higher.alias("landed_pct"),
            pl.when("was_shown")
            .then(pl.col("base_pct") - pl.col("recommended_pct"))
            .otherwise(higher)
            .alias("aimed_pct"),
        )
        .with_columns(
            (pl.col(f"{name}_pct") / pl.col("k")).alias(name) for name in ("aimed", "landed")
        )
        .sort(ROW, "element")
        .select(
            ROW, "station", "grade", "element", "was_shown", "is_own",
            "aimed", "aimed_pct", "landed", "landed_pct", pl.col("k").alias("sd_pct"),
        )
        .collect()
    )  # fmt: skip


def people(aimed: pl.DataFrame, elements: list[str], reference: Reference) -> pl.DataFrame:
    """Look now and then at the elements that are added, station by station. A heat is looked at either with
    those that nobody was shown anything for or with those that people changed, so the two share a budget.
    """
    found = [pl.DataFrame(schema=SCHEMA)]
    for station, of in reference.stations.items():
        for element in elements:
            usual = of.aim_windows.get(element)
            here = aimed.filter("is_own", station=station, element=element)
            if usual is None or not usual.sd or here.is_empty():
                continue
            found += _without_advice(here.filter(~pl.col("was_shown")), usual, of.heats, len(elements))
            found.append(_changed(here.filter("was_shown"), usual, len(elements)))
    return pl.concat(found)


def _without_advice(own: pl.DataFrame, usual: Windows, heats: int, elements: int) -> Iterator[pl.DataFrame]:
    """Against the training heats, in which nobody was shown anything either."""
    at = limit("people", looks_of_windows(elements, len(WINDOWS)))
    for window in WINDOWS:
        if (sd := usual.sd.get(str(window))) is None:
            continue
        sd = max(sd * as_sure_as(at, heats / window) / at, BEYOND_FURTHEST * usual.furthest[str(window)] / at)
        looks = own.lazy().with_columns(
            pl.col("aimed").clip(-CLIPPED_AT, CLIPPED_AT).rolling_mean(window).alias("estimate"),
            pl.col(ROW).shift(window - 1).alias("since"),
            pl.lit(sd).alias("sd"),
            pl.lit(at).alias("limit"),
        )
        yield beyond(
            looks.gather_every(LOOK_EVERY, LOOK_EVERY - 1).drop_nulls(["estimate", "since"]), "people"
        )


def _changed(own: pl.DataFrame, usual: Windows, elements: int) -> pl.DataFrame:
    """Against the first heats of each grade whose recommendation people changed. How people wander by
    themselves is known from how the first ones scatter, and from the training heats, of which the part shows
    that they go to their own figure; the larger counts.
    """
    first = own.with_columns(pl.col(ROW).cum_count().over("grade").alias("n")).filter(
        pl.col("n") <= FIRST_CHANGED
    )
    if own.height <= LEAST_CHANGED:
        return pl.DataFrame(schema=SCHEMA)
    habit = first.group_by("grade").agg(
        pl.len().cast(pl.Float64).alias("heats"),
        pl.col("aimed").mean().alias("aimed_first"),
        pl.col("landed").mean().alias("landed_first"),
    )
    gap = pl.col("aimed") - pl.col("landed")  # from what is shown to what is usual
    known = first.join(habit, on="grade")
    part = known.select((pl.col("aimed") * gap).sum() / (gap**2).sum()).item() or 0.0
    squares = [((pl.col(name) - pl.col(f"{name}_first")) ** 2).sum() for name in ("aimed", "landed")]
    scatter = known.select(pl.max_horizontal(squares)).item() / (known.height - habit.height)
    part = min(max(part, PART_OF_THE_WAY[0]), PART_OF_THE_WAY[1])
    window_of_usual = max(int(window) for window in usual.sd)
    var = max(scatter, window_of_usual * (part * usual.sd[str(window_of_usual)]) ** 2)
    moved = own.join(habit, on="grade", maintain_order="left").with_columns(
        (pl.col(name) - pl.col(f"{name}_first")).clip(-CLIPPED_AT, CLIPPED_AT).alias(name)
        for name in ("aimed", "landed")
    )
    at = limit("people", elements * len(CHANGED_WINDOWS) * TREATMENTS / LOOK_EVERY_CHANGED)
    sure = as_sure_as(at, first.height - habit.height)
    found = [pl.DataFrame(schema=SCHEMA)]
    for window in CHANGED_WINDOWS:
        # What is usual is known from few heats of a grade, but from those of all grades in the window.
        of_habit = pl.sum_horizontal(
            (pl.col("grade") == grade).cast(pl.Float64).rolling_mean(window) ** 2 / heats
            for grade, heats in habit.select("grade", "heats").iter_rows()
        )
        aimed, landed = pl.col("aimed").rolling_mean(window), pl.col("landed").rolling_mean(window)
        smaller = pl.when(aimed.abs() < landed.abs()).then(aimed).otherwise(landed)
        looks = moved.lazy().with_columns(
            pl.when(aimed.sign() == landed.sign()).then(smaller).alias("estimate"),
            pl.col(ROW).shift(window - 1).alias("since"),
            (var * (1 / window + of_habit)).sqrt().alias("sd"),
            pl.lit(sure).alias("limit"),
        )
        every = looks.gather_every(LOOK_EVERY_CHANGED, LOOK_EVERY_CHANGED - 1)
        found.append(beyond(every.drop_nulls(["estimate", "since"]), "people"))
    return pl.concat(found)
