"""The watch over the newest heats: it finds, keeps and tells; with a real webhook to tell it to."""

import json
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from monitoring.alarms.store import AlarmStore
from monitoring.alarms.watch import Watch
from monitoring.diagnosis.building import build
from monitoring.diagnosis.reference import Reference, write
from monitoring.lake.tables import append, open_table
from tests.diagnosis.plants import Trouble, rows

BUNDLE = "ab" * 32


class Hook:
    """A webhook that takes alarms, or refuses them while `is_down`."""

    def __init__(self) -> None:
        taken: list[dict[str, Any]] = []
        self.taken, self.is_down = taken, False
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not hook.is_down:
                    taken.append(json.loads(body))
                self.send_response(503 if hook.is_down else 204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                return

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alarms"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    one = Hook()
    yield one
    one.close()


@cache
def reference() -> Reference:
    return build(rows(900, seed=99), BUNDLE)


def fill(lake: Path, trouble: Trouble | None = None) -> None:
    frame = rows(200, trouble, seed=5).collect()
    many = [row | {"weighed_bundle_hash": BUNDLE} for row in frame.to_dicts()]
    append(open_table(lake, "heats"), many, stream="PRODUCT then", after=0, upto=len(many))


def watch(lake: Path, webhook_url: str | None = None) -> tuple[Watch, AlarmStore]:
    store = AlarmStore(lake.parent / "alarms.sqlite")
    folder = lake.parent / "references"
    return Watch(
        lake, None, folder, store, price_per_miss_per_t=5.0, webhook_url=webhook_url, every_s=60
    ), store


def test_a_finding_becomes_an_alarm_and_is_told_once(lake: Path, hook: Hook) -> None:
    fill(lake, Trouble(begin=100, lot=("SiMn", "Mn", -0.06)))
    write(reference(), lake.parent / "references" / f"{BUNDLE}.json")
    one, store = watch(lake, hook.url)

    one.look()
    one.tell()
    one.tell()

    assert [alarm.cause for alarm in store.newest()] == ["lot"]
    assert [alarm["cause"] for alarm in hook.taken] == ["lot"]
    assert "brings" in hook.taken[0]["sentence"]
    assert one.view.has_reference
    assert one.view.treatments == 400


def test_a_webhook_that_is_down_is_told_later(lake: Path, hook: Hook) -> None:
    fill(lake, Trouble(begin=100, lot=("SiMn", "Mn", -0.06)))
    write(reference(), lake.parent / "references" / f"{BUNDLE}.json")
    one, _ = watch(lake, hook.url)
    hook.is_down = True
    one.look()
    one.tell()
    hook.is_down = False
    one.tell()

    assert len(hook.taken) == 1


def test_without_a_reference_nothing_is_judged(lake: Path) -> None:
    fill(lake, Trouble(begin=100, lot=("SiMn", "Mn", -0.06)))
    one, store = watch(lake)

    one.look()

    assert store.newest() == []
    assert (one.view.treatments, one.view.bundle_hash, one.view.has_reference) == (400, BUNDLE, False)


def test_before_there_is_a_lake_nothing_is_seen(lake: Path) -> None:
    one, _ = watch(lake)
    one.look()

    assert one.view.treatments == 0
