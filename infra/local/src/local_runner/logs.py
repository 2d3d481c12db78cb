"""The end of a log, for a person who asks what went wrong."""

from collections import deque
from pathlib import Path

MOST_BYTES = 20_000


def last_lines(path: Path, count: int, start: int) -> list[str]:
    """Return the last `count` lines after the byte `start` of a text file that may be long or missing."""
    try:
        with path.open("rb") as file:
            file.seek(max(start, path.stat().st_size - MOST_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return list(deque((line for line in lines if line.strip()), maxlen=count))
