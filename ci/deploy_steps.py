"""What the targets of ci/deploy share: released versions, their images, the pipeline's own commands."""

import json
import os
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEGAN = time.monotonic()
PIPELINE = ROOT / "ml-pipeline" / ".venv" / "bin" / "ml-pipeline"


class DeployError(Exception):
    """A step did not do what it should; the message says which and what it said."""


def say(what):
    """Say what was done, and how many seconds after the beginning."""
    print(f"deploy: {time.monotonic() - BEGAN:5.1f} s  {what}", flush=True)


def run(*command, env=None):
    """Run a command and return what it printed."""
    around = {**os.environ, **(env or {})}
    done = subprocess.run(list(map(str, command)), env=around, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-1500:]
        raise DeployError(f"{Path(str(command[0])).name} {' '.join(map(str, command[1:3]))} failed: {said}")
    return done.stdout.strip()


def pipeline(settings, *arguments):
    """Run a command of ml-pipeline with these settings; its environment is made where it is missing."""
    if not PIPELINE.exists():
        run("make", "--no-print-directory", "-C", ROOT / "ml-pipeline", "venv")
    return run(PIPELINE, *arguments, env=settings)


def released(models, version):
    """Return release.json of a released version."""
    try:
        return json.loads((models / version / "release.json").read_text())
    except OSError:
        there = sorted(folder.name for folder in models.glob("*/") if not folder.is_symlink())
        raise DeployError(
            f"{models} holds no version {version}; released are {', '.join(there) or 'none'}"
        ) from None


def inspect(name):
    """Return what the engine knows of an image, None where it has none of that name."""
    done = subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False)
    return json.loads(done.stdout)[0] if done.returncode == 0 else None
