"""The target compose: two slots for what is live, one for the shadow, behind a front that reads a file each.

`models.env` says which image is in which slot, `front/<role>.yml` which slot is behind an address; both are
in COMPOSE_DIR. The slot that is not live keeps what was live before, running: the way back is a switch.
"""

import json
import os
import time
import urllib.request
from pathlib import Path

import deploy_steps
from deploy_steps import ROOT, DeployError, inspect, run

COMPOSE = ROOT / "infra" / "compose" / "compose"
PORTS = {"live": 8001, "shadow": 8011}
SLOTS = {"live": ("blue", "green"), "shadow": ("shadow",)}
READY_S = 60


class Target:
    """One compose project, in COMPOSE_DIR."""

    name = "compose"

    def __init__(self):
        self.folder = Path(os.environ.get("COMPOSE_DIR") or ROOT / "build" / "compose").resolve()
        self.project = os.environ.get("COMPOSE_PROJECT", "steel-additives")
        self.before = None

    def released(self, version):
        return deploy_steps.released(self.folder / "models", version)

    def image(self, version, bundle_hash):
        """The Model Image of a version, built where it is missing or of another registry."""
        name = f"{self.project}/model:{version}"
        told = inspect(name)
        if told is None or told["Config"]["Labels"].get("steel-additives.bundle-hash") != bundle_hash:
            deploy_steps.say(self.pipeline("image", version))
            told = inspect(name)
        return {"name": name, "digest": told["Id"]}

    def version_before(self, role):
        """Return the version in the slot that is not behind the address."""
        others = [slot for slot in SLOTS[role] if slot != self._slot(role)]
        images = [self._models()[f"MODEL_{slot.upper()}_IMAGE"] for slot in others]
        if images in ([], ["none"]):
            raise DeployError(f"there is nothing to go back to: no other version was {role} here")
        return images[0].rpartition(":")[2]

    def deploy_component(self, name, _place, _roll_back):
        raise DeployError(f"{name}: infra/compose/up renews what is not a model; here it is live or shadow")

    def end(self):
        """Nothing is left to be ended."""

    def prepare(self, role, image):
        """Start the image in a free slot, wait until it is ready and return its own address."""
        slot = next((slot for slot in SLOTS[role] if slot != self._slot(role)), SLOTS[role][0])
        self.before = {"models": self._models(), "slot": self._slot(role)}
        self.slot = slot
        chosen = {
            f"MODEL_{slot.upper()}_IMAGE": image["name"],
            f"MODEL_{slot.upper()}_DIGEST": image["digest"],
        }
        self._write_models({**self._models(), **chosen})
        self._start(slot)
        address, deadline = self._address(f"model-{slot}", 8001), time.monotonic() + READY_S
        while not is_ready(address):
            if time.monotonic() > deadline:
                said = run(COMPOSE, "logs", "--tail=5", f"model-{slot}")
                raise DeployError(f"slot {slot} is not ready after {READY_S} s; it said: {said}")
            time.sleep(0.2)
        return address

    def shift(self, role, slot=None):
        """Put a slot behind an address, in one step; the front sees the file change."""
        slot = slot or self.slot
        router = {
            "entryPoints": [role],
            "rule": "PathPrefix(`/`)",
            "service": role,
            "middlewares": [f"{role}-again"],
        }
        servers = [{"url": f"http://model-{slot}:8001"}]
        # A request that reached nobody is sent again: a recommendation changes nothing, so that is harmless.
        again = {"retry": {"attempts": 3, "initialInterval": "100ms"}}
        http = {
            "routers": {role: router},
            "services": {role: {"loadBalancer": {"servers": servers}}},
            "middlewares": {f"{role}-again": again},
        }
        part = self.folder / "front" / f".{role}.part"
        part.write_text(json.dumps({"http": http}, indent=1) + "\n")
        part.chmod(0o644)
        part.replace(self.folder / "front" / f"{role}.yml")
        run(COMPOSE, "up", "--detach", "--no-build", "--no-recreate", "--no-deps", "front")

    def address(self, role):
        """Return where this machine finds what the backend knows as `live` or `shadow`."""
        return self._address("front", PORTS[role])

    def undo(self, role):
        """Let the address lead to where it led before, and the slot hold what it held."""
        if self.before is None:
            return
        if self.before["slot"] is not None and self.before["slot"] != self.slot:
            self.shift(role, self.before["slot"])
        self._write_models(self.before["models"])
        if self.before["models"][f"MODEL_{self.slot.upper()}_IMAGE"] == "none":
            run(COMPOSE, "rm", "--stop", "--force", f"model-{self.slot}")
        else:
            self._start(self.slot)

    def pipeline(self, *arguments):
        """Run ml-pipeline on this project's registry, models and ledger."""
        settings = {
            "ML_PIPELINE_LAKE": self.folder / "lake",
            "ML_PIPELINE_WORK": self.folder / "work",
            "ML_PIPELINE_ARTIFACTS": self.folder / "artifacts",
            "ML_PIPELINE_MODELS": self.folder / "models",
            "ML_PIPELINE_TRACKING_URI": self._address("mlflow", 8003),
            "ML_PIPELINE_IMAGE_NAME": f"{self.project}/model",
        }
        if os.environ.get("BASE_IMAGE"):
            settings["ML_PIPELINE_BASE_IMAGE"] = os.environ["BASE_IMAGE"]
        return deploy_steps.pipeline({key: str(value) for key, value in settings.items()}, *arguments)

    def _slot(self, role):
        """The slot behind an address, None where nothing is yet."""
        file = self.folder / "front" / f"{role}.yml"
        if not file.exists():
            return None
        (server,) = json.loads(file.read_text())["http"]["services"][role]["loadBalancer"]["servers"]
        return server["url"].removeprefix("http://model-").removesuffix(":8001")

    def _start(self, slot):
        run(COMPOSE, "up", "--detach", "--no-build", "--no-deps", f"model-{slot}")

    def _address(self, service, port):
        return f"http://{run(COMPOSE, 'port', service, port)}"

    def _models(self):
        lines = (self.folder / "models.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def _write_models(self, models):
        part = self.folder / "models.env.part"
        part.write_text("".join(f"{name}={value}\n" for name, value in models.items()))
        part.replace(self.folder / "models.env")


def is_ready(address):
    try:
        urllib.request.urlopen(f"{address}/health/ready", timeout=5).close()  # noqa: S310 (http)
    except OSError:
        return False
    return True
