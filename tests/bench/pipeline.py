"""The pipeline from the lake to a released model: seconds and memory against heats, and a second run.

The heats are simulated: one history comes in through the pipeline's own import. Larger lakes hold it several
times over, each time with later instants and other heat numbers, so their size is real and their content is
not new. The pipeline runs in its own environment, in a process of its own that is measured.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
from deltalake import DeltaTable

ROOT = Path(__file__).resolve().parents[2]
SIMULATOR = ROOT / "infra" / "plant-simulator" / ".venv" / "bin" / "plant-simulator"
PIPELINE = ROOT / "ml-pipeline" / ".venv" / "bin" / "ml-pipeline"
HEATS, TIMES = 10_000, (1, 10, 100)
INSTANTS = ("registered_at", "completed_at", "available_at")


def measure() -> dict[str, tuple[list[float], str]]:
    """Seconds and peak memory of a whole run over each size, and seconds of the same run again."""
    for component in ("ml-pipeline", "infra/plant-simulator"):
        subprocess.run(["make", "--no-print-directory", "-C", ROOT / component, "venv"], check=True)
    found: dict[str, tuple[list[float], str]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-pipeline-") as made:
        place = Path(made)
        imported = _history(place)
        for times in TIMES:
            print(f"pipeline over {HEATS * times:,} heats ...", file=sys.stderr, flush=True)
            lake = _lake(place, imported, times)
            seconds, peak_mb, busy = _run(place, lake)
            print(f"  {seconds:.0f} s, {peak_mb:,.0f} MB; the same again ...", file=sys.stderr, flush=True)
            steps = _steps(place)
            again, _, _ = _run(place, lake)
            heats = f"{HEATS * times:,} heats"
            found[f"{heats} end to end"] = ([seconds], "s")
            found[f"peak memory of {heats}, all processes"] = ([peak_mb], "MB")
            found[f"{heats}, processor time of all cores"] = ([busy], "s")
            found[f"{heats} again, nothing changed"] = ([again], "s")
            found |= {f"{heats}, {step}": ([took], "s") for step, took in steps.items()}
            for folder in ("work", "artifacts", "models"):
                shutil.rmtree(place / folder)
            if lake != imported:
                shutil.rmtree(lake)
    return found


def _history(place: Path) -> Path:
    """The lake of one simulated history."""
    folder, lake = place / "history", place / "lake"
    many = ("--heats", str(HEATS), "--seed", "1", "--output", folder)
    subprocess.run([SIMULATOR, "history", *many], check=True, stdout=subprocess.DEVNULL)
    source = ("--mapping", folder / "mapping.yaml", "--input", folder, "--lake", lake)
    subprocess.run([PIPELINE, "import", *source], check=True, stdout=subprocess.DEVNULL)
    return lake


def _lake(place: Path, imported: Path, times: int) -> Path:
    """A lake that holds the imported heats so many times, one after the other in time."""
    if times == 1:
        return imported
    table, lake = DeltaTable(str(imported / "heats")), place / f"lake-{times}"
    rows = pl.scan_delta(table).collect()
    span = pl.lit(rows.select(pl.col("completed_at").max() - pl.col("registered_at").min()).item())
    for part in range(times):
        later = rows.with_columns(
            *[pl.col(name) + part * span for name in INSTANTS],
            *[
                pl.format(f"{part:04x}{{}}", pl.col(n).str.slice(4)).alias(n)
                for n in ("heat_uid", "event_id")
            ],
            pl.col("heat_no") + f"-{part}",
        )
        later.write_delta(lake / "heats", mode="append")
    return lake


def _run(place: Path, lake: Path) -> tuple[float, float, float]:
    """Seconds of a whole run, the most memory its processes had together (MB, sampled), and its processor
    time (s), which tells how much of the seconds were others' on a busy machine."""
    folders = {name: str(place / name) for name in ("work", "artifacts", "models")}
    settings = {f"ML_PIPELINE_{name.upper()}": folder for name, folder in folders.items()}
    own = {"ML_PIPELINE_LAKE": str(lake), "ML_PIPELINE_IMAGE": "never", "ML_PIPELINE_TRIAL": "true"}
    began, before, peak = time.monotonic(), _processor_s(), 0.0
    with (place / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [PIPELINE, "run"], env={**os.environ, **settings, **own}, stdout=output, stderr=output
        )
        while process.poll() is None:
            peak = max(peak, _memory_mb(process.pid))
            time.sleep(0.2)
    if process.returncode:
        raise RuntimeError((place / "output.txt").read_text(encoding="utf-8")[-3000:])
    return time.monotonic() - began, peak, _processor_s() - before


def _processor_s() -> float:
    """Processor time of all processes that were waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _steps(place: Path) -> dict[str, float]:
    """Seconds of each step, from the summary of the last run."""
    told = (place / "output.txt").read_text(encoding="utf-8")
    return {step: float(took) for step, took in re.findall(r"^(\w+) +([\d.]+) s ", told, re.MULTILINE)}


def _memory_mb(pid: int) -> float:
    """Memory of a process and its children's that is theirs alone or shared out among them (PSS)."""
    total = 0.0
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        total += (
            next(float(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1000
        )
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    except (OSError, StopIteration):
        return total  # it has just ended
    return total + sum(_memory_mb(int(child)) for child in children)
