"""The target local: the product of infra/local, whose front follows the links `champion` and `shadow`.

DEMO_DIR (build/demo) holds the released models, the links and the addresses. There are no images here: a
bundle is served as it was released.
"""

import json
import os
from pathlib import Path

import deploy_steps
from deploy_steps import ROOT, DeployError

LINKS = {"live": "champion", "shadow": "shadow"}
ADDRESSES = {"live": "model_service", "shadow": "model_shadow"}


class Target:
    """One demo, in DEMO_DIR."""

    name = "local"

    def __init__(self):
        self.folder = ROOT / os.environ.get("DEMO_DIR", "build/demo")
        self.before = None

    def deploy_component(self, name, _place, _roll_back):
        raise DeployError(
            f"{name}: here it is live or shadow; what is not a model is started anew by make demo"
        )

    def released(self, version):
        return deploy_steps.released(self.folder / "models", version)

    def image(self, version, bundle_hash):
        self.version = version
        return {"name": f"models/{version}", "digest": f"bundle {bundle_hash}"}

    def version_before(self, role):
        """Return the version that was served before this one, by the ledger."""
        ledger = self.folder / "mlflow" / "artifacts" / "ledger.jsonl"
        entries = [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []
        now = self._link(role).readlink().name if self._link(role).is_symlink() else None
        served = [e["version"] for e in entries if e["what"] in (role, LINKS[role]) and e["version"] != now]
        if not served:
            raise DeployError(f"there is nothing to go back to: no other version was {role} here")
        return served[-1]

    def prepare(self, _role, _image):
        """Nothing: the front starts what a link points to, and goes over to it when it is ready."""

    def shift(self, role):
        link = self._link(role)
        self.before = link.readlink() if link.is_symlink() else None
        point(link, Path(self.version))

    def address(self, role):
        urls = (
            json.loads((self.folder / "urls.json").read_text())
            if (self.folder / "urls.json").exists()
            else {}
        )
        if not urls.get(ADDRESSES[role]):
            raise DeployError(f"no demo runs in {self.folder} that has an address for {role}")
        return urls[ADDRESSES[role]]

    def undo(self, role):
        if self.before is not None:
            point(self._link(role), self.before)
        else:
            self._link(role).unlink(missing_ok=True)

    def pipeline(self, *arguments):
        settings = {
            "ML_PIPELINE_WORK": self.folder / "pipeline",
            "ML_PIPELINE_ARTIFACTS": self.folder / "mlflow" / "artifacts",
            "ML_PIPELINE_MODELS": self.folder / "models",
            "ML_PIPELINE_TRACKING_URI": f"sqlite:///{self.folder / 'mlflow' / 'mlflow.sqlite'}",
        }
        return deploy_steps.pipeline({name: str(value) for name, value in settings.items()}, *arguments)

    def end(self):
        """Nothing is left to be ended."""

    def _link(self, role):
        return self.folder / "models" / LINKS[role]


def point(link, to):
    """Let a link point elsewhere, in one step."""
    new = link.with_name(f".{link.name}.deploy")
    new.unlink(missing_ok=True)
    new.symlink_to(to)
    new.replace(link)
