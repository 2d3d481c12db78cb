"""What made a model: code and locked environment, as far as can be seen from here."""

import hashlib
import subprocess
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parents[2]
CODE = ("ml-pipeline", "model-service")


class Provenance(NamedTuple):
    """Null where it cannot be told: an installed wheel has no repository."""

    code_commit: str | None
    code_dirty: bool | None
    lock_sha256: str | None


def provenance() -> Provenance:
    """Commit, whether the code of the ML process differs from it, and the hash of the lock."""
    root = _git("rev-parse", "--show-toplevel")
    lock = FOLDER / "requirements.lock"
    sha256 = hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None
    if root is None:
        return Provenance(None, None, sha256)
    changed = _git("-C", root, "status", "--porcelain", "--", *CODE)
    return Provenance(_git("rev-parse", "HEAD"), None if changed is None else bool(changed), sha256)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(FOLDER), *arguments], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
