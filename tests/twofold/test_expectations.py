"""Who asks and who answers are released apart, so each gets on with the other's release before.

The release before is the commit before a component's version was raised for the last time. A checkout without
history holds none: then today's release stands for it, and a warning says so.
"""

import os
import socket
import subprocess
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts import CONTRACTS, ROOT, load, validator_of
from twofold.forge import HIDDEN

SERVICE = CONTRACTS / "model-service"
READERS = ("backend", "monitoring", "model-service")


def release_before(component: str) -> str:
    """Return the commit before the one that gave the component its version of today."""
    shallow = ("git", "rev-parse", "--is-shallow-repository")
    if subprocess.run(shallow, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == "true":
        warnings.warn(f"a checkout without history: {component} is compared with itself", stacklevel=2)
        return "HEAD"
    log = ("git", "log", "--format=%H", "-G", '^version = "', "--", f"{component}/pyproject.toml")
    raised = subprocess.run(log, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert len(raised) > 1, f"{component} has no release before this one in this checkout's history"
    return f"{raised[0]}^"


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    around = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    done = subprocess.run(command, cwd=cwd, env=around, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def checkout(folder: Path, commit: str) -> Path:
    run("git", "clone", "--quiet", "--no-checkout", ROOT, folder)
    run("git", "checkout", "--quiet", run("git", "rev-parse", commit).strip(), cwd=folder)
    return folder


@dataclass(frozen=True)
class Releases:
    """The Model Service of the release before: its sources, environment and a bundle it made."""

    before: Path

    @property
    def command_before(self) -> Path:
        return self.before / "model-service" / ".venv" / "bin" / "model-service"

    @property
    def command_today(self) -> Path:
        return ROOT / "model-service" / ".venv" / "bin" / "model-service"


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    before = checkout(tmp_path_factory.mktemp("before") / "clone", release_before("model-service"))
    run("make", "-C", before / "model-service", "venv")
    return Releases(before)


@pytest.fixture(scope="module", params=["today", "before"])
def address(request: Any, releases: Releases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Model Service of this release or of the one before, with a bundle of its own."""
    command = releases.command_today if request.param == "today" else releases.command_before
    bundle = tmp_path_factory.mktemp("bundle") / "bundle"
    run(command, "priors", "--output", bundle)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"MODEL_SERVICE_BUNDLE": str(bundle), "MODEL_SERVICE_PORT": str(port)}
    process = subprocess.Popen([command, "serve"], env={**os.environ, **settings}, stderr=subprocess.DEVNULL)
    try:
        yield wait_until_ready(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(10)


def wait_until_ready(address: str) -> str:
    for _ in range(200):
        try:
            if httpx.get(f"{address}/health/ready").is_success:
                return address
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"{address} is not ready within 10 s")


def valid(schema: str) -> list[Path]:
    return sorted((SERVICE / "examples" / schema / "valid").glob("*.json"))


@pytest.mark.parametrize("example", valid("recommendation-request.v1"), ids=lambda path: path.stem)
def test_todays_backend_is_answered_as_it_expects(address: str, example: Path) -> None:
    answer = httpx.post(f"{address}/v1/recommendations", json=load(example))

    assert answer.status_code == 200, answer.text
    validator_of(SERVICE / "recommendation.v1.schema.json").validate(answer.json())


@pytest.mark.parametrize("example", valid("prediction-request.v1"), ids=lambda path: path.stem)
def test_todays_backend_gets_the_predictions_it_expects(address: str, example: Path) -> None:
    answer = httpx.post(f"{address}/v1/predictions", json=load(example))

    assert answer.status_code == 200, answer.text
    validator_of(SERVICE / "prediction.v1.schema.json").validate(answer.json())


def test_a_bundle_of_the_release_before_is_served_today(releases: Releases, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    run(releases.command_before, "priors", "--output", bundle)

    assert "golden rows agree" in run(releases.command_today, "verify", bundle)


@pytest.mark.parametrize("reader", READERS)
def test_messages_of_the_release_before_are_still_read(reader: str, tmp_path: Path) -> None:
    clone = checkout(tmp_path / "clone", "HEAD")
    before = run("git", "rev-parse", release_before(reader)).strip()
    run("git", "checkout", "--quiet", before, "--", "contracts", cwd=clone)
    python = ROOT / reader / ".venv" / "bin" / "python"

    said = run(
        python,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-k",
        "valid_example and not invalid",
        cwd=clone / reader,
    )

    assert " passed" in said
