"""Metrics of the processes that have no pages: at a port of their own."""

import urllib.request
from pathlib import Path

import pytest

from tests import bus
from tests.waiting import until

COUNTED = b"backend_events_published_total"


def shown(port: int) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            return bytes(answer.read())
    except OSError:
        return b""


@pytest.mark.parametrize("command", ["consume", "publish"])
@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_process_shows_its_metrics_where_it_is_told_to(
    command: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = bus.free_port()
    monkeypatch.setenv("BACKEND_METRICS_PORT", str(port))

    with bus.process(command, database_url, "nats://127.0.0.1:9"):
        assert until(lambda: COUNTED in shown(port))
