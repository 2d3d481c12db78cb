"""Plants, the models trained from their past, and closed loops with them: commands of the components only."""

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

ROOT = Path(__file__).resolve().parents[2]
SIMULATOR = ROOT / "infra" / "plant-simulator"
STATIONS = ("tapping", "ladle_furnace")
STEPS = ("extract", "validate", "prepare", "split", "train")
ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
AT_ONCE = 2


class Plant(NamedTuple):
    """One plant: a seed of a drawn parameter set (0 is the default plant)."""

    seed: int
    parameter_set: int

    @property
    def options(self) -> list[str]:
        return ["--seed", str(self.seed), "--parameter-set", str(self.parameter_set)]

    @property
    def name(self) -> str:
        return f"plant-{self.parameter_set}-seed-{self.seed}"


class Loop(NamedTuple):
    """One closed loop; with a confidence, or else with the price of a miss in every request. `more` are
    further options of `plant-simulator closed-loop`.
    """

    name: str
    plant: Plant
    bundle: Path
    station: str
    lines: int
    heats_per_line: int
    skip: int
    optimum_lines: int
    confidence: float | None
    more: tuple[str, ...] = ()


class Done(NamedTuple):
    """What a loop left: see `plant_simulator.policies.closed_loop`."""

    folder: Path
    summary: dict[str, Any]

    def heats(self) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "heats.parquet")

    def answers(self) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "answers.parquet")


class Bench:
    """Runs commands two at a time in a folder of its own, and says how far it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._begun = time.monotonic()
        for component in (SIMULATOR, ROOT / "ml-pipeline", ROOT / "model-service"):
            _run(["make", "--no-print-directory", "-C", str(component), "venv"])

    def train(self, heats_of: dict[Plant, int]) -> dict[Plant, Path]:
        """A bundle for each plant, from its own past of so many heats a station (line 0)."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            bundles = pool.map(self._train, heats_of, heats_of.values())
            return dict(zip(heats_of, bundles, strict=True))

    def play(self, loops: list[Loop]) -> dict[str, Done]:
        """Every loop, on lines 1 and on of its plant."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip([loop.name for loop in loops], pool.map(self._play, loops), strict=True))

    def tell(self, line: str) -> None:
        sys.stdout.write(f"  {time.monotonic() - self._begun:5.0f} s  {line}\n")
        sys.stdout.flush()

    def _train(self, plant: Plant, heats: int) -> Path:
        place = self.folder / plant.name
        for station in STATIONS:
            past = str(place / f"history-{station}")
            what = ["--heats", str(heats), "--station", station, "--output", past]
            _run([_simulator(), "history", *plant.options, *what])
            lake = ["--lake", str(place / "lake"), "--plant-id", "bench"]
            _run([_pipeline(), "import", "--mapping", f"{past}/mapping.yaml", "--input", past, *lake])
        for step in STEPS:
            _run([_pipeline(), step, *_folders(place)])
        self.tell(f"trained on {heats} heats a station of plant {plant.parameter_set}, seed {plant.seed}")
        return place / "work" / "bundle"

    def _play(self, loop: Loop) -> Done:
        output = self.folder / "loops" / loop.name
        service = ROOT / "model-service" / ".venv" / "bin" / "model-service"
        sizes = {
            "--lines": loop.lines,
            "--heats-per-line": loop.heats_per_line,
            "--skip": loop.skip,
            "--optimum-lines": loop.optimum_lines,
        }
        _run(
            [
                *(_simulator(), "closed-loop", *loop.plant.options, "--station", loop.station),
                *("--recommender", f"{service} stream --bundle {loop.bundle}", "--output", str(output)),
                *(text for name, value in sizes.items() for text in (name, str(value))),
                *(() if loop.confidence is None else ("--confidence", str(loop.confidence))),
                *loop.more,
            ]
        )
        done = Done(output, json.loads((output / "summary.json").read_text(encoding="utf-8")))
        self.tell(f"played {loop.name}: {done.summary['heats']} heats judged")
        return done


def train_again(bench: Bench, plant: Plant, name: str, *options: str) -> Path:
    """A bundle from the same heats of a plant that is trained already, `train` being told something else."""
    place = bench.folder / plant.name
    other = place.with_name(f"{place.name}-{name}")
    shutil.copytree(place, other, symlinks=True)
    _run([_pipeline(), "train", *options, *_folders(other)])
    bench.tell(f"trained again: {name}")
    return other / "work" / "bundle"


def evaluate(bench: Bench, plant: Plant, policy: Path) -> Path:
    """The pipeline's report of a trained plant, with a policy's verdict; the folder it is in."""
    place = bench.folder / plant.name
    _run([_pipeline(), "evaluate", "--policy", str(policy), *_folders(place)])
    return place / "work" / "report"


def _pipeline() -> str:
    return str(ROOT / "ml-pipeline" / ".venv" / "bin" / "ml-pipeline")


def _folders(place: Path) -> list[str]:
    names = ("lake", "work", "artifacts", "models")
    return [text for name in names for text in (f"--{name}", str(place / name))]


def _simulator() -> str:
    return str(SIMULATOR / ".venv" / "bin" / "plant-simulator")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | ONE_CORE)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
