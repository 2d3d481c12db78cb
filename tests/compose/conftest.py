"""The whole product in containers: what runs already (COMPOSE_DIR), or a project of its own, from nothing."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts import ROOT

HISTORY_HEATS = 600
MORE_HISTORY = timedelta(days=60)  # between the ends of two histories


@dataclass(frozen=True)
class Composed:
    """A running compose project and the folder that holds what it keeps."""

    folder: Path
    environment: dict[str, str]

    @property
    def urls(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "urls.json").read_text())
        return found

    @property
    def headers(self) -> dict[str, str]:
        """What a program sends that may read, decide, tell and keep."""
        tokens = json.loads((self.folder / "access.json").read_text())["tokens"]
        (secret,) = [token["secret"] for token in tokens if token["name"] == "programs"]
        return {"Authorization": f"Bearer {secret}"}

    @property
    def ledger(self) -> list[dict[str, Any]]:
        lines = (self.folder / "artifacts" / "ledger.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def bundle_hash(self, version: str) -> str:
        return str(json.loads((self.folder / "models" / version / "release.json").read_text())["bundle_hash"])

    def call(self, *command: str | Path, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command of the repository on this project; what it printed is in the failure."""
        done = subprocess.run(
            list(map(str, command)),
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-4000:]}"
        )
        return done

    def compose(self, *arguments: str) -> str:
        return self.call("infra/compose/compose", *arguments).stdout

    def deploy(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return self.call("ci/deploy", "compose", *arguments, check=check)

    def container(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        name = self.compose("ps", "-q", service).strip()
        (told,) = json.loads(self.call("docker", "inspect", name).stdout)
        return dict(told)


@pytest.fixture(scope="session")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """The project that COMPOSE_DIR names, which stays up; without one, a project that is thrown away."""
    if subprocess.run(["docker", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker engine answers; start dockerd, or set DOCKER_HOST")
    base = Composed(ROOT, dict(os.environ)).call("infra/images/base-image").stdout.split()[-1]
    around = {**os.environ, "BASE_IMAGE": base}
    given = os.environ.get("COMPOSE_DIR")
    if given:
        yield Composed(Path(given), around)
        return
    folder = tmp_path_factory.mktemp("compose")
    ports = ("BACKEND", "MODEL", "MONITORING", "MLFLOW", "NATS", "PROMETHEUS")
    project = Composed(
        folder,
        {
            **{name: value for name, value in around.items() if name not in ("MAKEFLAGS", "MAKELEVEL")},
            **{f"{name}_PORT": "0" for name in ports},
            "COMPOSE_DIR": str(folder),
            "COMPOSE_PROJECT": f"steel-additives-test-{os.getpid()}",
            "HISTORY_HEATS": str(HISTORY_HEATS),
        },
    )
    try:
        project.call("infra/compose/up")
        yield project
    finally:
        project.call("env", "DELETE=1", "infra/compose/down")
        assert left_of(project.environment["COMPOSE_PROJECT"]) == []
        assert not folder.exists()


def left_of(name: str) -> list[str]:
    """What the engine still has of a project."""
    of_project = f"--filter=label=com.docker.compose.project={name}"
    listings = (
        ("ps", "--all", "--format={{.Names}}", of_project),
        ("volume", "ls", "--format={{.Name}}", of_project),
        ("network", "ls", "--format={{.Name}}", of_project),
        ("image", "ls", "--format={{.Repository}}:{{.Tag}}", f"{name}/model"),
    )
    asked = [subprocess.run(["docker", *listing], capture_output=True, text=True) for listing in listings]
    assert [done.returncode for done in asked] == [0] * len(listings)
    return [line for done in asked for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def second_version(composed: Composed) -> str:
    """A model of more heats than the first one learnt from: released, with its image, and not yet served."""
    return train_again(composed)


def train_again(composed: Composed) -> str:
    """Import more of the simulated plant's past, train, and return the version that came of it."""
    before = {path.name for path in (composed.folder / "models").iterdir() if not path.is_symlink()}
    seed = 1 + len(before)  # another past each time, else there would be nothing to learn
    history = f"/data/plant/more-{seed}"
    # And a newer one: a candidate that has learnt from older heats than the champion is refused.
    end_at = datetime(2026, 1, 1, tzinfo=UTC) + (seed - 1) * MORE_HISTORY
    many = (
        "--heats",
        str(2 * HISTORY_HEATS),
        "--seed",
        str(seed),
        "--end-at",
        f"{end_at:%Y-%m-%dT%H:%M:%SZ}",
    )
    composed.compose("run", "--rm", "--no-deps", "plant-simulator", "history", *many, "--output", history)
    mapping = ("--mapping", f"{history}/mapping.yaml", "--input", history)
    composed.compose("run", "--rm", "ml-pipeline", "import", *mapping)
    said = composed.compose("run", "--rm", "ml-pipeline", "run")
    new = {path.name for path in (composed.folder / "models").iterdir() if not path.is_symlink()} - before
    assert len(new) == 1, said
    return new.pop()
