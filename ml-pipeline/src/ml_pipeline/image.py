"""The Model Image: the installed Model Service and one released bundle, built and tried with Docker.

The engine is whatever `docker` reaches (DOCKER_HOST); no registry is needed.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import model_service
import msgspec
from model_service.bundle import load_bundle, package_sha256, read_manifest
from model_service.contracts import Prediction
from model_service.golden import compare, for_its_kilograms, shift
from model_service.manifest import Golden, GoldenRow

from ml_pipeline.errors import ImageError

SERVICE = Path(model_service.__file__).resolve().parent
COMPONENT = SERVICE.parents[1]
"""The Model Service's folder with its Dockerfile and lock, where it is installed from its sources."""
TITLE = "steel-additive model"
PORT = "8001"
READY_S, HEALTHY_S = 60.0, 60.0
MIRROR_SETTINGS = ("PIP_INDEX_URL", "PIP_TRUSTED_HOST")
Tell = Callable[[str], None]


def what_is_missing(base_image: str) -> str | None:
    """What it takes to build here and now, without fetching anything large; None where all is there."""
    missing = _engine_missing()
    if missing is None and _docker("image", "inspect", base_image, check=False) is None:
        return (
            f"the base image {base_image} is not on this engine. Fetch it (docker pull {base_image}), or "
            "make one from Debian packages (infra/images/README.md) and name it in ML_PIPELINE_BASE_IMAGE; "
            "then `ml-pipeline image VERSION`"
        )
    return missing


def build(folder: Path, name: str, base_image: str, tell: Tell) -> tuple[str, str]:
    """Build the image of a released folder; return its name with tag, and its digest."""
    missing = _engine_missing()
    if missing:
        raise ImageError(missing)
    dockerfile, lock = COMPONENT / "Dockerfile", COMPONENT / "requirements.lock"
    if not (dockerfile.is_file() and lock.is_file()):
        raise ImageError(f"{COMPONENT} has no Dockerfile and requirements.lock: run from a checkout")
    tagged = f"{name}:{folder.name}"
    labels = [f"--label={key}={value}" for key, value in labels_of(folder).items()]
    mirror = [
        f"--build-arg={n}={os.environ[n]}"
        for n in MIRROR_SETTINGS
        if os.environ.get(n) and not os.environ[n].startswith("file:")
    ]
    with tempfile.TemporaryDirectory(prefix="model-image-") as made:
        context = Path(made)
        shutil.copy(dockerfile, context)
        shutil.copy(COMPONENT / ".dockerignore", context)
        shutil.copy(lock, context)
        shutil.copytree(SERVICE, context / "src" / "model_service")
        shutil.copytree(folder, context / "bundle")
        tell(f"image: building {tagged} on {base_image}")
        _docker(
            *("build", "--network", "host", "--tag", tagged, f"--build-arg=BASE_IMAGE={base_image}"),
            *(*mirror, *labels, str(context)),
        )
    return tagged, digest(tagged)


def labels_of(folder: Path) -> dict[str, str]:
    """OCI labels of a released folder: what it holds and what made it."""
    bundle = load_bundle(folder)
    release, made_with = bundle.release, read_manifest(folder).model_service
    if release is None:
        raise ImageError(f"{folder} has no release.json: only a released bundle becomes an image")
    return {
        "org.opencontainers.image.title": TITLE,
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.created": release.created_at,
        "org.opencontainers.image.revision": release.code_commit or "unknown",
        "steel-additives.bundle-hash": release.bundle_hash,
        "steel-additives.run-id": release.run_id or "none",
        "steel-additives.data-version": release.data_version or "none",
        "steel-additives.data-sha256": release.data_sha256 or "none",
        "steel-additives.model-service-version": model_service.__version__,
        "steel-additives.model-service-sha256": made_with.source_sha256,
    }


def digest(name: str) -> str:
    """The image's content digest: of its manifest where it was pushed, else of its configuration."""
    told = json.loads(_docker("image", "inspect", name) or "[{}]")[0]
    pushed = [d.partition("@")[2] for d in told.get("RepoDigests") or []]
    return str(pushed[0] if pushed else told["Id"])


def verify(name: str, folder: Path, tell: Tell) -> None:
    """Start the image as production does (not root, read-only root, no capabilities) and replay the golden
    rows of the released folder. Raises ImageError with the first thing that is not as it should be."""
    missing = _engine_missing()
    if missing:
        raise ImageError(missing)
    told = _docker("image", "inspect", name, check=False)
    if told is None:
        raise ImageError(f"there is no image {name}; `ml-pipeline image {folder.name}` builds it")
    image, bundle = json.loads(told)[0], load_bundle(folder)
    config = image["Config"]
    if config.get("User", "").split(":")[0] in ("", "0", "root"):
        raise ImageError(f"{name} runs as root")
    if not config.get("Healthcheck"):
        raise ImageError(f"{name} has no health check")
    label = (config.get("Labels") or {}).get("steel-additives.bundle-hash")
    if label != bundle.bundle_hash:
        raise ImageError(f"{name} is labelled with bundle {label}, {folder} holds {bundle.bundle_hash}")
    began = time.monotonic()
    with _running(name, image["Id"]) as (container, address):
        _wait_ready(container, address)
        ready_s = time.monotonic() - began
        rows = check_served(address, folder, name)
        _wait_healthy(container)
    tell(
        f"image: {name} reproduces {rows} golden rows; ready after {ready_s:.1f} s, "
        f"{image['Size'] / 1e6:.0f} MB, user {config['User']}, read-only root, healthy"
    )


def check_served(address: str, folder: Path, name: str) -> int:
    """Replay the golden rows of a released folder at an address that should serve it; return how many.

    Raises ImageError, which says `name`, with the first thing that is not as it should be.
    """
    try:
        served, released = _ask(f"{address}/v1/model")["bundle_hash"], load_bundle(folder).bundle_hash
        if served != released:
            raise ImageError(f"{name} serves bundle {served}, not {released}")
        return _replay(address, folder)
    except (OSError, ValueError) as error:
        raise ImageError(f"{name} does not answer as a Model Service does: {error}") from error


def _replay(address: str, folder: Path) -> int:
    """Judge as the Model Service does when it loads the bundle: its answers, where these sources made it; of
    one that another release made, what it predicts for the kilograms of its rows."""
    golden = msgspec.json.decode((folder / "golden.json").read_bytes(), type=Golden)
    own = read_manifest(folder).model_service.source_sha256 == package_sha256()
    for i, row in enumerate(golden.rows):
        where = f"$.rows[{i}].response"
        found = _differences(address, row, where, golden.tolerance) if own else _shifts(address, row, where)
        first = next(found, None)
        if first is not None:
            raise ImageError(f"it does not reproduce its golden rows: {first}")
    return len(golden.rows)


def _differences(address: str, row: GoldenRow, where: str, tolerance: float) -> Iterator[str]:
    answer = _ask(f"{address}/v1/recommendations", msgspec.json.encode(row.request))
    del answer["model"]
    yield from compare(row.response, answer, where, tolerance)


def _shifts(address: str, row: GoldenRow, where: str) -> Iterator[str]:
    answer = _ask(f"{address}/v1/predictions", msgspec.json.encode(for_its_kilograms(row)))
    yield from shift(row, msgspec.convert(answer, Prediction), where)


@contextmanager
def _running(name: str, image_id: str) -> Iterator[tuple[str, str]]:
    """A container of the image and its address; gone afterwards."""
    container = _docker(
        *("run", "--detach", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
        *(f"--env=MODEL_SERVICE_IMAGE_DIGEST={image_id}", f"--publish=127.0.0.1::{PORT}", name),
    )
    assert container is not None  # noqa: S101 (it raises instead)
    try:
        published = (_docker("port", container, PORT) or "").splitlines()[0]
        yield container, f"http://{published}"
    finally:
        _docker("rm", "--force", "--volumes", container, check=False)


def _wait_ready(container: str, address: str) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            _ask(f"{address}/health/ready")
        except (OSError, ValueError):
            running = _docker("inspect", "--format={{.State.Running}}", container, check=False) == "true"
            if not running or time.monotonic() > deadline:
                said = _docker("logs", "--tail=5", container, check=False, with_errors=True)
                raise ImageError(
                    f"the container is not ready after {READY_S:.0f} s; it said: {said}"
                ) from None
            time.sleep(0.1)
        else:
            return


def _wait_healthy(container: str) -> None:
    # On a busy machine a check may take too long some times and the container be unhealthy for a while.
    deadline = time.monotonic() + HEALTHY_S
    while (health := _docker("inspect", "--format={{.State.Health.Status}}", container)) != "healthy":
        if time.monotonic() > deadline:
            raise ImageError(f"the image's own health check says {health}")
        time.sleep(0.2)


def _ask(url: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 (own container)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        raise ImageError(f"{url} answers {error.code}: {error.read()[:200]!r}") from error


def _engine_missing() -> str | None:
    if shutil.which("docker") is None:
        return "there is no `docker` command. Install Docker (Debian: apt-get install docker.io)"
    if _docker("version", "--format={{.Server.Version}}", check=False) is None:
        return "no Docker engine answers. Start one (dockerd), or name one in DOCKER_HOST"
    return None


def _docker(*arguments: str, check: bool = True, with_errors: bool = False) -> str | None:
    """What docker prints; None, or an ImageError with its last lines, where it fails."""
    around = {**os.environ, "DOCKER_BUILDKIT": "0", "DOCKER_CLI_HINTS": "false"}
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, env=around)
    if done.returncode == 0:
        return (done.stdout + (done.stderr if with_errors else "")).strip()
    if not check:
        return None
    said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
    raise ImageError(f"docker {arguments[0]} failed:\n{said}")
