"""Does monitoring tell what is wrong? Every scenario of the simulated plant, over many replays, and a
healthy plant.

All in processes of their own, as a plant would run them: the simulator's `bulk` plays the heats, a model
trained by the pipeline on the plant's past predicts, `monitoring backfill` takes the heats in, `monitoring
diagnose` reads them. The reference comes from the past, of which the model was trained on one line.

Replays are lines of the simulator, none of which anything was tuned on: each has scrap, lots and chance of
its own. They are played in parts, some at a time. A heat counts as affected by a lot where the lot was
tipped. Besides the bars it prints the confusion matrix: which causes were named after each scenario began, in
which share of its replays.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from bench.plant_heats import ROOT, ModelService, command, completed_heats, serving

WORK = ROOT / "build" / "bench" / "detection-work"
REFERENCE = WORK / "reference.json"
COMPONENTS = ("infra/plant-simulator", "model-service", "ml-pipeline", "monitoring")
STATIONS = ("tapping", "ladle_furnace")
PROCESSES = 2
PLANT_SEED, PAST_HEATS = 23, 4000
REFERENCE_LINES = 8  # whose crews and scrap the replays' are like
HEALTHY_LINES, HEALTHY_HEATS = int(os.environ.get("DETECTION_HEALTHY_LINES", "8")), 1000
LOT_LINES, LOT_HEATS, LOT_BEGIN = int(os.environ.get("DETECTION_LOT_LINES", "200")), 100, 60
LINES, HEATS, BEGIN = int(os.environ.get("DETECTION_LINES", "8")), 400, 150
HEALTHY_SEED, LOT_SEED, SEED = 5101, 5202, 5303
BAD_LOT = "SiMn SiMn-9001"
WITHIN_AFFECTED_HEATS = 15
TRUE_FROM = 0.025  # a lot that really is so far off its certificate is no false alarm

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

Measured = dict[str, tuple[list[float], str]]


class Replay(NamedTuple):
    """What `monitoring diagnose` said of one line; `rows` are the readings that the simulator wrote of it."""

    line: int
    findings: list[dict[str, Any]]
    facts: list[dict[str, Any]]


def measure() -> Measured:
    """Train on the past, play every scenario and a healthy plant, diagnose, count."""
    for component in COMPONENTS:
        quiet("make", "--no-print-directory", "-C", str(ROOT / component), "venv")
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    bundle = trained()
    with serving(bundle) as url:
        past = played("past", PLANT_SEED, REFERENCE_LINES, PAST_HEATS // REFERENCE_LINES)
        collected(past, url)
        monitoring(past, "reference", "--output", str(REFERENCE))
        shutil.rmtree(past)
        told("trained, and its reference made")
        with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:  # Polars does not survive a fork
            lots = [pool.submit(part_of_bad_lots, url, part) for part in range(PROCESSES)]
            parts = [pool.submit(part_of_healthy, url, part) for part in range(PROCESSES)]
            named = {scenario: pool.submit(scenario_named, url, scenario) for scenario in EXPECTED}
            found = bad_lots([delay for part in lots for delay in part.result()])
            shown(found)
            found |= healthy([one for part in parts for one in part.result()])
            shown(found)
            of_scenarios = {}
            for scenario, of in named.items():
                of_scenarios[scenario] = of.result()
                told(f"{scenario}: {dict(of_scenarios[scenario][0])} in {LINES} replays")
            return found | scenarios(of_scenarios)


def told(what: str) -> None:
    """Progress: it takes a quarter of an hour."""
    sys.stdout.write(f"  {time.strftime('%H:%M:%S')} {what}\n")
    sys.stdout.flush()


def shown(found: Measured) -> None:
    """The figures that are known by now."""
    for what, (values, unit) in found.items():
        told(f"{what}: {statistics.median(values) if values else float('nan'):.4g} {unit}")


def trained() -> Path:
    """A model of both stations, by the pipeline's own commands, from the plant's past."""
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


def part_of_healthy(url: str, part: int) -> list[tuple[str, bool]]:
    """Every alarm in a plant where no scenario was played: its cause, and whether a lot really is off."""
    folder = played(f"healthy-{part}", HEALTHY_SEED + part, HEALTHY_LINES // PROCESSES, HEALTHY_HEATS)
    collected(folder, url)
    alarms = [(replay.line, one) for replay in diagnosed(folder) for one in replay.findings]
    found = [(str(one["cause"]), is_off(folder, line, one)) for line, one in alarms]
    shutil.rmtree(folder)
    return found


def healthy(alarms: list[tuple[str, bool]]) -> Measured:
    """False alarms; those of lots that really are off apart."""
    heats = HEALTHY_LINES * HEALTHY_HEATS / 2000
    false = Counter(cause for cause, is_true in alarms if not is_true)
    sys.stdout.write(f"  healthy plant, {HEALTHY_LINES * HEALTHY_HEATS} heats: {len(alarms)} alarms, ")
    sys.stdout.write(f"{len(alarms) - false.total()} of them of lots that are off by 2.5 % or more; ")
    sys.stdout.write(f"the others: {dict(false)}\n")
    return {
        "false alarms in 2,000 heats": ([false.total() / heats], "alarms"),
        "alarms in 2,000 heats, of lots truly 2.5 % off their certificate too": (
            [len(alarms) / heats],
            "alarms",
        ),
    }


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


def bad_lots(delays: list[float]) -> Measured:
    """How many of the lots were named in time."""
    in_time = sum(delay <= WITHIN_AFFECTED_HEATS for delay in delays) / len(delays)
    found = sorted(delay for delay in delays if delay < float("inf"))
    return {
        f"-4 % Mn lots named within {WITHIN_AFFECTED_HEATS} affected heats": ([in_time], "share"),
        "-4 % Mn lots named within 40 affected heats": ([len(found) / len(delays)], "share"),
        "replays of a -4 % Mn lot": ([float(len(delays))], "replays"),
        "affected heats until a -4 % Mn lot is named": (found, "heats"),
    }


def scenario_named(url: str, scenario: str) -> tuple[Counter[str], list[float]]:
    """In how many replays a cause was named after the scenario began; and heats until the right one was."""
    cause = EXPECTED[scenario]
    seed = SEED + list(EXPECTED).index(scenario)
    folder = played(scenario, seed, LINES, HEATS, f"{scenario}@{BEGIN}")
    collected(folder, url)
    named, delays = Counter[str](), list[float]()
    for replay in diagnosed(folder):
        told = [
            (one["cause"], int(one["alarm_heat"]))
            for one in replay.findings
            if int(one["alarm_heat"]) >= BEGIN
        ]
        told += [(one["cause"], int(one["heat"])) for one in replay.facts if int(one["heat"]) >= BEGIN]
        named.update({what for what, _ in told})
        delays += sorted(float(heat - BEGIN) for what, heat in told if what == cause)[:1]
    shutil.rmtree(folder)
    return named, delays


def scenarios(found: dict[str, tuple[Counter[str], list[float]]]) -> Measured:
    """Which causes were named after each scenario began, in which share of its replays."""
    measured: Measured = {}
    shares = {
        scenario: {cause: count / LINES for cause, count in named.items()}
        for scenario, (named, _) in found.items()
    }
    for scenario, cause in EXPECTED.items():
        measured[f"{scenario}: {cause} named"] = ([shares[scenario].get(cause, 0.0)], "share")
        measured[f"{scenario}: heats until the alarm"] = (found[scenario][1], "heats")
    table = confusion(shares)
    (WORK / "confusion.txt").write_text(table + "\n", encoding="utf-8")
    sys.stdout.write(table + "\n")
    return measured


def confusion(shares: dict[str, dict[str, float]]) -> str:
    """Scenarios down, named causes across; a replay may name several, its own cause's cell is in brackets."""
    causes = sorted({cause for named in shares.values() for cause in named} | set(EXPECTED.values()))
    lines = [["true cause", *causes]]
    for scenario, named in shares.items():
        cells = [f"{named[cause]:.2f}" if cause in named else "." for cause in causes]
        marked = [
            f"[{cell}]" if cause == EXPECTED[scenario] else cell
            for cause, cell in zip(causes, cells, strict=True)
        ]
        lines.append([scenario, *marked])
    widths = [max(len(line[n]) for line in lines) for n in range(len(causes) + 1)]
    return "\n".join(
        "  " + "  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines
    )


def is_off(folder: Path, line: int, finding: dict[str, Any]) -> bool:
    """Whether the lot that an alarm names really is `TRUE_FROM` off its certificate, from the hidden
    truth: what it brought in the heats where it brought most of the element.
    """
    if finding["cause"] != "lot":
        return False
    additive, lot = finding["subject"].split(" ")
    element, lot_no = finding["elements"][0], int(lot.rsplit("-", 1)[1])
    keys = ["line", "heat_no", "station"]
    names = pl.read_parquet_schema(folder / "hidden" / "truth.parquet")
    alloys = [name.removeprefix("tipped_kg_") for name in names if name.startswith("tipped_kg_")]
    certificates = pl.read_parquet(folder / "lots.parquet").select(
        "line",
        pl.col("additive").cast(pl.String),
        "lot_no",
        pl.col(f"certificate_pct_{element}").alias("pct"),
    )
    readings = pl.read_parquet(folder / "observed.parquet", columns=[*keys, *(f"lot_no_{a}" for a in alloys)])
    truth = pl.read_parquet(
        folder / "hidden" / "truth.parquet",
        columns=[*keys, f"added_kg_{element}", *(f"tipped_kg_{a}" for a in alloys)],
    )
    heats = readings.join(truth, on=keys).filter(pl.col("line") == line)
    brought = pl.concat(
        heats.select(
            *keys,
            f"added_kg_{element}",
            pl.lit(a).alias("additive"),
            pl.col(f"lot_no_{a}").alias("lot_no"),
            pl.col(f"tipped_kg_{a}").alias("kg"),
        )
        for a in alloys
    ).join(certificates, on=["line", "additive", "lot_no"])
    mine = (pl.col("additive") == additive) & (pl.col("lot_no") == lot_no)
    promised = pl.col("kg") * pl.col("pct") / 100
    of_heats = brought.group_by(keys).agg(
        pl.col(f"added_kg_{element}").first().alias("added_kg"),
        promised.sum().alias("promised_kg"),
        promised.filter(mine).sum().alias("lot_kg"),
    )
    told = of_heats.filter(pl.col("lot_kg") > 0.5 * pl.col("promised_kg"))
    off = told.select((pl.col("added_kg") - pl.col("promised_kg")).sum() / pl.col("lot_kg").sum()).item()
    return off is not None and abs(off) >= TRUE_FROM and (off > 0) == (finding["evidence"]["effect"] > 0)


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
