"""`ci/deploy` against a kubectl that writes down what it is told, and a front that follows links.

There is no cluster here, and no demo; what compose does is in tests/compose.
"""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rendering import ROOT

DIGEST = "sha256:" + "5" * 64
KUBECTL = """#!/usr/bin/env python3
import http.server, json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if "port-forward" in sys.argv:  # what is forwarded to is the model that was released
    class Model(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(open(os.environ["RELEASED"], "rb").read())
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[-1].split(":")[0])), Model).serve_forever()
broken = os.environ.get("BROKEN", "")
undone = any("undo" in call for call in open(os.environ["CALLS"]))
sys.exit("does not come up" if broken and broken in sys.argv and not undone else 0)
"""


class Checkout:
    """What `ci/deploy` needs of a checkout, with an image of the backend and one of a model published."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls_file = folder, folder / "calls"
        shutil.copytree(ROOT / "ci", folder / "ci", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "infra" / "kubernetes", folder / "infra" / "kubernetes")
        kubectl = folder / "kubectl"
        kubectl.write_text(KUBECTL)
        kubectl.chmod(0o755)
        published = folder / "build" / "published"
        published.mkdir(parents=True)
        for name, repository in (("backend", "backend"), ("model-image", "model")):
            (published / name).write_text(f"registry.plant.example/steel/{repository}@{DIGEST}\n")
        released = folder / "build" / "models" / "2"
        released.mkdir(parents=True)
        (released / "release.json").write_text(json.dumps({"version": "2", "bundle_hash": "b" * 64}))
        pipeline = folder / "ml-pipeline" / ".venv" / "bin" / "ml-pipeline"
        pipeline.parent.mkdir(parents=True)
        pipeline.write_text(
            f'#!/bin/sh\necho "[\\"ml-pipeline\\", \\"$1\\", \\"$2\\"]" >>{self.calls_file}\n'
        )
        pipeline.chmod(0o755)
        self.before = self.files()

    def deploy(self, *arguments: str, broken: str = "") -> "subprocess.CompletedProcess[str]":
        around = {
            "KUBECTL": str(self.folder / "kubectl"),
            "CALLS": str(self.calls_file),
            "RELEASED": str(self.folder / "build" / "models" / "2" / "release.json"),
            "BROKEN": broken,
        }
        command = [str(self.folder / "ci" / "deploy"), "kubernetes", *arguments]
        return subprocess.run(
            command, env={**os.environ, **around}, capture_output=True, text=True, check=False
        )

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self.calls_file.read_text().splitlines()]

    def files(self) -> dict[str, list[str]]:
        found = (self.folder / "infra" / "kubernetes").rglob("kustomization.yaml")
        return {str(file.relative_to(self.folder)): file.read_text().splitlines() for file in found}

    def changed_lines(self) -> dict[str, list[str]]:
        """File to the lines that are not what they were."""
        return {
            name: [new for new, old in zip(lines, self.before[name], strict=True) if new != old]
            for name, lines in self.files().items()
            if lines != self.before[name]
        }


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_a_component_is_one_line_of_the_softwares_overlay_applied_and_waited_for(checkout: Checkout) -> None:
    done = checkout.deploy("backend", "stage")

    assert done.returncode == 0, done.stderr
    assert checkout.changed_lines() == {
        "infra/kubernetes/overlays/stage/kustomization.yaml": [
            f"  - {{name: backend, newName: registry.plant.example/steel/backend, digest: {DIGEST}}}"
        ]
    }
    verbs = [" ".join(call[2:5]) if call[0] == "--namespace" else call[0] for call in checkout.calls()]
    assert verbs == [
        *("delete job backend-migrate", "delete job nats-streams", "apply"),
        *("rollout status deployment/backend", "rollout status deployment/backend-consume"),
        "rollout status deployment/backend-publish",
    ]


def test_a_component_that_does_not_come_up_is_undone(checkout: Checkout) -> None:
    done = checkout.deploy("backend", "prod", broken="deployment/backend-consume")

    assert done.returncode == 1
    assert "is what it was before" in done.stderr
    assert checkout.changed_lines() == {}
    assert ["rollout", "undo", "deployment/backend"] in [call[2:5] for call in checkout.calls()]


@pytest.mark.parametrize("role", ["live", "shadow"])
def test_a_model_is_one_line_of_the_models_overlay_that_software_never_writes(
    checkout: Checkout, role: str
) -> None:
    done = checkout.deploy(role, "2")

    assert done.returncode == 0, done.stderr
    assert checkout.changed_lines() == {
        "infra/kubernetes/model/overlays/prod/kustomization.yaml": [
            f"  - {{name: model-{role}, newName: registry.plant.example/steel/model, digest: {DIGEST}}}"
        ]
    }
    applied = [call for call in checkout.calls() if call[0] == "apply"]
    assert applied == [["apply", "--kustomize", f"{checkout.folder}/infra/kubernetes/model/overlays/prod"]]
    told = [call[1:] for call in checkout.calls() if call[0] == "ml-pipeline"]
    promoted = [["promote", "2"]] if role == "live" else []
    assert told == [["check-served", "2"], *promoted, ["record", role]]


def test_a_model_goes_back_to_the_one_that_the_cluster_remembers(checkout: Checkout) -> None:
    done = checkout.deploy("live", "--roll-back")

    assert done.returncode == 0, done.stderr
    assert ["rollout", "undo", "deployment/model-live"] in [call[2:5] for call in checkout.calls()]
    told = [call[1:] for call in checkout.calls() if call[0] == "ml-pipeline"]
    assert told == [["check-served", "2"], ["promote", "2"], ["record", "live"]]


def test_a_model_that_does_not_come_up_is_undone_and_in_the_ledger(checkout: Checkout) -> None:
    done = checkout.deploy("live", "2", broken="deployment/model-live")

    assert done.returncode == 1
    assert "what served before serves on" in done.stderr
    assert checkout.changed_lines() == {}
    assert ["rollout", "undo", "deployment/model-live"] in [call[2:5] for call in checkout.calls()]
    assert checkout.calls()[-1] == ["ml-pipeline", "record", "undone"]


def test_what_was_not_published_is_not_deployed(checkout: Checkout) -> None:
    (checkout.folder / "build" / "published" / "backend").unlink()

    done = checkout.deploy("backend", "dev")

    assert done.returncode == 1
    assert "ci/publish-image backend" in done.stderr
    assert not checkout.calls_file.exists()


@contextmanager
def front(demo: Path, deaf: bool = False, role: str = "champion") -> Iterator[None]:
    """Answers as the bundle that the role's link points to (deaf: always as the first version)."""
    link = demo / "models" / role

    class Model(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            version = "1" if deaf else link.readlink().name
            self.send_response(200)
            self.end_headers()
            self.wfile.write((demo / "models" / version / "release.json").read_bytes())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    name = {"champion": "model_service", "shadow": "model_shadow"}[role]
    (demo / "urls.json").write_text(json.dumps({name: f"http://127.0.0.1:{server.server_port}"}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


@pytest.fixture
def demo(checkout: Checkout) -> Path:
    """A demo with two released versions; the first is live, after the second was."""
    folder = checkout.folder / "build" / "demo"
    for version in ("1", "2"):
        (folder / "models" / version).mkdir(parents=True)
        (folder / "models" / version / "release.json").write_text(json.dumps({"bundle_hash": version * 64}))
    (folder / "models" / "champion").symlink_to("1")
    ledger = folder / "mlflow" / "artifacts" / "ledger.jsonl"
    ledger.parent.mkdir(parents=True)
    lines = [json.dumps({"what": "champion", "version": version}) for version in ("2", "1")]
    ledger.write_text("\n".join(lines) + "\n")
    return folder


def deploy_locally(checkout: Checkout, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(checkout.folder / "ci" / "deploy"), "local", *arguments]
    around = {**os.environ, "DEPLOY_PATIENCE_S": "3"}
    return subprocess.run(command, env=around, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("how", [("live", "2"), ("live", "--roll-back")])
def test_a_local_model_is_a_link_that_is_checked_and_told(
    checkout: Checkout, demo: Path, how: tuple[str, str]
) -> None:
    with front(demo):
        done = deploy_locally(checkout, *how)

    assert done.returncode == 0, done.stderr
    assert (demo / "models" / "champion").readlink().name == "2"
    assert [call[1:] for call in checkout.calls()] == [
        ["check-served", "2"],
        ["promote", "2"],
        ["record", "live"],
    ]


def test_a_local_shadow_is_asked_where_the_demo_has_it_and_is_no_promotion(
    checkout: Checkout, demo: Path
) -> None:
    with front(demo, role="shadow"):
        done = deploy_locally(checkout, "shadow", "2")

    assert done.returncode == 0, done.stderr
    assert (demo / "models" / "shadow").readlink().name == "2"
    assert (demo / "models" / "champion").readlink().name == "1"
    assert [call[1:] for call in checkout.calls()] == [["check-served", "2"], ["record", "shadow"]]


def test_where_no_shadow_was_none_is_left_by_one_that_does_not_come_up(
    checkout: Checkout, demo: Path
) -> None:
    with front(demo, deaf=True, role="shadow"):
        done = deploy_locally(checkout, "shadow", "2")

    assert done.returncode == 1
    assert not (demo / "models" / "shadow").is_symlink()


def test_a_local_model_that_does_not_come_up_is_undone(checkout: Checkout, demo: Path) -> None:
    with front(demo, deaf=True):
        done = deploy_locally(checkout, "live", "2")

    assert done.returncode == 1
    assert (demo / "models" / "champion").readlink().name == "1"
    assert checkout.calls()[-1] == ["ml-pipeline", "record", "undone"]
