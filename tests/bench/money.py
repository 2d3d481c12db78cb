"""Is it true what monitoring says was saved? Its estimate of the handbook rule's heats against the same heats
done over with the rule's kilograms: the simulator's do(Y).

The steelmaker of the simulated plant tips what he thinks right; a model that was trained on the plant's past
predicts, and tells the rule's kilograms. `monitoring money` says for each station and grade of each line what
was saved per tonne, and how sure it is: from readings alone, as in a plant. Then `plant-simulator do` does
both over: the truth is the additive cost as weighed, and misses by the final sample, both ways with the very
same chance.

The tolerance is monitoring's own: the truth is to lie in the 95 % interval it states, grade by grade, and the
mean of a station's grades within two of the standard deviations that it states for it. Nothing was tuned on
these seeds.
"""

import json
import math
import os
import shutil
from pathlib import Path

import polars as pl
from deltalake import DeltaTable

from bench import detection
from bench.plant_heats import ROOT, ModelService, command, completed_heats, serving

WORK = ROOT / "build" / "bench" / "money-work"
SEED, LINES, HEATS = 6201, int(os.environ.get("MONEY_LINES", "8")), 500
PRICE_PER_MISS_PER_T = 50.0

Measured = dict[str, tuple[list[float], str]]


def measure() -> Measured:
    """Play the plant, ask monitoring, do the rule's heats over."""
    for component in detection.COMPONENTS:
        detection.quiet("make", "--no-print-directory", "-C", str(ROOT / component), "venv")
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    return compared(detection.trained(detection.Past(0, WORK / "past")))


def compared(past: detection.Past) -> Measured:
    """The estimates beside the truth."""
    folder = WORK / "plant"
    detection.simulator(
        "bulk", "--seed", SEED, "--lines", LINES, "--heats", LINES * HEATS, "--output", folder
    )
    master_data = past.master_data()
    export = folder / "heats.jsonl"
    with serving(past.bundle) as url, export.open("w") as file:
        events = completed_heats(folder, master_data, ModelService(url), with_advice=True)
        file.writelines(f"{event}\n" for event in events)
    detection.monitoring(folder, "backfill", str(export))
    export.unlink()
    plants = json.loads(
        detection.quiet(
            command("monitoring", "monitoring"),
            "money",
            MONITORING_LAKE=str(folder / "lake"),
            MONITORING_PRICE_PER_MISS_PER_T=str(PRICE_PER_MISS_PER_T),
        )
    )["plants"]
    told = [one | {"plant_id": plant_id} for plant_id, of in plants.items() for one in of["savings"]]
    estimates = pl.DataFrame(told).select(
        "plant_id", "station", "grade", "heats", "per_t", "sd", "rule_in_window"
    )
    both = estimates.join(truth(folder), on=["plant_id", "station", "grade"])
    detection.told(f"{estimates.height} grades of {LINES} lines, {both.height} done over")
    found: Measured = {}
    for station in detection.STATIONS:
        found |= held_against_truth(station, both.filter(station=station))
    return found


def held_against_truth(station: str, grades: pl.DataFrame) -> Measured:
    """Bias with its interval, and whether the interval that is stated holds."""
    share = grades["heats"] / grades["heats"].sum()
    off = grades["per_t"] - grades["true_per_t"]
    bias = float((share * off).sum())
    stated_sd = math.sqrt((share**2 * grades["sd"] ** 2).sum())
    seen_sd = math.sqrt((share**2 * (off - bias) ** 2).sum())
    return {
        f"{station}: grades whose do(Y) lies in the stated 95 % interval": (
            [grades.filter(off.abs() <= 1.96 * grades["sd"]).height / grades.height],
            "share",
        ),
        f"{station}: bias of what was saved, in the standard deviations stated for it": (
            [abs(bias) / stated_sd],
            "sd",
        ),
        f"{station}: grades that were compared": ([float(grades.height)], "grades"),
        f"{station}: saved by the estimate": ([float((share * grades["per_t"]).sum())], "EUR/t"),
        f"{station}: saved by do(Y)": ([float((share * grades["true_per_t"]).sum())], "EUR/t"),
        f"{station}: bias, and its 95 % interval": (
            [bias - 1.96 * seen_sd, bias, bias + 1.96 * seen_sd],
            "EUR/t",
        ),
        f"{station}: rule in window by the estimate": (
            [100 * float((share * grades["rule_in_window"]).sum())],
            "%",
        ),
        f"{station}: rule in window by do(Y)": ([100 * float((share * grades["do_in_window"]).sum())], "%"),
    }


def truth(folder: Path) -> pl.DataFrame:
    """What was really saved per tonne, by plant, station and grade."""
    heats = (
        pl.scan_delta(DeltaTable(folder / "lake" / "heats"))
        .sort("revision")
        .unique(["plant_id", "heat_uid", "station"], keep="last")
        .drop_nulls(["weighed_cost", "handbook_cost"])
        .filter(pl.col("handbook").list.len() > 0)
        .select(
            pl.lit(SEED).alias("seed"),
            pl.col("plant_id").str.strip_prefix("line-").cast(pl.Int64).alias("line"),
            pl.col("heat_no").cast(pl.Int64),
            "plant_id",
            "station",
            "grade",
            ((pl.col("handbook_cost") - pl.col("weighed_cost")) / pl.col("steel_mass_t")).alias("cheaper"),
            own="decided",
            rule="handbook",
        )
        .collect()
    )
    done = pl.concat(done_over(folder, heats.filter(station=station)) for station in detection.STATIONS)
    misses = (pl.col("own") - pl.col("rule")) * PRICE_PER_MISS_PER_T
    return (
        heats.drop("own", "rule")
        .join(done, on=["line", "heat_no", "station"])
        .group_by("plant_id", "station", "grade")
        .agg(
            (pl.col("cheaper") + misses).mean().alias("true_per_t"),
            pl.col("rule").mean().alias("do_in_window"),
        )
    )


def done_over(folder: Path, heats: pl.DataFrame) -> pl.DataFrame:
    """Whether each heat of a station is in window by its sample: with its own kilograms and the rule's."""
    keys = ["seed", "line", "heat_no", "station"]
    files = [folder / f"do-{name}.parquet" for name in ("heats", "additions", "outcomes")]
    heats.select(keys).write_parquet(files[0])
    pl.concat(
        heats.select(*keys, pl.lit(policy).alias("policy"), pl.col(policy).alias("tipped"))
        .explode("tipped")
        .unnest("tipped")
        .drop_nulls("additive")
        .group_by(*keys, "policy", "additive")
        .agg(pl.col("added_kg").sum().alias("decided_kg"))
        for policy in ("own", "rule")
    ).write_parquet(files[1])
    detection.simulator("do", "--heats", files[0], "--additions", files[1], "--output", files[2])
    return (
        pl.read_parquet(files[2])
        .with_columns(pl.col("in_window_by_sample").cast(pl.Float64))
        .pivot(on="policy", index=["line", "heat_no", "station"], values="in_window_by_sample")
    )
