"""The commands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from monitoring.cli import main
from tests.conftest import Collector, NatsServer, free_port, wait_for

COMMAND = Path(sys.executable).with_name("monitoring")


def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MONITORING_PORT", "99999")

    assert main(["serve"]) == 2
    assert re.match(r"MONITORING_PORT: .*65535", capsys.readouterr().err)


def test_a_lake_that_cannot_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MONITORING_LAKE", str(tmp_path / "file"))

    assert main(["collect"]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_serve_serves_until_it_is_told_to_stop(tmp_path: Path, nats_server: NatsServer) -> None:
    port = free_port()
    environment = os.environ | {
        "MONITORING_LAKE": str(tmp_path / "lake"),
        "MONITORING_PORT": str(port),
        "MONITORING_NATS_URL": nats_server.url,
    }
    process = subprocess.Popen([COMMAND, "serve"], env=environment)
    try:

        def answers() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
            except httpx.TransportError:
                return False

        wait_for(answers, "the dashboard")
        assert httpx.get(f"http://127.0.0.1:{port}/api/v1/summary").json()["heats"] == 0
    finally:
        process.terminate()

    assert process.wait(timeout=60) in (0, -15)


def test_collect_stops_when_told(collector: Collector, lake: Path) -> None:
    collector.start()
    wait_for(lambda: "collecting PRODUCT" in collector.log.read_text(), "the collector")

    assert collector.stop() == 0
    assert (lake / "heats" / "_delta_log").is_dir()
