"""The lake is asked for every treatment, and what is missing or doubled is named."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local_runner import heats
from local_runner.errors import HeatsMissing
from local_runner.plan import Plan, Ports
from local_runner.processes import Processes
from local_runner.settings import Settings

BEFORE = heats.LakeCount(0, 0)


class Monitoring(ThreadingHTTPServer):
    """A stand-in for monitoring's API: revisions by treatment, and rows that are there besides."""

    revisions: dict[str, int]
    more_rows: int


class Handler(BaseHTTPRequestHandler):
    server: Monitoring

    def do_GET(self) -> None:
        revisions = self.server.revisions
        revision = revisions.get(self.path.removeprefix("/api/v1/treatments/"))
        answer: dict[str, Any] | None = {"revision": revision} if revision else None
        if self.path == "/api/v1/summary":
            rows = sum(revisions.values()) + self.server.more_rows
            answer = {"position": {"behind": 0}, "heats": len(revisions), "rows": rows}
        self.send_response(404 if answer is None else 200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def monitoring() -> Iterator[Monitoring]:
    server = Monitoring(("127.0.0.1", 0), Handler)
    server.revisions, server.more_rows = {}, 0
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def treatment(number: int) -> dict[str, Any]:
    return {"plant_id": "demo", "heat_uid": f"uid-{number}", "station": "tapping", "treatment_no": 1}


def check(monitoring: Monitoring, folder: Path, played: int) -> None:
    plan = Plan(Settings(folder, folder), Ports(0, 0, monitoring.server_port, 0, 0, 0))
    heats.wait_for_lake(
        plan, Processes(folder, os.environ), [treatment(number) for number in range(played)], BEFORE
    )


def test_all_treatments_once_is_well(
    monitoring: Monitoring, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monitoring.revisions = {f"demo/uid-{number}/tapping/1": 1 for number in range(3)}

    check(monitoring, tmp_path, played=3)

    assert "each exactly once" in capsys.readouterr().out


def test_a_corrected_treatment_has_a_row_per_revision(
    monitoring: Monitoring, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monitoring.revisions = {"demo/uid-0/tapping/1": 2}

    check(monitoring, tmp_path, played=1)

    assert "1 corrections" in capsys.readouterr().out


def test_a_missing_treatment_is_named(
    monitoring: Monitoring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heats, "STANDSTILL_S", 1.2)
    monitoring.revisions = {"demo/uid-0/tapping/1": 1}

    with pytest.raises(HeatsMissing, match="lacks 1 of 2 treatments: demo/uid-1/tapping/1"):
        check(monitoring, tmp_path, played=2)


@pytest.mark.parametrize("more_rows", [1, -1])
def test_a_row_too_many_or_too_few_is_told(
    monitoring: Monitoring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more_rows: int
) -> None:
    monkeypatch.setattr(heats, "STANDSTILL_S", 1.2)
    monitoring.revisions, monitoring.more_rows = (
        {f"demo/uid-{number}/tapping/1": 1 for number in range(3)},
        more_rows,
    )

    with pytest.raises(HeatsMissing, match=rf"3 treatments in 3 rows, it holds 3 in {3 + more_rows}"):
        check(monitoring, tmp_path, played=3)
