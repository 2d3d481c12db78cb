"""The plant simulator in bulk, on one core: heats per second, memory, the same heats for the same seed.

The simulator measures itself (`plant-simulator bench`), in its own environment, in a process of its own
for each run.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

COMPONENT = Path(__file__).resolve().parents[2] / "infra" / "plant-simulator"
RUNS, HEATS, MANY_HEATS = 5, 200_000, 1_000_000


def measure() -> dict[str, tuple[list[float], str]]:
    """Figures of `RUNS` runs of one seed, and of one run of a million heats."""
    subprocess.run(
        ["make", "--no-print-directory", "-C", COMPONENT, "venv"], check=True, stdout=subprocess.DEVNULL
    )
    runs = [_run(HEATS) for _ in range(RUNS)]
    many = _run(MANY_HEATS)
    same = sum(run["digest"] == runs[0]["digest"] for run in runs) / RUNS
    return {
        "bulk heats per second of one core": ([run["heats_per_core_s"] for run in runs], "heats/s"),
        "bulk heats per second by the clock": ([run["heats_per_s"] for run in runs], "heats/s"),
        "peak memory of 1 M heats": ([many["peak_mb"]], "MB"),
        "runs of one seed that give the same heats": ([same], "share"),
        "bulk heats per second of one core over 1 M heats": ([many["heats_per_core_s"]], "heats/s"),
        "peak memory of 200,000 heats": ([run["peak_mb"] for run in runs], "MB"),
    }


def _run(heats: int) -> dict[str, Any]:
    one_core = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [COMPONENT / ".venv" / "bin" / "plant-simulator", "bench", "--heats", str(heats)],
        check=True,
        stdout=subprocess.PIPE,
        env=os.environ | one_core,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
