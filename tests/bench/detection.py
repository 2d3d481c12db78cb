"""Does monitoring tell what is wrong? Every scenario of the simulated plant, over many replays, and a
healthy plant.

All in processes of their own, as a plant would run them: the simulator's `bulk` plays the heats, a model
trained by the pipeline on the plant's past predicts, `monitoring backfill` takes the heats in, `monitoring
diagnose` reads them. The reference comes from the past, of which the model was trained on one line.

Replays are lines of the simulator, none of which anything was tuned on: each has scrap, lots and chance of
its own. They are played in parts, some at a time. A heat counts as affected by a lot where the lot was
tipped. What was named is kept in `found.json`; `make report ONLY=detection` makes docs/detection of it.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from bench.detection_figures import Alarm, Found, Measured, Named, bad_lots, healthy, scenarios
from bench.plant_heats import ROOT, ModelService, command, completed_heats, serving
from bench.true_lots import is_off

WORK = ROOT / "build" / "bench" / "detection-work"
REFERENCE, FOUND = WORK / "reference.json", ROOT / "build" / "bench" / "detection-found.json"
COMPONENTS = ("infra/plant-simulator", "model-service", "ml-pipeline", "monitoring")
STATIONS = ("tapping", "ladle_furnace")
PROCESSES = 2
PLANT_SEED, PAST_HEATS = 9611, 4000
AGAIN = os.environ.get("DETECTION_AGAIN") == "1"  # with the model and the reference of the run before
REFERENCE_LINES = 8  # whose crews and scrap the replays' are like
HEALTHY_LINES, HEALTHY_HEATS = int(os.environ.get("DETECTION_HEALTHY_LINES", "16")), 1000
LOT_LINES, LOT_HEATS, LOT_BEGIN = int(os.environ.get("DETECTION_LOT_LINES", "200")), 100, 60
LINES, HEATS, BEGIN = int(os.environ.get("DETECTION_LINES", "8")), 400, 150
LONG = {"spectrometer-bias": (1000, 300)}  # heats, begin: what shows only over several lots
HEALTHY_SEED, LOT_SEED, SEED = 9711, 9812, 9913
BAD_LOT = "SiMn SiMn-9001"

EXPECTED = {
    "simn-lot-low": "lot",
    "carry-over-ramp": "carry_over",
    "spectrometer-bias": "element",
    "new-scrap-supplier": "scrap",
    "price-change": "price",
    "scale-bias": "scale",
    "aim-shift": "aim",
    "stock-out": "stock_out",
    "new-grade": "new_grade",
    "late-and-twice": "late",
    "oxygen-lost": "reading_missing",
    "new-deoxidation": "practice",
    "pre-deoxidation": "practice",
}
"""Scenario to the cause that should be named: alarms, and for the four without one, facts."""


class Replay(NamedTuple):
    """What `monitoring diagnose` said of one line; `rows` are the readings that the simulator wrote of it."""

    line: int
    findings: list[dict[str, Any]]
    facts: list[dict[str, Any]]


def measure() -> Measured:
    """Train on the past, play every scenario and a healthy plant, diagnose, count."""
    for component in COMPONENTS:
        quiet("make", "--no-print-directory", "-C", str(ROOT / component), "venv")
    if not (AGAIN and REFERENCE.exists()):
        shutil.rmtree(WORK, ignore_errors=True)
        WORK.mkdir(parents=True)
        trained()
    with serving(WORK / "models" / "champion") as url:
        if not REFERENCE.exists():
            past = played("past", PLANT_SEED, REFERENCE_LINES, PAST_HEATS // REFERENCE_LINES)
            collected(past, url)
            monitoring(past, "reference", "--output", str(REFERENCE))
            shutil.rmtree(past)
        told("trained, and its reference made")
        with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:  # Polars does not survive a fork
            lots = [pool.submit(part_of_bad_lots, url, part) for part in range(PROCESSES)]
            parts = [pool.submit(part_of_healthy, url, part) for part in range(PROCESSES)]
            playing = {scenario: pool.submit(scenario_named, url, scenario) for scenario in EXPECTED}
            delays = [delay for part in lots for delay in part.result()]
            shown(bad_lots(delays))
            alarms = [one for part in parts for one in part.result()]
            shown(healthy(alarms, HEALTHY_LINES * HEALTHY_HEATS))
            named = list[Named]()
            for scenario, of in playing.items():
                named += of.result()
                told(f"{scenario}: {sum(one.is_right for one in named[-LINES:])} of {LINES} named rightly")
    seeds = [PLANT_SEED, HEALTHY_SEED, LOT_SEED, SEED]
    found = Found(EXPECTED, delays, alarms, HEALTHY_LINES * HEALTHY_HEATS, named, LINES, seeds)
    FOUND.write_text(json.dumps(found.document(), indent=1) + "\n", encoding="utf-8")
    return bad_lots(delays) | healthy(alarms, found.healthy_heats) | scenarios(found)


def told(what: str) -> None:
    """Progress: it takes a quarter of an hour."""
    sys.stdout.write(f"  {time.strftime('%H:%M:%S')} {what}\n")
    sys.stdout.flush()


def shown(found: Measured) -> None:
    """The figures that are known by now."""
    for what, (values, unit) in found.items():
        told(f"{what}: {statistics.median(values) if values else float('nan'):.4g} {unit}")


def trained() -> Path:
    """The bundle of a model of both stations, by the pipeline's own commands, from the plant's past."""
    environment = {
        "ML_PIPELINE_ARTIFACTS": str(WORK / "artifacts"),
        "ML_PIPELINE_MODELS": str(WORK / "models"),
        "ML_PIPELINE_WORK": str(WORK / "work"),
    }
    pipeline, lake = command("ml-pipeline", "ml-pipeline"), str(WORK / "training")
    for station in STATIONS:
        folder = WORK / f"history-{station}"
        simulator(
            "history", "--heats", PAST_HEATS, "--seed", PLANT_SEED, "--station", station, "--output", folder
        )
        simulator("master-data", "--station", station, "--output", WORK / f"{station}.json")
        mapping = ("--mapping", str(folder / "mapping.yaml"), "--input", str(folder))
        quiet(pipeline, "import", *mapping, "--lake", lake, **environment)
    quiet(pipeline, "run", "--lake", lake, **environment)
    return WORK / "models" / "champion"


def part_of_healthy(url: str, part: int) -> list[Alarm]:
    """Every alarm in a plant where no scenario was played: its cause, and whether a lot really is off."""
    folder = played(f"healthy-{part}", HEALTHY_SEED + part, HEALTHY_LINES // PROCESSES, HEALTHY_HEATS)
    collected(folder, url)
    found = [
        Alarm(str(one["cause"]), is_off(folder, replay.line, one))
        for replay in diagnosed(folder)
        for one in replay.findings
    ]
    shutil.rmtree(folder)
    return found


def part_of_bad_lots(url: str, part: int) -> list[float]:
    """A lot with -4 % Mn: heats in which it was tipped until an alarm names it; infinite where none does."""
    scenario = f"simn-lot-low@{LOT_BEGIN}"
    folder = played(f"lots-{part}", LOT_SEED + part, LOT_LINES // PROCESSES, LOT_HEATS, scenario)
    collected(folder, url)
    readings = pl.read_parquet(folder / "observed.parquet")
    delays = []
    for replay in diagnosed(folder):
        affected = readings.filter(
            (pl.col("line") == replay.line)
            & (pl.col("weighed_kg_SiMn") > 0)
            & (pl.col("heat_no") >= LOT_BEGIN)
        )
        heats = affected["heat_no"].unique().sort()
        named = [
            int(naming["heat"])
            for one in replay.findings
            for naming in one["named"]
            if naming["cause"] == "lot" and naming["subject"] == BAD_LOT and "Mn" in naming["elements"]
        ]
        delays.append(float((heats <= min(named)).sum()) if named else float("inf"))
    shutil.rmtree(folder)
    return delays


def scenario_named(url: str, scenario: str) -> list[Named]:
    """For each replay the causes that were named after the scenario began, and after how many heats; lots
    that really are off are named apart.
    """
    seed = SEED + list(EXPECTED).index(scenario)
    heats, begin = LONG.get(scenario, (HEATS, BEGIN))
    folder = played(scenario, seed, LINES, heats, f"{scenario}@{begin}")
    collected(folder, url)
    named = []
    for replay in diagnosed(folder):
        told = [(int(one["heat"]) - begin, one["cause"]) for one in replay.facts]
        for one in replay.findings:
            is_other = one["cause"] == "lot" and one["subject"] != BAD_LOT
            cause = (
                "another lot, truly off" if is_other and is_off(folder, replay.line, one) else one["cause"]
            )
            told.append((int(one["alarm_heat"]) - begin, cause))
        first: dict[str, float] = {}
        for after, cause in sorted(told):
            if after >= 0:
                first.setdefault(cause, float(after))
        named.append(Named(scenario, first, EXPECTED[scenario] in first))
    shutil.rmtree(folder)
    return named


def played(name: str, seed: int, lines: int, heats: int, scenario: str | None = None) -> Path:
    """The simulator's bulk heats in a folder of their own."""
    folder = WORK / name
    options = ["--scenario", scenario] if scenario else []
    simulator(
        "bulk", "--seed", seed, "--lines", lines, "--heats", lines * heats, *options, "--output", folder
    )
    return folder


def collected(folder: Path, url: str) -> None:
    """Completed heats of a folder's plants into the folder's lake."""
    service = ModelService(url)
    master_data = {station: json.loads((WORK / f"{station}.json").read_text()) for station in STATIONS}
    export = folder / "heats.jsonl"
    with export.open("w") as file:
        file.writelines(f"{event}\n" for event in completed_heats(folder, master_data, service))
    monitoring(folder, "backfill", str(export))
    export.unlink()


def diagnosed(folder: Path) -> list[Replay]:
    """What monitoring says of each line."""
    plants = json.loads(monitoring(folder, "diagnose", "--reference", str(REFERENCE)))["plants"]
    return [
        Replay(int(plant_id.removeprefix("line-")), of["findings"], of["facts"])
        for plant_id, of in plants.items()
    ]


def simulator(*arguments: object) -> None:
    quiet(command("infra/plant-simulator", "plant-simulator"), *map(str, arguments))


def monitoring(folder: Path, *arguments: str) -> str:
    return quiet(command("monitoring", "monitoring"), *arguments, MONITORING_LAKE=str(folder / "lake"))


def quiet(*arguments: str, **environment: str) -> str:
    """Run a command; return what it printed."""
    done = subprocess.run(
        arguments, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | environment
    )
    return done.stdout
