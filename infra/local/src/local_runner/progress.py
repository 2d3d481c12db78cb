"""One line per step with its duration; a spinner for a person, a line now and then for a log."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

SPINNER = "|/-\\"
QUIET_S = 10.0
TITLE_WIDTH = 58


class Step:
    """A step under way: `tick` while it lasts, `note` what should stand behind its duration."""

    def __init__(self, title: str, out: TextIO) -> None:
        self.title = title
        self.detail = ""
        self._out = out
        self._began = self._spoke = time.monotonic()
        self._ticks = 0

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def note(self, detail: str) -> None:
        """Put `detail` behind the duration when the step is done."""
        self.detail = detail

    def tick(self, detail: str = "") -> None:
        """Show that it goes on; call it a few times a second."""
        self._ticks += 1
        if self._out.isatty():
            text = f"  {SPINNER[self._ticks % len(SPINNER)]} {self.title} {self.elapsed_s:.0f} s  {detail}"
            self._out.write("\r\x1b[K" + text[:110])
            self._out.flush()
        elif time.monotonic() - self._spoke >= QUIET_S:
            self._spoke = time.monotonic()
            print(
                f"     ... {self.title} {self.elapsed_s:.0f} s  {detail}".rstrip(), file=self._out, flush=True
            )

    def end(self, mark: str) -> None:
        """Print the line that stays."""
        start = "\r\x1b[K" if self._out.isatty() else ""
        line = f"{start}{mark:>4} {self.title:<{TITLE_WIDTH}} {self.elapsed_s:6.1f} s  {self.detail}"
        print(line.rstrip(), file=self._out, flush=True)


@contextmanager
def step(title: str, out: TextIO | None = None) -> Iterator[Step]:
    """Time a step; its line says `ok`, or `FAIL` where an exception leaves it."""
    current = Step(title, out or sys.stdout)
    try:
        yield current
    except BaseException:
        current.end("FAIL")
        raise
    current.end("ok")


def say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    print(text, flush=True)
