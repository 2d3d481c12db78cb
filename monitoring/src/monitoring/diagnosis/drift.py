"""Have the inputs changed? The mean of each reading over the last treatments, within grades, against the
training heats. Inputs wander by themselves (scrap, wear), so a window is only far where no window of the
training heats was nearly as far.
"""

import polars as pl

from monitoring.diagnosis.budget import LOOK_EVERY, limit, looks_of_windows
from monitoring.diagnosis.looks import SCHEMA, beyond
from monitoring.diagnosis.reference import CLIPPED_AT, WINDOWS, Input, Station

BEYOND_FURTHEST = 1.25  # times the furthest that a window of the training heats was
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
            least = max(at * sd, BEYOND_FURTHEST * of.windows.furthest[str(window)])
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
