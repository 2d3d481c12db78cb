"""Have the inputs changed? The mean of each reading over the last treatments, within grades, against the
training heats. Inputs wander by themselves (scrap, wear), so a window is only far where no window of the
training heats was nearly as far.
"""

from typing import NamedTuple

import polars as pl

from monitoring.diagnosis.budget import LOOK_EVERY, as_sure_as, limit, looks_of_windows
from monitoring.diagnosis.inputs import inputs_of
from monitoring.diagnosis.looks import SCHEMA, beyond
from monitoring.diagnosis.reference import CLIPPED_AT, WINDOWS, Input, Reference, Station

BEYOND_FURTHEST = 1.25  # times the furthest that a window of the training heats was
NEWEST = 200  # treatments of a station, in the table
FIRST_STATION = "tapping"
SCRAP = ("Cu", "Cr", "Ni", "Mo", "Sn")  # what comes with the scrap and stays in the steel
LEAST_SD_OF_SHARE = 0.05  # of a share of missing readings: what hardly ever happens is no law of nature


def drift(inputs: pl.DataFrame, station: str, reference: Station) -> pl.DataFrame:
    """Look every `LOOK_EVERY` treatments of the station; `inputs` as `inputs.inputs_of` gives them, with the
    treatment's number in the plant as `row`. Estimates are in standard deviations of one heat; a share of
    missing readings is a difference of shares.
    """
    known = {
        name: of for name, of in reference.inputs.items() if of.windows.sd and raises_alarms(name, station)
    }
    at = limit("input", looks_of_windows(2 * max(1, len(known)), len(WINDOWS)))
    found = [pl.DataFrame(schema=SCHEMA)]
    for name, of in known.items():
        reading = standard_reading(inputs, name, of)
        for window in WINDOWS:
            if (sd := of.windows.sd.get(str(window))) is None:
                continue
            least = max(
                as_sure_as(at, of.n / window) * sd, BEYOND_FURTHEST * of.windows.furthest[str(window)]
            )
            share_sd = max(LEAST_SD_OF_SHARE, (of.missing * (1 - of.missing) / window) ** 0.5)
            missing = pl.col("missing").cast(pl.Float64).rolling_mean(window) - of.missing
            mean = pl.col("value").rolling_mean(window, min_samples=window // 2)
            for subject, value, spread in ((name, mean, least / at), (f"{name} missing", missing, share_sd)):
                looks = (
                    reading.lazy()
                    .with_columns(value.alias("estimate"), pl.col("row").shift(window - 1).alias("since"))
                    .gather_every(LOOK_EVERY, LOOK_EVERY - 1)
                    .drop_nulls(["estimate", "since"])
                    .with_columns(
                        pl.lit(station).alias("station"),
                        pl.lit(subject).alias("subject"),
                        pl.lit(spread).alias("sd"),
                        pl.lit(at).alias("limit"),
                    )
                )
                found.append(beyond(looks, "input"))
    return pl.concat(found)


class Drifted(NamedTuple):
    """An input of the newest heats beside the training heats: `effect` is the difference of their middles,
    within grades, in standard deviations of one heat; shares of missing readings beside it. `is_far`:
    further than any window of the training heats by itself.
    """

    station: str
    reading: str
    heats: int
    effect: float
    missing: float
    missing_before: float
    is_far: bool


def drift_table(rows: pl.LazyFrame, reference: Reference) -> list[Drifted]:
    """Return every reading that the reference knows over the newest `NEWEST` treatments of each station,
    those that moved most first.
    """
    found = []
    for station, of_station in reference.stations.items():
        inputs = inputs_of(rows.filter(pl.col("station") == station)).tail(NEWEST)
        for name, of in of_station.inputs.items() if inputs.height else ():
            reading = standard_reading(inputs, name, of)
            effect = reading.select(pl.col("value").mean()).item()
            share = reading.select(pl.col("missing").mean()).item()
            furthest = max(of.windows.furthest.values(), default=float("inf"))
            is_far = effect is not None and abs(effect) > BEYOND_FURTHEST * furthest
            found.append(Drifted(station, name, inputs.height, effect or 0.0, share, of.missing, is_far))
    return sorted(found, key=lambda one: -abs(one.effect))


def raises_alarms(name: str, station: str) -> bool:
    """Of what was passed on from tapping, and of elements that nobody minds, no alarm is made; they are
    shown.
    """
    passed_on = name.startswith(("first_", "slag_"))
    minded = not name.startswith("first_") or name in {f"first_{element}_pct" for element in SCRAP}
    return minded and (station == FIRST_STATION or not passed_on)


def standard_reading(inputs: pl.DataFrame, name: str, of: Input) -> pl.DataFrame:
    """Return `row`, `value`, the reading off the middle of its grade in standard deviations, clipped (null
    where it is missing, or of a grade that the reference does not know), and `missing`.
    """
    value = pl.col(name) if name in inputs.columns else pl.lit(None, dtype=pl.Float64)
    middle = pl.col("grade").replace_strict(of.by_grade, default=None, return_dtype=pl.Float64)
    standard = ((value - middle) / of.sd).clip(-CLIPPED_AT, CLIPPED_AT)
    return inputs.select("row", standard.alias("value"), value.is_null().alias("missing"))
