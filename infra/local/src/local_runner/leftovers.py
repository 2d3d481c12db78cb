"""What a demo that was killed has left running: known by a mark in its environment, and ended."""

import os
import signal
from pathlib import Path

MARK = "LOCAL_RUNNER_DEMO_DIR"


def end_leftovers(demo_dir: Path) -> list[int]:
    """End processes that a killed demo left behind in this folder and return their ids.

    A process is ours where its environment names this folder; without /proc nobody can tell, so none is.
    """
    mark = f"{MARK}={demo_dir}".encode()
    left = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
                left.append(int(entry.name))
        except OSError:
            continue  # ended meanwhile, or another user's
    return left
