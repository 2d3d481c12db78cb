"""Wait for something to come true; what a test then asserts is its own."""

import time
from collections.abc import Callable

PATIENCE_S = 60.0


def until(comes_true: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Whether it came true before patience ran out."""
    deadline = time.monotonic() + patience_s
    while not comes_true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
