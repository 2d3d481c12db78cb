"""The target kubernetes: an image's line in an overlay is written, applied, and put back where it fails.

Images are those that `ci/publish-image` pushed: build/published/NAME holds an address with its digest.
KUBECTL may name another kubectl; ML_PIPELINE_* are the registry's settings. Who runs this commits the line.
"""

import os
import re
import shlex
import socket
import subprocess
import time

import deploy_steps
from deploy_steps import ROOT, DeployError, run, say

KUBERNETES = ROOT / "infra" / "kubernetes"
DEPLOYMENTS = {
    "backend": ("backend", "backend-consume", "backend-publish"),
    "monitoring": ("monitoring-collect", "monitoring"),
    "ml-pipeline": (),
}
JOBS = {"backend": ("backend-migrate", "nats-streams")}
ROLLED_S = 300


class Target:
    """The cluster that kubectl reaches."""

    name = "kubernetes"

    def __init__(self):
        self.place = os.environ.get("PLACE", "prod")
        self.forwarding = None
        self.before = None

    def deploy_component(self, name, place, roll_back):
        """Let a component's published image run in a place, or the one before; DeployError undoes it."""
        if name not in DEPLOYMENTS:
            raise DeployError(f"{name}: allowed is live, shadow, {', '.join(DEPLOYMENTS)}")
        self.place = place
        if roll_back:
            self._undo_rollout(DEPLOYMENTS[name])
            say(f"{name} in {place} is what it was before")
            return
        overlay = KUBERNETES / "overlays" / place
        before = write_image(overlay / "kustomization.yaml", name, published(name))
        try:
            for job in JOBS.get(name, ()):  # a job cannot be changed
                self._kubectl("delete", "job", job, "--ignore-not-found")
            self._apply(overlay, DEPLOYMENTS[name])
        except DeployError as failure:
            (overlay / "kustomization.yaml").write_text(before)
            self._undo_rollout(DEPLOYMENTS[name])
            raise DeployError(f"{name} in {place} is what it was before: {failure}") from None
        say(f"{name} in {place} is {published(name)}")

    def released(self, version):
        models = os.environ.get("ML_PIPELINE_MODELS", ROOT / "build" / "models")
        return deploy_steps.released(ROOT / models, version)

    def image(self, _version, _bundle_hash):
        reference = published("model-image")
        return {"name": reference, "digest": reference.partition("@")[2]}

    def roll_back(self, role):
        """Let the pods before run again, which the cluster remembers; return their address."""
        self._undo_rollout([f"model-{role}"])
        return self.address(role)

    def prepare(self, _role, image):
        """Nothing: a pod that does not reproduce its golden rows never becomes ready."""
        self.chosen = image["name"]

    def shift(self, role):
        """Write the line, apply it and wait until the new pods alone serve."""
        overlay = KUBERNETES / "model" / "overlays" / self.place
        self.before = write_image(overlay / "kustomization.yaml", f"model-{role}", self.chosen)
        self._apply(overlay, [f"model-{role}"])

    def address(self, role):
        """Return an address of this machine that leads to the service in the cluster."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        namespace = ("--namespace", f"steel-additives-{self.place}")
        command = [*kubectl(), *namespace, "port-forward", f"service/model-{role}", f"{port}:8001"]
        self.end()
        self.forwarding = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(1)
        return f"http://127.0.0.1:{port}"

    def undo(self, role):
        """Let the line be what it was, and the pods."""
        overlay = KUBERNETES / "model" / "overlays" / self.place
        if self.before is not None:
            (overlay / "kustomization.yaml").write_text(self.before)
            self._undo_rollout([f"model-{role}"])

    def pipeline(self, *arguments):
        return deploy_steps.pipeline({}, *arguments)

    def end(self):
        if self.forwarding:
            self.forwarding.terminate()
            self.forwarding.wait()

    def _apply(self, overlay, deployments):
        run(*kubectl(), "apply", "--kustomize", overlay)
        for name in deployments:
            self._kubectl("rollout", "status", f"deployment/{name}", f"--timeout={ROLLED_S}s")

    def _undo_rollout(self, deployments):
        for name in deployments:
            self._kubectl("rollout", "undo", f"deployment/{name}")
        for name in deployments:
            self._kubectl("rollout", "status", f"deployment/{name}", f"--timeout={ROLLED_S}s")

    def _kubectl(self, *arguments):
        return run(*kubectl(), "--namespace", f"steel-additives-{self.place}", *arguments)


def kubectl():
    return shlex.split(os.environ.get("KUBECTL", "kubectl"))


def published(name):
    """Return address and digest of an image that was pushed."""
    file = ROOT / "build" / "published" / name
    if not file.is_file():
        raise DeployError(
            f"build/published/{name} is not there: `ci/publish-image {name}` pushes the image and writes it"
        )
    return file.read_text().strip()


def write_image(kustomization, name, reference):
    """Let one line of an overlay name this image; return the file as it was."""
    before = kustomization.read_text()
    address, _, digest = reference.partition("@")
    repository = re.sub(r":[^/:]*$", "", address)
    line = f"  - {{name: {name}, newName: {repository}, digest: {digest}}}"
    after, found = re.subn(
        rf"^  - {{name: {re.escape(name)}, newName: .*}}$", line, before, flags=re.MULTILINE
    )
    if found != 1 or not digest.startswith("sha256:"):
        raise DeployError(f"{kustomization.name} has no line for {name}, or {reference} no digest")
    kustomization.write_text(after)
    return before
