"""Do people aim elsewhere? Where their additions were to land: the base prediction for what was weighed.

Where a recommendation of the model was shown and decided on, against where that would have landed, and
against how people took the first such recommendations (a habit is no change). Else against the same grade
in the training heats. It is told by what the model believed in both cases, so a wrong model does not look
like people.

Who edits goes part of the way from what he is shown to his own figure: where recommendations move, as with
prices, he stays behind them and has not changed. So people are told of only where they moved further than
the recommendations did.
"""

import polars as pl

from monitoring.diagnosis.budget import LOOK_EVERY, as_sure_as, limit, looks_of_windows
from monitoring.diagnosis.drift import BEYOND_FURTHEST
from monitoring.diagnosis.looks import SCHEMA, beyond
from monitoring.diagnosis.reference import CLIPPED_AT, WINDOWS, Reference, errors_frame
from monitoring.measures.treatments import ROW, in_force, unrolled

FIRST_SHOWN = 20  # of a station and grade: how people take recommendations when nothing has changed

COLUMNS = [
    "plant_id",
    "heat_uid",
    "station",
    "treatment_no",
    "revision",
    "grade",
    "completed_at",
    "decided_recommendation_id",
    "recommendation_id",
    "recommendation_source",
    "shown_at",
    "decided_at",
    "windows",
    "recommended_predicted",
    "weighed_predicted",
    "bundle_hash",
    "weighed_bundle_hash",
]


def aims(rows: pl.LazyFrame, reference: Reference) -> pl.DataFrame:
    """Return one row per treatment and element whose window has an aim: `aimed`, in standard deviations of
    the grade in the training heats, and `aimed_pct`, how much higher (wt %) people aimed; `was_shown` says
    against what. `landed`: as `aimed`, whatever was shown.
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
    usual = [
        errors_frame(of.aims, "usual_pct", "k").with_columns(pl.lit(station).alias("station"))
        for station, of in reference.stations.items()
    ]
    shown = unrolled(lazy, "recommended_predicted").select(ROW, "element", recommended_pct="base_pct")
    aimed_at = unrolled(lazy, "windows").drop_nulls("aim_pct")
    return (
        unrolled(lazy, "weighed_predicted")
        .select(ROW, "element", "base_pct")
        .join(lazy.select(ROW, "station", "grade", was_shown.alias("was_shown")), on=ROW)
        .join(pl.concat(usual).lazy(), on=["station", "grade", "element"])
        .join(aimed_at, on=[ROW, "element"], how="semi")
        .join(shown, on=[ROW, "element"], how="left")
        .with_columns((pl.col("was_shown") & pl.col("recommended_pct").is_not_null()).alias("was_shown"))
        .sort(ROW, "element")
        .with_columns(
            (
                pl.col("base_pct")
                - pl.when("was_shown").then(pl.col("recommended_pct")).otherwise(pl.col("usual_pct"))
            ).alias("off_pct")
        )
        .with_columns(
            pl.when("was_shown").then(_since_first(name)).otherwise("off_pct").alias(moved)
            for name, moved in (("off_pct", "aimed_pct"), ("base_pct", "landed_pct"))
        )
        .with_columns(
            (pl.col(f"{name}_pct") / pl.col("k")).clip(-CLIPPED_AT, CLIPPED_AT).alias(name)
            for name in ("aimed", "landed")
        )
        .select(ROW, "station", "grade", "element", "was_shown", "aimed", "aimed_pct", "landed")
        .collect()
    )


def people(aimed: pl.DataFrame, elements: list[str], reference: Reference) -> pl.DataFrame:
    """Look every `LOOK_EVERY` treatments at the elements that are added, station by station."""
    at = limit("people", looks_of_windows(len(elements), len(WINDOWS)))
    found = [pl.DataFrame(schema=SCHEMA)]
    for station, of in reference.stations.items():
        for element in elements:
            windows = of.aim_windows.get(element)
            here = aimed.filter(station=station, element=element)
            for window in WINDOWS:
                if windows is None or (sd := windows.sd.get(str(window))) is None:
                    continue
                sd = max(
                    sd * as_sure_as(at, of.heats / window) / at,
                    BEYOND_FURTHEST * windows.furthest[str(window)] / at,
                )
                looks = (
                    here.lazy()
                    .with_columns(
                        pl.col("aimed").rolling_mean(window).alias("estimate"),
                        pl.col("landed").rolling_mean(window),
                        pl.col(ROW).shift(window - 1).alias("since"),
                        (sd**2 + pl.col("was_shown").cast(pl.Float64).rolling_mean(window) / FIRST_SHOWN)
                        .sqrt()
                        .alias("sd"),
                        pl.lit(at).alias("limit"),
                    )
                    .gather_every(LOOK_EVERY, LOOK_EVERY - 1)
                    .drop_nulls(["estimate", "since"])
                    # People moved further than what they were shown, and not the other way round.
                    .filter(pl.col("landed") * pl.col("estimate").sign() > pl.col("estimate").abs() / 2)
                )
                found.append(beyond(looks, "people"))
    return pl.concat(found)


def _since_first(name: str) -> pl.Expr:
    first = pl.col(name).head(FIRST_SHOWN).mean().over("station", "grade", "element", "was_shown")
    return pl.col(name) - first
