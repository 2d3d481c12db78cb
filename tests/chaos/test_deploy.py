"""A model goes live and back by one command while heats are played, and none of them is lost."""

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import lake
from running_demo import ROOT, RunningDemo, demo_running, get, wait_until

HISTORY_HEATS = 600
BATCH, HEATS_PER_MINUTE = 20, 150
BATCH_S = 120.0
PIPELINE = ROOT / "ml-pipeline" / ".venv" / "bin" / "ml-pipeline"
PLANT = ROOT / "infra" / "plant-simulator" / ".venv" / "bin" / "plant-simulator"
SERVING = ("backend-serve", "backend-consume", "backend-publish")


def call(demo: RunningDemo, *command: str | Path, **settings: str) -> str:
    """Run a command on a demo's folder and return what it said; where it fails, that is the failure."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, "DEMO_DIR": str(demo.folder), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout[-4000:]}"
    return done.stdout


def train_again(demo: RunningDemo) -> str:
    """Import what the simulated plant has made since, train, and return the version that came of it."""
    history, registry = demo.folder / "more", demo.folder / "mlflow"
    settings = {
        "ML_PIPELINE_LAKE": str(demo.folder / "lake"),
        "ML_PIPELINE_TRACKING_URI": f"sqlite:///{registry / 'mlflow.sqlite'}",
        "ML_PIPELINE_ARTIFACTS": str(registry / "artifacts"),
        "ML_PIPELINE_WORK": str(demo.folder / "pipeline"),
        "ML_PIPELINE_MODELS": str(demo.folder / "models"),
        "ML_PIPELINE_TRIAL": "true",
        "ML_PIPELINE_IMAGE": "never",
    }
    before = versions(demo)
    newer = ("--heats", str(2 * HISTORY_HEATS), "--line", "1", "--end-at", "2026-03-01T00:00:00Z")
    call(demo, PLANT, "history", *newer, "--output", history)
    call(demo, PIPELINE, "import", "--mapping", history / "mapping.yaml", "--input", history, **settings)
    said = call(demo, PIPELINE, "run", **settings)
    new = versions(demo) - before
    assert len(new) == 1, said
    return new.pop()


def versions(demo: RunningDemo) -> set[str]:
    folders = (demo.folder / "models").iterdir()
    return {folder.name for folder in folders if folder.is_dir() and not folder.is_symlink()}


def model_at(demo: RunningDemo, address: str = "model_service") -> dict[str, Any]:
    return dict(get(f"{demo.urls[address]}/v1/model") or {})


@contextmanager
def playing(demo: RunningDemo) -> Iterator[list[dict[str, Any]]]:
    """Heats of a plant, a batch after the other at a pace, until it is left; the plant's reports of them."""
    (secret,) = [one["secret"] for one in demo.tokens if one["name"] == "plant-simulator"]
    settings = {**os.environ, "PLANT_SIMULATOR_BACKEND_TOKEN": secret}
    where = ("--nats-url", demo.urls["nats"], "--backend-url", demo.urls["backend"])
    reports: list[dict[str, Any]] = []
    is_enough = Event()

    def play() -> None:
        while not is_enough.is_set():
            first, summary = 20_001 + BATCH * len(reports), demo.folder / f"load-{len(reports)}.json"
            which = (
                "--heats",
                str(BATCH),
                "--first-heat-no",
                str(first),
                "--seed",
                "1",
                "--leave-every",
                "0",
            )
            how = ("--heats-per-minute", str(HEATS_PER_MINUTE), "--summary", str(summary))
            subprocess.run(
                [PLANT, "play", *which, *where, *how], env=settings, check=True, capture_output=True
            )
            reports.append(json.loads(summary.read_text()))

    with ThreadPoolExecutor(1) as pool:
        played = pool.submit(play)
        try:
            yield reports
        finally:
            is_enough.set()
            played.result()


def wait_for_a_batch(reports: list[dict[str, Any]]) -> None:
    """Heats begin and end with what serves now."""
    before = len(reports)
    wait_until(lambda: len(reports) > before + 1, BATCH_S)


def test_a_model_goes_live_and_back_under_load_and_no_heat_is_lost(tmp_path: Path) -> None:
    with demo_running(tmp_path, HISTORY_HEATS=str(HISTORY_HEATS)) as demo:
        first, second = str(model_at(demo)["version"]), train_again(demo)
        before = demo.pids
        with playing(demo) as reports:
            call(demo, "ci/deploy", "local", "shadow", second, "--why", "beside it first")
            beside = str(model_at(demo, "model_shadow")["version"])
            call(demo, "ci/deploy", "local", "live", second, "--why", "more heats")
            there = str(model_at(demo)["version"])
            wait_for_a_batch(reports)
            call(demo, "ci/deploy", "local", "live", "--roll-back", "--why", "only trying")
            back = str(model_at(demo)["version"])
        told = {tuple(t[name] for name in lake.KEY) for report in reports for t in report["treatments"]}
        wait_until(lambda: told <= {tuple(r) for r in lake.rows(tmp_path).select(lake.KEY).iter_rows()})
        after, rows = demo.pids, lake.latest(lake.rows(tmp_path))
        reasons = fallback_reasons(tmp_path)

    mine = rows.filter([uid in {key[1] for key in told} for uid in rows["heat_uid"]])
    served = set(mine.filter(mine["recommendation_source"] == "model")["bundle_hash"])
    assert (beside, there, back) == (second, second, first)
    assert sum(report["completed"] for report in reports) == len(told) == mine.height == BATCH * len(reports)
    assert served == {bundle_hash(tmp_path, first), bundle_hash(tmp_path, second)}
    assert reasons <= {"the model abstained"}  # never a model that was away
    assert {name: after[name] for name in SERVING} == {name: before[name] for name in SERVING}
    entries = [json.loads(line) for line in ledger(tmp_path).read_text().splitlines()]
    deployed = [entry for entry in entries if entry["what"] in ("live", "shadow")]
    assert [(e["what"], e["version"], e["why"]) for e in deployed] == [
        ("shadow", second, "beside it first"),
        ("live", second, "more heats"),
        ("live", first, "only trying"),
    ]


def ledger(folder: Path) -> Path:
    return folder / "mlflow" / "artifacts" / "ledger.jsonl"


def bundle_hash(folder: Path, version: str) -> str:
    return str(json.loads((folder / "models" / version / "release.json").read_text())["bundle_hash"])


def fallback_reasons(folder: Path) -> set[str]:
    """Why the handbook answered, in the backend's own words."""
    query = "select distinct fallback_reason from recommendations where fallback_reason is not null"
    with closing(sqlite3.connect(folder / "backend.sqlite")) as database:
        return {why.split(":")[0] for (why,) in database.execute(query)}
