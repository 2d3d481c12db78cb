"""Who asks and who answers are released apart, so each gets on with the other's release before."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts import CONTRACTS, ROOT, load, validator_of
from releases import Releases, checkout, release_before, run

SERVICE = CONTRACTS / "model-service"
PIPELINE = ROOT / "ml-pipeline" / ".venv" / "bin" / "ml-pipeline"
READERS = ("backend", "monitoring", "model-service")


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    return Releases.made_in(tmp_path_factory.mktemp("before"))


@pytest.fixture(scope="module", params=["today", "before"])
def address(request: Any, releases: Releases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Model Service of this release or of the one before, with a bundle of its own."""
    command = releases.command_today if request.param == "today" else releases.command_before
    bundle = tmp_path_factory.mktemp("bundle") / "bundle"
    run(command, "priors", "--output", bundle)
    with served(command, bundle) as found:
        yield found


@contextmanager
def served(command: Path, bundle: Path) -> Iterator[str]:
    """The address of a Model Service on a bundle, while it runs."""
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


def test_a_deployment_judges_a_bundle_of_the_release_before_as_the_service_does(
    releases: Releases, tmp_path: Path
) -> None:
    """By what its model predicts: today's kilograms for it may be others."""
    bundle = releases.release_a_bundle(tmp_path, "1")
    with served(releases.command_today, bundle) as address:
        said = run("env", f"ML_PIPELINE_MODELS={tmp_path}", PIPELINE, "check-served", "1", "--url", address)

    assert "reproduces its 3 golden rows" in said


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
