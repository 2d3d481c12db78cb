"""What monitoring costs when the lake is large: the drift report, and every page of the dashboard.

A million treatments: what the simulated plant did in some thousand heats, predicted and recommended for by a
model that was trained on its past, taken in by `monitoring backfill`, and then repeated with later times and
other ids until there are enough. So the shapes are the product's own, and no two rows are the same heat.
Pages are asked for while heats go on being completed, one commit a second.
"""

import json
import os
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake

from bench import detection
from bench.plant_heats import ModelService, command, completed_heats, serving
from bench.processes import Client, free_port, rss_mb, running, wait_for

WORK = detection.ROOT / "build" / "bench" / "monitoring-work"
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

Measured = dict[str, tuple[list[float], str]]


def measure() -> Measured:
    """Fill a lake, ask for the drift of all its heats, then for each page of its dashboard."""
    for component in detection.COMPONENTS:
        detection.quiet("make", "--no-print-directory", "-C", str(detection.ROOT / component), "venv")
    for folder in (WORK, detection.WORK):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    bundle_hash = some_heats(detection.trained())
    repeated(WORK / "some" / "lake", WORK / "lake", TREATMENTS)
    detection.told(f"{TREATMENTS:,} treatments are in the lake")
    seconds, peak_mb = drift_report(bundle_hash)
    detection.told(f"drift report: {seconds:.1f} s, {peak_mb:.0f} MB")
    return {
        f"drift report over {TREATMENTS:,} heats": ([seconds], "s"),
        f"peak memory of a drift report over {TREATMENTS:,} heats": ([peak_mb], "MB"),
        **pages(bundle_hash),
    }


def some_heats(bundle: Path) -> str:
    """The heats that are repeated, in a lake of their own, and the reference of their model: its hash."""
    folder = WORK / "some"
    with serving(bundle) as url:
        detection.simulator(
            "bulk", "--seed", SEED, "--lines", LINES, "--heats", LINES * HEATS, "--output", folder
        )
        master_data = {
            station: json.loads((detection.WORK / f"{station}.json").read_text())
            for station in detection.STATIONS
        }
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


def repeated(source: Path, lake: Path, treatments: int) -> None:
    """Copies of all rows, one after the other in time, until so many treatments are there."""
    rows = DeltaTable(source / "heats").to_pyarrow_table().sort_by("completed_at")
    keys = pl.DataFrame(rows.select(["heat_uid", "station", "treatment_no"]))
    begin, end = pc.min(rows["registered_at"]).as_py(), pc.max(rows["available_at"]).as_py()
    copies = -(-treatments // keys.n_unique())
    for number in range(copies):
        write_deltalake(lake / "heats", copy(rows, number, number * (end - begin)), mode="append")


def copy(rows: pa.Table, number: int, later: timedelta) -> pa.Table:
    """The same heats once more, under other ids and at later times."""
    for at, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            rows = rows.set_column(at, field, pc.add(rows[field.name], pa.scalar(later, pa.duration("us"))))
    first = number * rows.num_rows
    ids = {
        "heat_uid": pc.binary_join_element_wise(
            pc.utf8_slice_codeunits(rows["heat_uid"], 0, 24), f"{number:012x}", ""
        ),
        "event_id": pc.binary_join_element_wise(rows["event_id"], str(number), "/"),
        "stream": pa.array(["PRODUCT of the bench"] * rows.num_rows),
        "stream_seq": pa.array(range(first + 1, first + rows.num_rows + 1), pa.int64()),
        "plant_id": pa.array(["plant"] * rows.num_rows),
    }
    for name, values in ids.items():
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), values)
    return rows


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
        with Client(port) as client, completing():
            while not get(port, "/api/v1/diagnosis")["has_reference"]:
                time.sleep(1)
            newest = get(port, "/api/v1/treatments?limit=1")["treatments"][0]
            place = "/".join(str(newest[key]) for key in ("plant_id", "heat_uid", "station", "treatment_no"))
            found = {}
            for path in (*PATHS, f"/api/v1/treatments/{place}", f"/reports/model/{bundle_hash}"):
                took = sorted(client.milliseconds("GET", path, b"") for _ in range(ASKED))
                found[path.replace(bundle_hash, "HASH").replace(place, "HEAT")] = took
                detection.told(f"{path[:60]}: median {took[ASKED // 2]:.0f}, slowest {took[-1]:.0f} ms")
        memory = rss_mb(process.pid)
    slowest = max(found.values(), key=lambda took: took[int(0.99 * ASKED)])
    return {
        f"slowest page over {TREATMENTS:,} heats, p99": ([slowest[int(0.99 * ASKED)]], "ms"),
        f"seconds until the dashboard of {TREATMENTS:,} heats is ready": ([ready], "s"),
        f"memory of the dashboard of {TREATMENTS:,} heats": ([memory], "MB"),
        **{f"{path}, p99": ([took[int(0.99 * ASKED)]], "ms") for path, took in found.items()},
    }


@contextmanager
def completing() -> Iterator[None]:
    """Meanwhile one more heat in each second."""
    rows = DeltaTable(WORK / "some" / "lake" / "heats").to_pyarrow_table().sort_by("completed_at")
    newest = pl.scan_delta(DeltaTable(WORK / "lake" / "heats")).select(pl.col("completed_at").max())
    later = newest.collect().item() - pc.min(rows["completed_at"]).as_py() + timedelta(minutes=40)
    all_later = copy(rows, 10_000, later)
    stop = threading.Event()

    def complete() -> None:
        for n in range(all_later.num_rows):
            if stop.wait(BETWEEN_COMMITS_S):
                return
            write_deltalake(WORK / "lake" / "heats", all_later.slice(n, 1), mode="append")

    thread = threading.Thread(target=complete)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def get(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        return json.load(answer)
