"""The Model Image: built from a released model, started as in production, verified, recorded."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts import ROOT
from release.conftest import Place
from releases import Releases

NAME = "steel-additives-under-test"
PULLED, MADE = "python:3.11-slim-bookworm", "steel-additives-base:bookworm"
PULL_S = 120
TRAINING = ("mlflow", "sklearn", "polars", "pandas", "scipy")
COLD_START = """
import sys
from model_service.bundle import write_bundle
from model_service.priors import golden_requests, prior_parameters
write_bundle(sys.argv[1], prior_parameters(), {}, golden_requests())
"""


def docker(*arguments: str, given: str | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, check=False, input=given, env=environment
    )


def inspect(image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("image", "inspect", image).stdout)[0]
    return found


@pytest.fixture(scope="module")
def base_image() -> str:
    """A Debian with Python: the one asked for, or one that is there, can be pulled or is made here."""
    try:
        engine = docker("version")
    except FileNotFoundError:
        pytest.skip("there is no docker command; on Debian: apt-get install docker.io")
    if engine.returncode:
        pytest.skip("no Docker engine answers; start dockerd, or set DOCKER_HOST")
    asked = os.environ.get("BASE_IMAGE")
    if asked:
        return asked
    for name in (PULLED, MADE):
        if docker("image", "inspect", name).returncode == 0:
            return name
    try:
        subprocess.run(["docker", "pull", "--quiet", PULLED], check=True, timeout=PULL_S, capture_output=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        made = subprocess.run(
            [ROOT / "infra" / "images" / "debian-base", MADE], capture_output=True, text=True, check=False
        )
        if made.returncode == 2:
            pytest.skip(f"no base image: {made.stderr}")
        assert made.returncode == 0, made.stderr
        return MADE
    return PULLED


@pytest.fixture(scope="module")
def image(place: Place, base_image: str) -> Iterator[str]:
    """The image of version 1."""
    place.call(
        "make", "model-image", "MODEL_VERSION=1", f"BASE_IMAGE={base_image}", ML_PIPELINE_IMAGE_NAME=NAME
    )
    yield f"{NAME}:1"
    docker("image", "rm", "--force", f"{NAME}:1")


def test_image_says_what_it_holds_and_what_made_it(place: Place, image: str) -> None:
    release = json.loads((place.released / "release.json").read_text())

    labels = inspect(image)["Config"]["Labels"]

    assert labels["org.opencontainers.image.version"] == release["version"] == "1"
    assert labels["org.opencontainers.image.revision"] == release["code_commit"]
    assert labels["steel-additives.run-id"] == release["run_id"]
    assert labels["steel-additives.data-version"] == release["data_version"]
    assert labels["steel-additives.bundle-hash"] == release["bundle_hash"]


def test_image_is_small_has_no_training_library_and_does_not_run_as_root(image: str) -> None:
    told = inspect(image)

    modules = docker(
        *("run", "--rm", "--entrypoint", "/opt/model-service/bin/python", image),
        *("-c", f"import importlib.util as u; print([n for n in {TRAINING} if u.find_spec(n)])"),
    )

    assert told["Size"] < 300e6
    assert told["Config"]["User"].split(":")[0] not in ("", "0", "root")
    assert told["Config"]["Healthcheck"]["Test"][0] == "CMD"
    assert modules.stdout.strip() == "[]", modules.stderr


def test_digest_is_in_the_ledger(place: Place, image: str) -> None:
    entry = [e for e in place.ledger if e["what"] == "image"][-1]

    assert entry["version"] == "1"
    assert entry["evidence"]["image_digest"] == inspect(image)["Id"]


def test_image_is_verified_by_replaying_its_golden_rows(place: Place, image: str) -> None:
    said = place.call(
        "make", "-C", "ml-pipeline", "verify-image", "MODEL_VERSION=1", ML_PIPELINE_IMAGE_NAME=NAME
    )

    assert "golden rows" in said
    assert "read-only root, healthy" in said


def test_image_that_runs_as_root_is_refused(place: Place, image: str) -> None:
    rooted = f"{NAME}:rooted"
    built = docker("build", "--tag", rooted, "-", given=f"FROM {image}\nUSER 0\n")
    assert built.returncode == 0, built.stderr

    with pytest.raises(AssertionError, match="runs as root"):
        place.call("ml-pipeline/.venv/bin/ml-pipeline", "verify-image", "1", "--name", rooted)
    docker("image", "rm", "--force", rooted)


def test_image_that_holds_another_bundle_is_refused(place: Place, image: str, tmp_path: Path) -> None:
    """Labels may lie; what it serves does not."""
    place.call("ml-pipeline/.venv/bin/python", "-c", COLD_START, str(tmp_path / "other"))
    exchange = f"FROM {image}\nCOPY other /opt/other\nENV MODEL_SERVICE_BUNDLE=/opt/other\n"
    (tmp_path / "Dockerfile").write_text(exchange)
    exchanged = f"{NAME}:exchanged"
    built = docker("build", "--tag", exchanged, str(tmp_path))
    assert built.returncode == 0, built.stderr

    with pytest.raises(AssertionError, match=r"serves bundle \w+, not"):
        place.call("ml-pipeline/.venv/bin/ml-pipeline", "verify-image", "1", "--name", exchanged)
    docker("image", "rm", "--force", exchanged)


def test_image_with_a_bundle_of_the_release_before_is_verified_as_the_service_judges_it(
    place: Place, image: str, tmp_path: Path
) -> None:
    """Today's service chooses other kilograms for it, and predicts the same for those of its rows."""
    bundle = Releases.made_in(tmp_path).release_a_bundle(place.released.parent, "before")
    shutil.copytree(bundle, tmp_path / "bundle")
    told = json.loads((bundle / "release.json").read_text())
    exchange = f"FROM {image}\nCOPY bundle /opt/before\nENV MODEL_SERVICE_BUNDLE=/opt/before\n"
    (tmp_path / "Dockerfile").write_text(
        exchange + f"LABEL steel-additives.bundle-hash={told['bundle_hash']}\n"
    )
    (tmp_path / ".dockerignore").write_text("clone\n")
    built = docker("build", "--tag", f"{NAME}:before", str(tmp_path))
    assert built.returncode == 0, built.stderr

    said = place.call(
        "ml-pipeline/.venv/bin/ml-pipeline", "verify-image", "before", "--name", f"{NAME}:before"
    )

    assert "reproduces 3 golden rows" in said
    docker("image", "rm", "--force", f"{NAME}:before")
    shutil.rmtree(bundle)
