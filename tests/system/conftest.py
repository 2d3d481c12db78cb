"""One small demo for the whole suite: played headless, then started again for what needs it alive."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

import lake
from running_demo import RunningDemo, demo_running, run_headless

HEATS = 40


class Played(NamedTuple):
    """A demo that has played its heats and has stopped."""

    folder: Path
    rows: pl.DataFrame  # of the lake, as they were then
    processes_left: dict[str, int]
    result: "subprocess.CompletedProcess[str]"


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("demo")
    result = run_headless(folder, HEATS=str(HEATS), HISTORY_HEATS="600")
    assert result.returncode == 0, result.stdout
    left = json.loads((folder / "pids.json").read_text())
    return Played(folder, lake.rows(folder), left, result)


@pytest.fixture(scope="session")
def demo(played: Played) -> Iterator[RunningDemo]:
    """The same demo, started a second time."""
    with demo_running(played.folder) as running:
        yield running
