"""Images: what each promises, and that software's and models' do not move each other."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from compose.conftest import Composed
from contracts import ROOT

COMPONENTS = ("backend", "monitoring", "ml-pipeline", "plant-simulator")
SERVING = {"backend", "monitoring"}
UNDER_TEST = "steel-additives-under-test"


def inspect(composed: Composed, image: str) -> dict[str, Any]:
    (told,) = json.loads(composed.call("docker", "image", "inspect", image).stdout)
    return dict(told)


def built(composed: Composed, name: str) -> dict[str, Any]:
    return inspect(composed, composed.call("ci/build-image", "--list", name).stdout.split()[0])


@pytest.mark.parametrize("name", COMPONENTS)
def test_an_image_says_what_it_is_and_is_nobodys(composed: Composed, name: str) -> None:
    config = built(composed, name)["Config"]

    assert config["User"] == "10001:10001"
    assert (config["Healthcheck"]["Test"] != ["NONE"]) == (name in SERVING)
    assert {
        f"org.opencontainers.image.{label}" for label in ("title", "version", "revision", "created")
    } <= set(config["Labels"])
    assert not [variable for variable in config["Env"] if variable.startswith("PIP_")]


def test_the_same_inputs_are_the_same_digest(composed: Composed) -> None:
    before = built(composed, "plant-simulator")["Id"]

    composed.call("ci/build-image", "--no-cache", "plant-simulator")

    assert built(composed, "plant-simulator")["Id"] == before


def test_a_new_model_leaves_the_image_of_the_backend_as_it_is(
    composed: Composed, second_version: str
) -> None:
    before = built(composed, "backend")["Id"]

    image = model_image(composed, second_version)
    said = composed.call("ci/build-image", "backend").stdout

    assert inspect(composed, image)["Config"]["Labels"]["org.opencontainers.image.version"] == second_version
    assert "unchanged" in said
    assert built(composed, "backend")["Id"] == before == composed.container("backend")["Image"]


def test_a_new_backend_leaves_the_image_of_the_model_as_it_is(
    composed: Composed, second_version: str, tmp_path: Path
) -> None:
    before, backend = inspect(composed, model_image(composed, second_version)), built(composed, "backend")
    clone = tmp_path / "clone"
    composed.call("git", "clone", "--quiet", ROOT, clone)
    for folder in ("ci", "infra/images"):
        shutil.copytree(ROOT / folder, clone / folder, dirs_exist_ok=True)
    edited = clone / "backend" / "src" / "backend" / "__init__.py"
    edited.write_text(edited.read_text() + "\nEDITED = True\n")

    composed.call("env", f"IMAGE_PREFIX={UNDER_TEST}", clone / "ci" / "build-image", "backend")

    changed = f"{UNDER_TEST}/backend:{backend['Config']['Labels']['org.opencontainers.image.version']}"
    assert inspect(composed, changed)["Id"] != backend["Id"]
    assert inspect(composed, model_image(composed, second_version))["Id"] == before["Id"]
    composed.call("docker", "image", "rm", changed)


def model_image(composed: Composed, version: str) -> str:
    """Let the Model Image of a version be built, as ci/deploy does, and return its name."""
    settings = {
        "ML_PIPELINE_ARTIFACTS": composed.folder / "artifacts",
        "ML_PIPELINE_MODELS": composed.folder / "models",
        "ML_PIPELINE_WORK": composed.folder / "work",
        "ML_PIPELINE_TRACKING_URI": composed.urls["mlflow"],
        "ML_PIPELINE_IMAGE_NAME": UNDER_TEST,
        "ML_PIPELINE_BASE_IMAGE": composed.call("infra/images/base-image").stdout.split()[-1],
    }
    given = [f"{name}={value}" for name, value in settings.items()]
    composed.call("env", *given, "ml-pipeline/.venv/bin/ml-pipeline", "image", version)
    return f"{UNDER_TEST}:{version}"
