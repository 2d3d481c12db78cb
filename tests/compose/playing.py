"""The simulated plant against a compose project, and what must be in the lake after it."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any

import polars as pl

import lake
from compose.conftest import Composed
from contracts import ROOT
from running_demo import get, wait_until

LAKE_S = 120
FIRST_HEAT_NO = 10_001


@dataclass
class Play:
    """Heats under way, in a container of their own."""

    composed: Composed
    name: str
    process: "subprocess.Popen[str]"

    def finish(self) -> dict[str, Any]:
        """Wait for the last heat and return the plant's own report."""
        output, _ = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, output[-4000:]
        file = self.composed.folder / "plant" / f"{self.name}.json"
        report: dict[str, Any] = json.loads(file.read_text())
        return report


def first_heat_no(composed: Composed) -> int:
    """A heat number from which on nothing was played before."""
    return FIRST_HEAT_NO + (lake.rows(composed.folder).height if has_lake(composed) else 0)


@contextmanager
def playing(composed: Composed, batch: int, per_minute: int) -> Iterator[list[dict[str, Any]]]:
    """Heats of a plant, a batch after the other at a pace, until it is left; the plant's reports of them."""
    reports: list[dict[str, Any]] = []
    is_enough, first = Event(), first_heat_no(composed)

    def go_on() -> None:
        while not is_enough.is_set():
            number = len(reports)
            reports.append(
                play(composed, f"load-{number}", batch, per_minute, first + batch * number).finish()
            )

    with ThreadPoolExecutor(1) as pool:
        played = pool.submit(go_on)
        try:
            yield reports
        finally:
            is_enough.set()
            played.result()


def play(composed: Composed, name: str, heats: int, per_minute: int = 0, first: int | None = None) -> Play:
    """Start `heats` heats that were not played before, at a pace (0: as fast as it goes)."""
    first = first or first_heat_no(composed)
    which = ("--heats", str(heats), "--first-heat-no", str(first), "--seed", "1", "--leave-every", "0")
    pace = ("--heats-per-minute", str(per_minute), "--summary", f"/data/plant/{name}.json")
    command = ["infra/compose/compose", "run", "--rm", "--no-deps", "plant-simulator", "play", *which, *pace]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=composed.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Play(composed, name, process)


def rows_in_lake(composed: Composed, report: dict[str, Any]) -> pl.DataFrame:
    """Wait until the lake holds all treatments of a report and return their rows."""
    told = pl.DataFrame([{name: t[name] for name in lake.KEY} for t in report["treatments"]])

    def found() -> tuple[pl.DataFrame] | None:
        if not has_lake(composed):
            return None
        rows = lake.rows(composed.folder).join(told, on=lake.KEY, how="semi")
        return (
            (rows,) if rows.select(lake.KEY).unique().height == told.height and is_quiet(composed) else None
        )

    rows: pl.DataFrame = wait_until(found, LAKE_S)[0]
    return rows


def has_lake(composed: Composed) -> bool:
    return (composed.folder / "lake" / "heats").exists()


def is_quiet(composed: Composed) -> bool:
    """Whether monitoring has read all that is on the bus."""
    summary = get(f"{composed.urls['monitoring']}/api/v1/summary") or {}
    return (summary.get("position") or {}).get("behind") == 0
