"""What monitoring costs when the lake is large: the drift report, and every page of the dashboard.

A million treatments: what the simulated plant did in some thousand heats, predicted and recommended for by a
model that was trained on its past, taken in by `monitoring backfill`, and then repeated with later times and
other ids until there are enough. So the shapes are the product's own, and no two rows are the same heat.
Pages are asked for while heats go on being completed, one commit a second; the first time of each is not
counted.
"""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable

from bench import detection
from bench.plant_heats import ROOT, ModelService, command, completed_heats, serving
from bench.processes import Client, free_port, rss_mb, running, wait_for

WORK = ROOT / "build" / "bench" / "monitoring-work"
TREATMENTS = int(os.environ.get("MONITORING_TREATMENTS", "1000000"))
SEED, LINES, HEATS = 6101, 1, 4000  # of the plant that is repeated; each heat is at both stations
ASKED = 60  # times each page
BETWEEN_COMMITS_S = 1.0
PATHS = (
    "/",
    "/?element=Mn",
    "/reports/week",
    "/api/v1/summary",
    "/api/v1/treatments?limit=100",
    "/api/v1/errors",
    "/api/v1/diagnosis",
    "/api/v1/alarms",
    "/api/v1/announcements",
    "/metrics",
    "/health/ready",
)

REPEAT = [
    command("monitoring", "python"),
    str(Path(__file__).with_name("repeated_heats.py")),
    str(WORK / "some" / "lake"),
    str(WORK / "lake"),
]

Measured = dict[str, tuple[list[float], str]]


def measure() -> Measured:
    """Fill a lake, ask for the drift of all its heats, then for each page of its dashboard."""
    for component in detection.COMPONENTS:
        detection.quiet("make", "--no-print-directory", "-C", str(ROOT / component), "venv")
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    bundle_hash = some_heats(detection.trained(detection.Past(0, WORK / "past")))
    detection.quiet(*REPEAT, str(TREATMENTS))
    detection.told(f"{TREATMENTS:,} treatments are in the lake")
    seconds, peak_mb = drift_report(bundle_hash)
    detection.told(f"drift report: {seconds:.1f} s, {peak_mb:.0f} MB")
    return {
        f"drift report over {TREATMENTS:,} heats": ([seconds], "s"),
        f"peak memory of a drift report over {TREATMENTS:,} heats": ([peak_mb], "MB"),
        **pages(bundle_hash),
    }


def some_heats(past: detection.Past) -> str:
    """The heats that are repeated, in a lake of their own, and the reference of their model: its hash."""
    folder = WORK / "some"
    with serving(past.bundle) as url:
        detection.simulator(
            "bulk", "--seed", SEED, "--lines", LINES, "--heats", LINES * HEATS, "--output", folder
        )
        master_data = past.master_data()
        export = folder / "heats.jsonl"
        with export.open("w") as file:
            for event in completed_heats(folder, master_data, ModelService(url), with_advice=True):
                file.write(f"{event}\n")
    detection.monitoring(folder, "backfill", str(export))
    export.unlink()
    rows = pl.scan_delta(DeltaTable(folder / "lake" / "heats"))
    bundle_hash = str(rows.select(pl.col("weighed_bundle_hash").drop_nulls().first()).collect().item())
    references = WORK / "references"
    detection.monitoring(folder, "reference", "--output", str(references / f"{bundle_hash}.json"))
    return bundle_hash


def drift_report(bundle_hash: str) -> tuple[float, float]:
    """Seconds and peak MB of `monitoring drift` in a process of its own."""
    reference = str(WORK / "references" / f"{bundle_hash}.json")
    began = time.perf_counter()
    with (WORK / "drift.json").open("w") as output:
        process = subprocess.Popen(
            [command("monitoring", "monitoring"), "drift", "--reference", reference],
            env=os.environ | {"MONITORING_LAKE": str(WORK / "lake")},
            stdout=output,
        )
        _, status, used = os.wait4(process.pid, 0)
    if status or not json.loads((WORK / "drift.json").read_text())["readings"]:
        raise RuntimeError("the drift report failed or is empty")
    return time.perf_counter() - began, used.ru_maxrss / 1000


def pages(bundle_hash: str) -> Measured:
    """How long each page takes while heats are being completed, and what the dashboard needs."""
    port = free_port()
    environment = os.environ | {
        "MONITORING_LAKE": str(WORK / "lake"),
        "MONITORING_REFERENCES": str(WORK / "references"),
        "MONITORING_STATE": str(WORK / "monitoring.sqlite"),
        "MONITORING_PORT": str(port),
        "MONITORING_NATS_URL": f"nats://127.0.0.1:{free_port()}",
    }
    began = time.perf_counter()
    serve = [command("monitoring", "monitoring"), "serve"]
    with running(serve, environment, WORK / "serve.log") as process:
        wait_for(port, "/health/ready", process, 600)
        ready = time.perf_counter() - began
        more = [*REPEAT, "more", str(BETWEEN_COMMITS_S)]
        with Client(port) as client, running(more, dict(os.environ), WORK / "more.log"):
            while not get(port, "/api/v1/diagnosis")["has_reference"]:
                time.sleep(1)
            newest = get(port, "/api/v1/treatments?limit=1")["treatments"][0]
            place = "/".join(str(newest[key]) for key in ("plant_id", "heat_uid", "station", "treatment_no"))
            found, firsts = {}, list[float]()
            for path in (*PATHS, f"/api/v1/treatments/{place}", f"/reports/model/{bundle_hash}"):
                firsts.append(client.milliseconds("GET", path, b""))  # builds what is kept
                took = sorted(client.milliseconds("GET", path, b"") for _ in range(ASKED))
                found[path.replace(bundle_hash, "HASH").replace(place, "HEAT")] = took
                detection.told(f"{path[:60]}: median {took[ASKED // 2]:.0f}, slowest {took[-1]:.0f} ms")
        memory = rss_mb(process.pid)
    slowest = max(found.values(), key=lambda took: took[int(0.99 * ASKED)])
    return {
        f"slowest page over {TREATMENTS:,} heats, p99": ([slowest[int(0.99 * ASKED)]], "ms"),
        f"slowest first answer of a page over {TREATMENTS:,} heats": ([max(firsts)], "ms"),
        f"seconds until the dashboard of {TREATMENTS:,} heats is ready": ([ready], "s"),
        f"memory of the dashboard of {TREATMENTS:,} heats": ([memory], "MB"),
        **{f"{path}, p99": ([took[int(0.99 * ASKED)]], "ms") for path, took in found.items()},
    }


def get(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        return json.load(answer)
