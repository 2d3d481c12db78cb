"""Images: what each promises, and that software's and models' do not move each other."""

import hashlib
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from compose.conftest import Composed
from contracts import ROOT
from osv import Database
from running_demo import wait_until

COMPONENTS = ("backend", "monitoring", "ml-pipeline", "plant-simulator")
SERVING = {"backend", "monitoring"}
# Where a component's code is, and which image carries it; the pipeline trains with the Model Service's code.
SOURCES = {
    "backend": "backend",
    "monitoring": "monitoring",
    "ml-pipeline": "ml-pipeline",
    "model-service": "ml-pipeline",
    "infra/plant-simulator": "plant-simulator",
}
HOLE = {"summary": "a hole", "modified": "2026-01-01T00:00:00Z"}
UNDER_TEST = "steel-additives-under-test"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def inspect(composed: Composed, image: str) -> dict[str, Any]:
    (told,) = json.loads(composed.call("docker", "image", "inspect", image).stdout)
    return dict(told)


def built(composed: Composed, name: str) -> dict[str, Any]:
    return inspect(composed, composed.call("ci/build-image", "--list", name).stdout.split()[0])


@pytest.fixture(scope="module")
def second_image(composed: Composed, second_version: str) -> Iterator[str]:
    """The second version's image under another name; forgotten again."""
    yield model_image(composed, second_version)
    composed.call("docker", "image", "rm", "--force", f"{UNDER_TEST}:{second_version}")


@pytest.mark.parametrize("name", COMPONENTS)
def test_an_image_says_what_it_is_and_is_nobodys(composed: Composed, name: str) -> None:
    config = built(composed, name)["Config"]
    base = inspect(composed, composed.environment["BASE_IMAGE"])["Config"]

    assert config["User"] == "10001:10001"
    assert (config["Healthcheck"]["Test"] != ["NONE"]) == (name in SERVING)
    assert {
        f"org.opencontainers.image.{label}" for label in ("title", "version", "revision", "created")
    } <= set(config["Labels"])
    # Of a build's settings none stays; what the base image was given is the base image's.
    assert not [v for v in set(config["Env"]) - set(base["Env"]) if v.startswith("PIP_")]


def test_the_same_inputs_are_the_same_digest(composed: Composed) -> None:
    before = built(composed, "plant-simulator")["Id"]

    composed.call("ci/build-image", "--no-cache", "plant-simulator")

    assert built(composed, "plant-simulator")["Id"] == before


def test_a_new_model_leaves_the_image_of_every_component_as_it_is(
    composed: Composed, second_version: str
) -> None:
    before = {name: built(composed, name)["Id"] for name in COMPONENTS}

    image = model_image(composed, second_version)
    said = composed.call("ci/build-image", *COMPONENTS).stdout

    assert inspect(composed, image)["Config"]["Labels"]["org.opencontainers.image.version"] == second_version
    assert said.count("unchanged") == len(COMPONENTS)
    assert {name: built(composed, name)["Id"] for name in COMPONENTS} == before
    assert composed.container("backend")["Image"] == before["backend"]


@pytest.mark.parametrize("folder", SOURCES)
def test_new_software_changes_what_its_own_image_is_made_of_and_no_other(
    composed: Composed, folder: str, tmp_path: Path
) -> None:
    clone = clone_of_this(composed, tmp_path / "clone")
    edit(clone, folder)

    listed = composed.call(clone / "ci" / "build-image", "--list", *COMPONENTS).stdout.splitlines()

    changed = {name for name, line in zip(COMPONENTS, listed, strict=True) if "inputs have changed" in line}
    assert changed == {SOURCES[folder]}


def test_new_software_of_every_component_leaves_the_image_of_the_model_as_it_is(
    composed: Composed, second_version: str, second_image: str, tmp_path: Path
) -> None:
    before, backend = inspect(composed, second_image), built(composed, "backend")
    clone = clone_of_this(composed, tmp_path / "clone")
    for folder in set(SOURCES) - {"model-service"}:
        edit(clone, folder)

    composed.call("env", f"IMAGE_PREFIX={UNDER_TEST}", clone / "ci" / "build-image", "backend")
    sources = f"PYTHONPATH={clone / 'ml-pipeline' / 'src'}:{clone / 'model-service' / 'src'}"
    image = model_image(composed, second_version, sources)

    changed = f"{UNDER_TEST}/backend:{backend['Config']['Labels']['org.opencontainers.image.version']}"
    assert inspect(composed, changed)["Id"] != backend["Id"]
    assert inspect(composed, image)["Id"] == before["Id"]
    composed.call("docker", "image", "rm", changed)


def edit(clone: Path, folder: str) -> None:
    (file,) = (clone / folder / "src").glob("*/__init__.py")
    file.write_text(file.read_text() + "\nEDITED = True\n")


@pytest.mark.parametrize("name", [*COMPONENTS, "model-image"])
def test_an_image_is_audited_down_to_its_debian_packages(
    composed: Composed, second_version: str, second_image: str, name: str
) -> None:
    with Database.running() as database:
        database.known["zlib"] = {"id": "DEBIAN-1", **HOLE}
        done = scan(composed, database, name, second_version)

    parts = json.loads((ROOT / "build" / "scan" / f"{name}.cdx.json").read_text())["components"]
    debian = {part["name"] for part in parts if part.get("purl", "").startswith("pkg:deb/debian/")}
    assert done.returncode == 0, done.stdout
    assert {"libc6", "python3", "zlib1g"} <= debian
    assert any(part.get("purl", "").startswith("pkg:pypi/") for part in parts)
    assert "1 vulnerabilities known, 0 of them mended" in done.stdout


def test_an_image_with_a_hole_that_debian_has_mended_is_stopped(
    composed: Composed, second_version: str, second_image: str
) -> None:
    with Database.running() as database:
        database.known["openssl"] = {
            "id": "DEBIAN-2",
            **HOLE,
            "events": [{"introduced": "0"}, {"fixed": "9"}],
        }
        done = scan(composed, database, "model-image", second_version)

    assert done.returncode == 1
    assert "openssl: DEBIAN-2, mended in Debian:" in done.stdout


def scan(
    composed: Composed, database: Database, name: str, version: str
) -> "subprocess.CompletedProcess[str]":
    """Scan an image, asking a stand-in of a vulnerability database."""
    settings = (f"OSV_URL={database.url}", f"ML_PIPELINE_IMAGE_NAME={UNDER_TEST}", f"MODEL_VERSION={version}")
    image = () if name == "model-image" else ("image",)
    return composed.call("env", *settings, "ci/scan", name, *image, check=False)


def test_what_is_published_is_what_is_pulled_by_its_digest(
    composed: Composed, second_version: str, second_image: str, registry: str, tmp_path: Path
) -> None:
    """A component's image and a model's, pushed to a registry, and what a deployment would name of them."""
    model, clone = second_image, clone_of_this(composed, tmp_path / "clone")
    of_model = {"MODEL_VERSION": second_version, "ML_PIPELINE_IMAGE_NAME": UNDER_TEST}
    local = {"nats": built(composed, "nats")["Id"], "model-image": inspect(composed, model)["Id"]}

    for name in local:
        settings = {"IMAGE_REGISTRY": f"{registry}/steel", **of_model}
        given = [f"{key}={value}" for key, value in settings.items()]
        composed.call("env", *given, clone / "ci" / "publish-image", name)

    for name, image_id in local.items():
        reference = (clone / "build" / "published" / name).read_text().strip()
        repository, _, digest = reference.removeprefix(f"{registry}/").partition("@")
        answer = httpx.get(
            f"http://{registry}/v2/{repository}/manifests/{digest}", headers={"Accept": MANIFEST}
        ).raise_for_status()
        assert f"sha256:{hashlib.sha256(answer.content).hexdigest()}" == digest
        assert answer.json()["config"]["digest"] == image_id
        composed.call("docker", "pull", "--quiet", reference)
        assert inspect(composed, reference)["Id"] == image_id


@pytest.fixture
def registry(composed: Composed, tmp_path: Path) -> Iterator[str]:
    """A registry of images on this machine, Debian's, empty; what was tagged for it is forgotten again."""
    program = shutil.which("docker-registry")
    assert program, "there is no docker-registry; on Debian: apt-get install docker-registry"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "registry")}}
    config = tmp_path / "registry.json"
    config.write_text(json.dumps({"version": "0.1", "storage": storage, "http": {"addr": address}}))
    with (tmp_path / "registry.log").open("w") as log:
        process = subprocess.Popen([program, "serve", config], stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: process.poll() is not None or answers(f"http://{address}/v2/"))
        assert process.poll() is None, (tmp_path / "registry.log").read_text()
        yield address
    finally:
        process.terminate()
        process.wait()
        tags = composed.call("docker", "image", "ls", "--format={{.Repository}}:{{.Tag}}").stdout.split()
        for tag in [tag for tag in tags if tag.startswith(f"{address}/") and not tag.endswith(":<none>")]:
            composed.call("docker", "image", "rm", tag)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def clone_of_this(composed: Composed, folder: Path) -> Path:
    """A checkout of its own, with the scripts as they are here; what is written there concerns nobody."""
    composed.call("git", "clone", "--quiet", ROOT, folder)
    for part in ("ci", "infra/images"):
        shutil.copytree(ROOT / part, folder / part, dirs_exist_ok=True)
    return folder


def model_image(composed: Composed, version: str, *more: str) -> str:
    """Let the Model Image of a version be built, as ci/deploy does, and return its name."""
    settings = {
        "ML_PIPELINE_ARTIFACTS": composed.folder / "artifacts",
        "ML_PIPELINE_MODELS": composed.folder / "models",
        "ML_PIPELINE_WORK": composed.folder / "work",
        "ML_PIPELINE_TRACKING_URI": composed.urls["mlflow"],
        "ML_PIPELINE_IMAGE_NAME": UNDER_TEST,
        "ML_PIPELINE_BASE_IMAGE": composed.environment["BASE_IMAGE"],
    }
    given = [f"{name}={value}" for name, value in settings.items()]
    composed.call("env", *given, *more, "ml-pipeline/.venv/bin/ml-pipeline", "image", version)
    return f"{UNDER_TEST}:{version}"
