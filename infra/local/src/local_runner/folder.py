"""The folder that holds everything of a demo, used by one demo at a time and kept between them."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from local_runner.errors import AlreadyRunning


@dataclass
class Remembered:
    """What the next demo in the same folder needs to know."""

    nats_port: int | None = None
    history_made: bool = False
    history_imported: bool = False
    master_data_imported: bool = False
    access_given: bool = False
    heats_played: int = 0


@contextmanager
def claimed(demo_dir: Path) -> Iterator[None]:
    """Hold the folder for this process; raise `AlreadyRunning` where another one holds it."""
    demo_dir.mkdir(parents=True, exist_ok=True)
    with (demo_dir / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise AlreadyRunning(
                f"A demo is already running in {demo_dir} (process {owner})."
                f" Stop it first (Ctrl-C there, or kill {owner}), or give this one its own folder and ports:"
                " DEMO_DIR=... BACKEND_PORT=0 MODEL_PORT=0 MONITORING_PORT=0 MLFLOW_PORT=0"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def recall(demo_dir: Path) -> Remembered:
    """Return what was remembered; a file that cannot be read counts as nothing."""
    try:
        return Remembered(**json.loads((demo_dir / "remembered.json").read_text()))
    except (OSError, ValueError, TypeError):
        return Remembered()


def remember(demo_dir: Path, facts: Remembered) -> None:
    """Keep `facts` for the next demo."""
    write_json(demo_dir / "remembered.json", asdict(facts))


def write_json(path: Path, document: Any, mode: int = 0o644) -> None:
    """Write `document` so that a reader sees the old file or the new one, never half of it."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(json.dumps(document, indent=2) + "\n")
    part.replace(path)
