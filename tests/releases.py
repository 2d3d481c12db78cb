"""The release of a component before today's, checked out beside this checkout.

It is the commit before a component's version was raised for the last time. A checkout without history holds
none: then today's release stands for it, and a warning says so.
"""

import hashlib
import json
import os
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path

from contracts import ROOT

# A runner sets these itself; here they would be those of the pipeline that runs these tests.
HIDDEN = ("CI", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "VIRTUAL_ENV", "PYTHONPATH")


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

    @classmethod
    def made_in(cls, folder: Path) -> "Releases":
        """Check it out below `folder` and make its environment."""
        before = checkout(folder / "clone", release_before("model-service"))
        run("make", "-C", before / "model-service", "venv")
        return cls(before)

    @property
    def command_before(self) -> Path:
        return self.before / "model-service" / ".venv" / "bin" / "model-service"

    @property
    def command_today(self) -> Path:
        return ROOT / "model-service" / ".venv" / "bin" / "model-service"

    def release_a_bundle(self, models: Path, version: str) -> Path:
        """A bundle of the release before in the folder of a released version, with its sidecar.

        Its golden rows say higher costs than they did: today finds cheaper kilograms for the same model.
        """
        folder = models / version
        run(self.command_before, "priors", "--output", folder)
        golden, manifest = (
            json.loads((folder / f"{name}.json").read_text()) for name in ("golden", "manifest")
        )
        for row in golden["rows"]:
            if row["response"]["cost"] is not None:
                row["response"]["cost"]["amount"] *= 1.1
        written = write(folder / "golden.json", golden)
        (entry,) = [file for file in manifest["files"] if file["path"] == "golden.json"]
        entry.update(sha256=hashlib.sha256(written).hexdigest(), bytes=len(written))
        bundle_hash = hashlib.sha256(write(folder / "manifest.json", manifest)).hexdigest()
        sidecar = {"version": version, "created_at": "2026-01-01T00:00:00Z", "bundle_hash": bundle_hash}
        write(folder / "release.json", {**sidecar, "metrics": {}})
        return folder


def write(path: Path, document: object) -> bytes:
    content = json.dumps(document).encode()
    path.write_bytes(content)
    return content
