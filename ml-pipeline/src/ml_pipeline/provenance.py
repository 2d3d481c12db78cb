"""What made a model: code, locked environment and machine, as far as can be seen from here."""

import hashlib
import os
import platform
import subprocess
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

from ml_pipeline.errors import RepositoryError

FOLDER = Path(__file__).resolve().parents[2]
"""The component, where it runs from its sources."""
CODE = ("ml-pipeline", "model-service")
"""What of the repository makes a model; a change elsewhere leaves it traceable."""
LOCK = "requirements.lock"
COMMIT = "ML_PIPELINE_CODE_COMMIT"
"""Of an image, which has no repository: the commit that its build took the code from, unchanged."""


class Code(NamedTuple):
    """Null where it cannot be told: an installed wheel has no repository. `changed`: files that differ from
    the commit."""

    commit: str | None
    changed: list[str] | None
    lock_sha256: str | None

    @property
    def dirty(self) -> bool | None:
        return None if self.changed is None else bool(self.changed)

    @property
    def untraceable(self) -> str | None:
        """Why nobody could rebuild a model of this code from its record, or None where anybody could."""
        if self.commit is None or self.changed is None:
            return "the code is in no git repository, so no commit names it"
        if self.changed:
            more = f" and {len(self.changed) - 3} more" if len(self.changed) > 3 else ""
            return f"{', '.join(self.changed[:3])}{more} differ from commit {self.commit[:12]}"
        return None


def code_here() -> Code:
    """Commit, what of the ML process differs from it, and the hash of the lock."""
    root = repository()
    lock = FOLDER / LOCK
    sha256 = hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None
    if root is None:
        commit = os.environ.get(COMMIT)
        return Code(commit, [], sha256) if commit else Code(None, None, sha256)
    changed = git(root, "status", "--porcelain", "--", *CODE)
    files = None if changed is None else [line[3:] for line in changed.splitlines()]
    return Code(git(root, "rev-parse", "HEAD"), files, sha256)


def repository() -> Path | None:
    """The repository this code stands in, or None. Raises RepositoryError where there is one, and git keeps
    its hands off it because somebody else owns it, as on a runner that clones as root and works as another.
    """
    try:
        return Path(_git(FOLDER, "rev-parse", "--show-toplevel").strip())
    except subprocess.CalledProcessError as error:
        if "dubious ownership" in str(error.stderr):
            raise RepositoryError(
                f"the repository around {FOLDER} belongs to another user, so git does not read it; run as "
                f"its owner, or allow it: git config --global --add safe.directory {FOLDER.parent}"
            ) from error
        return None
    except (OSError, subprocess.SubprocessError):
        return None


def environment() -> dict[str, object]:
    """Python, machine and every installed package with its version."""
    packages = sorted({f"{d.metadata['Name'].lower()}=={d.version}" for d in distributions()})
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "packages": packages,
        "packages_sha256": hashlib.sha256("\n".join(packages).encode()).hexdigest(),
    }


def git(folder: Path, *arguments: str) -> str | None:
    """What git says in `folder`, without the last line's end; None where it refuses or is not there."""
    try:
        return _git(folder, *arguments)
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.rstrip("\n")


def _processor() -> str:
    """The model name of the processor: vector units differ, and sums with them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
