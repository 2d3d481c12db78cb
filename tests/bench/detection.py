"""Does monitoring tell what is wrong? Every scenario of the simulated plant, over many replays, and a
healthy plant.

All in processes of their own, as a plant would run them: the simulator's `bulk` plays the heats, a model
trained by the pipeline on the plant's past predicts, `monitoring backfill` takes the heats in, `monitoring
diagnose` reads them. The reference comes from the past, of which the model was trained on one line. What a
past happens to hold shifts all that is judged by it, so there are several, each with as many replays.

Replays are lines of the simulator, none of which anything was tuned on: each has scrap, lots and chance of
its own. A heat counts as affected by a lot where the lot was tipped. What was named is kept in `found.json`;
`make report ONLY=detection` makes docs/detection of it.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from bench.detection_figures import Alarm, Found, Measured, Named, bad_lots, healthy, scenarios
from bench.plant_heats import ROOT, ModelService, command, completed_heats, serving
from bench.true_lots import is_off

WORK = ROOT / "build" / "bench" / "detection-work"
FOUND = ROOT / "build" / "bench" / "detection-found.json"
COMPONENTS = ("infra/plant-simulator", "model-service", "ml-pipeline", "monitoring")
STATIONS = ("tapping", "ladle_furnace")
PROCESSES = 2
PAST_SEEDS, PAST_HEATS = (9611, 9621, 9631, 9641), 4000
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


class Past(NamedTuple):
    """What one past left: a model that is served, and the reference; all in a folder."""

    n: int
    folder: Path
    url: str = ""

    @property
    def bundle(self) -> Path:
        return self.folder / "models" / "champion"

    @property
    def reference(self) -> Path:
        return self.folder / "reference.json"

    def master_data(self) -> dict[str, Any]:
        """Of each station, as the simulator wrote it."""
        return {name: json.loads((self.folder / f"{name}.json").read_text()) for name in STATIONS}


class Replay(NamedTuple):
    """What `monitoring diagnose` said of one line; `rows` are the readings that the simulator wrote of it."""

    line: int
    findings: list[dict[str, Any]]
    facts: list[dict[str, Any]]


def measure() -> Measured:
    """Train on the past, play every scenario and a healthy plant, diagnose, count."""
    for component in COMPONENTS:
        quiet("make", "--no-print-directory", "-C", str(ROOT / component), "venv")
    pasts = [Past(n, WORK / f"past-{seed}") for n, seed in enumerate(PAST_SEEDS)]
    if not (AGAIN and all(past.reference.exists() for past in pasts)):
        shutil.rmtree(WORK, ignore_errors=True)
        WORK.mkdir(parents=True)
    # Polars does not survive a fork.
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool, ExitStack() as served:
        for past in pool.map(trained, pasts):
            told(f"past {PAST_SEEDS[past.n]}: a model is trained")
        urls = [served.enter_context(serving(past.bundle)) for past in pasts]
        pasts = [past._replace(url=url) for past, url in zip(pasts, urls, strict=True)]
        list(pool.map(with_reference, pasts))
        told("references are made")
        lots = [pool.submit(bad_lots_named, past) for past in pasts]
        alarming = [pool.submit(healthy_alarms, past) for past in pasts]
        playing = {
            scenario: [pool.submit(scenario_named, past, scenario) for past in pasts] for scenario in EXPECTED
        }
        delays = [delay for of in lots for delay in of.result()]
        shown(bad_lots(delays))
        alarms = [one for of in alarming for one in of.result()]
        shown(healthy(alarms, HEALTHY_LINES * HEALTHY_HEATS))
        named = list[Named]()
        for scenario, parts in playing.items():
            named += [one for of in parts for one in of.result()]
            told(f"{scenario}: {sum(one.is_right for one in named[-LINES:])} of {LINES} named rightly")
    seeds = [*PAST_SEEDS, HEALTHY_SEED, LOT_SEED, SEED]
    found = Found(EXPECTED, delays, alarms, HEALTHY_LINES * HEALTHY_HEATS, named, LINES, seeds)
    FOUND.write_text(json.dumps(found.document(), indent=1) + "\n", encoding="utf-8")
    return bad_lots(delays) | healthy(alarms, found.healthy_heats) | scenarios(found)


def told(what: str) -> None:
    """Progress: it takes twenty minutes."""
    sys.stdout.write(f"  {time.strftime('%H:%M:%S')} {what}\n")
    sys.stdout.flush()


def shown(found: Measured) -> None:
    """The figures that are known by now."""
    for what, (values, unit) in found.items():
        told(f"{what}: {statistics.median(values) if values else float('nan'):.4g} {unit}")


def trained(past: Past) -> Past:
    """With a model of both stations, by the pipeline's own commands, from the plant's past."""
    if past.reference.exists():
        return past
    places = {"ARTIFACTS": "artifacts", "MODELS": "models", "WORK": "work"}
    environment = {f"ML_PIPELINE_{name}": str(past.folder / place) for name, place in places.items()}
    pipeline, lake = command("ml-pipeline", "ml-pipeline"), str(past.folder / "training")
    for station in STATIONS:
        folder = past.folder / f"history-{station}"
        options = ("--heats", PAST_HEATS, "--seed", PAST_SEEDS[past.n], "--station", station)
        simulator("history", *options, "--output", folder)
        simulator("master-data", "--station", station, "--output", past.folder / f"{station}.json")
        mapping = ("--mapping", str(folder / "mapping.yaml"), "--input", str(folder))
        quiet(pipeline, "import", *mapping, "--lake", lake, **environment)
    quiet(pipeline, "run", "--lake", lake, **environment)
    return past


def with_reference(past: Past) -> None:
    """Make the reference, of more lines than the model has seen."""
    if past.reference.exists():
        return
    lines = (REFERENCE_LINES, PAST_HEATS // REFERENCE_LINES)
    folder = played(past, "past", PAST_SEEDS[past.n], *lines)
    monitoring(folder, "reference", "--output", str(past.reference))
    shutil.rmtree(folder)


def healthy_alarms(past: Past) -> list[Alarm]:
    """Every alarm in a plant where no scenario was played: its cause, and whether a lot really is off."""
    folder = played(past, "healthy", HEALTHY_SEED + past.n, HEALTHY_LINES // len(PAST_SEEDS), HEALTHY_HEATS)
    found = [
        Alarm(str(one["cause"]), is_off(folder, replay.line, one))
        for replay in diagnosed(past, folder)
        for one in replay.findings
    ]
    shutil.rmtree(folder)
    return found


def bad_lots_named(past: Past) -> list[float]:
    """A lot with -4 % Mn: heats in which it was tipped until an alarm names it; infinite where none does."""
    scenario = f"simn-lot-low@{LOT_BEGIN}"
    folder = played(past, "lots", LOT_SEED + past.n, LOT_LINES // len(PAST_SEEDS), LOT_HEATS, scenario)
    readings = pl.read_parquet(folder / "observed.parquet")
    delays = []
    for replay in diagnosed(past, folder):
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


def scenario_named(past: Past, scenario: str) -> list[Named]:
    """For each replay the causes that were named after the scenario began, and after how many heats; lots
    that really are off are named apart.
    """
    seed = SEED + len(PAST_SEEDS) * list(EXPECTED).index(scenario) + past.n
    heats, begin = LONG.get(scenario, (HEATS, BEGIN))
    folder = played(past, scenario, seed, LINES // len(PAST_SEEDS), heats, f"{scenario}@{begin}")
    named = []
    for replay in diagnosed(past, folder):
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


def played(past: Past, name: str, seed: int, lines: int, heats: int, scenario: str | None = None) -> Path:
    """The simulator's bulk heats in a folder of their own, completed ones in its lake."""
    folder = past.folder / name
    options = ["--scenario", scenario] if scenario else []
    simulator(
        "bulk", "--seed", seed, "--lines", lines, "--heats", lines * heats, *options, "--output", folder
    )
    service, master_data = ModelService(past.url), past.master_data()
    export = folder / "heats.jsonl"
    with export.open("w") as file:
        file.writelines(f"{event}\n" for event in completed_heats(folder, master_data, service))
    monitoring(folder, "backfill", str(export))
    export.unlink()
    return folder


def diagnosed(past: Past, folder: Path) -> list[Replay]:
    """What monitoring says of each line."""
    plants = json.loads(monitoring(folder, "diagnose", "--reference", str(past.reference)))["plants"]
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
