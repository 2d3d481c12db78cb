"""The lake in an S3-compatible store (SeaweedFS, a real one): chosen by a setting, as safe as a folder."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from bench.collection import body, fill
from bench.plant_heats import command
from bench.processes import free_port, running
from running_demo import wait_until

WEED = Path(sys.executable).with_name("weed")
KEY, SECRET = "plant", "a-secret-of-the-test"
LAKE = "s3://lake/steel"
EVENTS, HEATS = 3000, 40
KILLS = 6


@pytest.fixture
def store(tmp_path: Path) -> Iterator[dict[str, str]]:
    """SeaweedFS with a bucket; yields the variables that a process needs to reach it."""
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    who = {"name": "lake", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"identities": [who]}))
    (tmp_path / "weed").mkdir()
    server = [WEED, "server", f"-dir={tmp_path / 'weed'}", "-ip=127.0.0.1", "-s3", f"-s3.config={keys}"]
    server += ["-master.volumeSizeLimitMB=64", "-volume.max=50"]
    for name, port in ports.items():
        server += [f"-{name}.port={port}", f"-{name}.port.grpc={free_port()}"]
    with running(server, dict(os.environ), tmp_path / "weed.log"):
        wait_until(lambda: _answers(f"http://127.0.0.1:{ports['filer']}/buckets/lake/"), timeout_s=60)
        wait_until(lambda: _listens(ports["s3"]), timeout_s=60)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['s3']}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }


def test_two_collectors_that_are_killed_again_and_again_put_every_event_into_the_store_once(
    store: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in store.items():
        monkeypatch.setenv(name, value)
    port = free_port()
    environment = {"MONITORING_LAKE": LAKE, "MONITORING_NATS_URL": f"nats://127.0.0.1:{port}"}
    collect = [command("monitoring", "monitoring"), "collect"]
    with ExitStack() as stack:
        bus = [command("monitoring", "nats-server"), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd"]
        stack.enter_context(running([*bus, tmp_path / "bus"], dict(os.environ), tmp_path / "bus.log"))
        stack.enter_context(running(collect, os.environ | environment, tmp_path / "steady.log"))
        asyncio.run(fill(environment["MONITORING_NATS_URL"], 0, EVENTS))
        for number in range(KILLS):
            with running(collect, os.environ | environment, tmp_path / "killed.log") as killed:
                time.sleep(1.5 + 0.3 * number)
                killed.kill()
        wait_until(lambda: _rows() >= EVENTS, timeout_s=240)

    ids = pl.scan_delta(DeltaTable(f"{LAKE}/heats")).select("event_id").collect()["event_id"]
    assert (ids.len(), ids.n_unique()) == (EVENTS, EVENTS)


def test_the_page_and_the_pipeline_read_what_was_put_there(store: dict[str, str], tmp_path: Path) -> None:
    file, port = tmp_path / "heats.jsonl", free_port()
    file.write_bytes(b"".join(body(number) + b"\n" for number in range(HEATS)))
    environment = os.environ | store | {"MONITORING_LAKE": LAKE, "MONITORING_PORT": str(port)}
    monitoring = command("monitoring", "monitoring")

    taken = _run([monitoring, "backfill", file], environment, tmp_path)
    again = _run([monitoring, "backfill", file], environment, tmp_path)
    with running(
        [monitoring, "serve"], environment | {"MONITORING_STATE": str(tmp_path / "s")}, tmp_path / "log"
    ):
        page = f"http://127.0.0.1:{port}/api/v1/summary"
        wait_until(lambda: _answers(page), timeout_s=60)
        summary = httpx.get(page).json()
    extract = [
        command("ml-pipeline", "ml-pipeline"),
        "extract",
        "--lake",
        LAKE,
        "--artifacts",
        tmp_path / "a",
    ]
    _run([*extract, "--work", tmp_path / "work"], environment, tmp_path)
    extracted = list((tmp_path / "a").rglob("*.parquet"))

    assert taken.startswith(f"{HEATS} new")
    assert again.startswith("0 new")
    assert summary["heats"] == HEATS
    assert sum(pl.read_parquet(one).height for one in extracted) == HEATS
    assert not list(tmp_path.rglob("_delta_log"))


def _rows() -> int:
    with suppress(TableNotFoundError):
        return DeltaTable(f"{LAKE}/heats").count()
    return 0


def _run(arguments: list[Any], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(arguments, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _answers(url: str) -> bool:
    """Asking a filer for a bucket with POST makes it; asking the page with GET is all it takes."""
    try:
        return bool((httpx.post(url) if url.endswith("/") else httpx.get(url)).is_success)
    except httpx.TransportError:
        return False


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
