"""What a person sees while the pipeline runs: a line per thing done, a bar where there is a terminal, and a
summary with links at the end."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_pipeline import registry
from ml_pipeline.pipeline import Done
from ml_pipeline.work import Folders, read_json

WIDTH = 24


class Progress:
    """Prints what it is told; on a terminal a bar of the steps stays below it."""

    def __init__(self, steps: Sequence[str]) -> None:
        self.steps = list(steps)
        self.at = 0
        self.began = time.monotonic()
        self.bar = sys.stdout.isatty()

    def tell(self, line: str) -> None:
        if line.startswith("[") and "]" in line:
            self.at = self.steps.index(line.rpartition("] ")[2])
            if self.bar:
                self._draw()
                return
        if self.bar:
            sys.stdout.write("\r\x1b[K")
        print(line, flush=True)
        if self.bar:
            self._draw()

    def end(self) -> None:
        """Take the bar away."""
        if self.bar:
            sys.stdout.write("\r\x1b[K")

    def _draw(self) -> None:
        full = WIDTH * self.at // len(self.steps)
        bar = "█" * full + "░" * (WIDTH - full)
        seconds = time.monotonic() - self.began
        sys.stdout.write(
            f"\r\x1b[K{bar} {self.steps[self.at]} ({self.at + 1} of {len(self.steps)}, {seconds:.0f} s)"
        )
        sys.stdout.flush()


def summary(folders: Folders, done: Sequence[Done]) -> str:
    """What was done, and where to look."""
    lines = ["", "step        time     why"]
    for one in done:
        took = "cached" if one.seconds is None else f"{one.seconds:6.1f} s"
        lines.append(f"{one.step:<10s}  {took:<8s} {one.why}")
    lines.append("")
    lines += [f"{name:<11s} {value}" for name, value in _links(folders, {one.step for one in done})]
    return "\n".join(lines)


def _links(folders: Folders, steps: set[str]) -> list[tuple[str, str]]:
    links = []
    if "register" in steps and (folders.work / "registration.json").exists():
        found: dict[str, Any] = read_json(folders.work / "registration.json", "register")
        version = found["version"] or "none (see above)"
        links.append(("version", f"{version} of {registry.MODEL}, run {found['run_id']}"))
        mlflow = Path(sys.executable).with_name("mlflow")  # in this environment, which nobody needs to enter
        links.append(("run", f"{mlflow} ui --backend-store-uri {folders.tracking_uri}"))
    for name, path in (
        ("model card", folders.work / "model-card.md"),
        ("report", folders.work / "report" / "README.md"),
        ("ledger", folders.ledger),
    ):
        if path.exists():
            links.append((name, path.resolve().as_uri()))
    links += [
        (name, f"{_uri(folders.models / name)} -> {(folders.models / name).readlink()}")
        for name in (registry.CHALLENGER, registry.CHAMPION)
        if (folders.models / name).is_symlink()
    ]
    return links


def _uri(path: Path) -> str:
    return path.absolute().as_uri()
