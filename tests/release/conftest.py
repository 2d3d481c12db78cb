"""A model trained and registered in a clone of this repository, as it is committed."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contracts import ROOT

HEATS = 1500
HIDDEN = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "VIRTUAL_ENV", "PYTHONPATH")


@dataclass(frozen=True)
class Place:
    """Where the model was made; what a plant keeps is `artifacts` and `models`, all else may be lost."""

    folder: Path

    @property
    def clone(self) -> Path:
        return self.folder / "clone"

    @property
    def artifacts(self) -> Path:
        return self.folder / "kept" / "artifacts"

    @property
    def released(self) -> Path:
        return self.folder / "kept" / "models" / "1"

    @property
    def ledger(self) -> list[dict[str, Any]]:
        lines = (self.artifacts / "ledger.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def make_clone(self) -> None:
        subprocess.run(["git", "clone", "--quiet", ROOT, self.clone], check=True)

    def call(self, *command: str, **settings: str) -> str:
        """Run a command in the clone with this place's settings; its output, also where it fails."""
        around = {name: value for name, value in os.environ.items() if name not in HIDDEN}
        own = {
            "ML_PIPELINE_LAKE": str(self.folder / "lost" / "lake"),
            "ML_PIPELINE_WORK": str(self.folder / "lost" / "work"),
            "ML_PIPELINE_ARTIFACTS": str(self.artifacts),
            "ML_PIPELINE_MODELS": str(self.released.parent),
            "ML_PIPELINE_IMAGE": "never",
            "UV_CACHE_DIR": str(self.folder / "lost" / "uv"),
        }
        done = subprocess.run(
            command,
            cwd=self.clone,
            env={**around, **own, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}"
        )
        return done.stdout

    def wipe(self) -> None:
        """Everything but registry, artifact store and released models: lake, work, clone, environments,
        caches."""
        shutil.rmtree(self.folder / "lost")
        shutil.rmtree(self.clone)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Version 1, trained on simulated heats and released."""
    place = Place(tmp_path_factory.mktemp("release"))
    place.make_clone()
    place.call("make", "-C", "ml-pipeline", "venv")
    place.call("make", "-C", "infra/plant-simulator", "venv")
    history = str(place.folder / "lost" / "history")
    simulator = "infra/plant-simulator/.venv/bin/plant-simulator"
    place.call(simulator, "history", "--heats", str(HEATS), "--seed", "11", "--output", history)
    pipeline = "ml-pipeline/.venv/bin/ml-pipeline"
    place.call(pipeline, "import", "--mapping", f"{history}/mapping.yaml", "--input", history)
    place.call("make", "-C", "ml-pipeline", "run")
    yield place
    shutil.rmtree(place.folder, ignore_errors=True)
