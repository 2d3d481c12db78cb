"""The fixed addresses: what stands behind them changes under a kept connection, and nobody notices."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_runner.ports import LOOPBACK, free_port

SERVICE = '''#!{python}
"""A stand-in for the Model Service: says which bundle it was started on."""
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAME = Path(os.environ["MODEL_SERVICE_BUNDLE"]).name
if NAME == "broken":
    raise SystemExit(2)

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps({{"version": NAME}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["MODEL_SERVICE_PORT"])), Handler).serve_forever()
'''


class Front:
    def __init__(self, folder: Path) -> None:
        self.models, self.live, self.shadow = folder / "models", free_port(), free_port()
        program = folder / "service"
        program.write_text(SERVICE.format(python=sys.executable))
        program.chmod(0o755)
        for version in ("1", "2", "broken"):
            (self.models / version).mkdir(parents=True)
            (self.models / version / "manifest.json").touch()
        self.link("champion", "1")
        ports = ("--live-port", str(self.live), "--shadow-port", str(self.shadow))
        command = Path(sys.executable).with_name("local-runner")
        given = ("--program", str(program), "--models", str(self.models))
        self.process = subprocess.Popen([command, "front", *given, *ports], start_new_session=True)

    def link(self, name: str, version: str) -> None:
        new = self.models / f".{name}"
        new.symlink_to(version)
        new.rename(self.models / name)


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    one = Front(tmp_path)
    yield one
    if one.process.poll() is None:
        os.killpg(one.process.pid, signal.SIGTERM)
    one.process.wait(timeout=30)


def version_at(port: int, connection: http.client.HTTPConnection | None = None) -> str | None:
    asking = connection or http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        asking.request("POST", "/v1/recommendations", b"x" * 200_000)
        return str(json.load(asking.getresponse())["version"])
    except (OSError, http.client.HTTPException):
        return None
    finally:
        if connection is None:
            asking.close()


def wait_for(port: int, version: str | None) -> None:
    deadline = time.monotonic() + 30
    while version_at(port) != version:
        assert time.monotonic() < deadline, f"{version} never stood behind {port}"
        time.sleep(0.05)


def test_a_kept_connection_goes_over_to_the_new_model_and_no_request_fails(front: Front) -> None:
    wait_for(front.live, "1")
    kept = http.client.HTTPConnection(LOOPBACK, front.live, timeout=5)
    answers = [version_at(front.live, kept)]
    front.link("champion", "2")
    deadline = time.monotonic() + 30
    while answers[-1] != "2" and time.monotonic() < deadline:
        answers.append(version_at(front.live, kept))
        time.sleep(0.01)
    answers += [version_at(front.live, kept) for _ in range(50)]
    kept.close()

    assert None not in answers
    assert answers[-50:] == ["2"] * 50
    assert answers == sorted(answers, key=str)  # never back to the old one


def test_nobody_behind_the_shadow_until_a_link_says_so_and_again_after(front: Front) -> None:
    wait_for(front.live, "1")

    assert version_at(front.shadow) is None
    front.link("shadow", "2")
    wait_for(front.shadow, "2")
    (front.models / "shadow").unlink()
    wait_for(front.shadow, None)
    assert version_at(front.live) == "1"


def test_a_model_that_does_not_start_changes_nothing(front: Front) -> None:
    wait_for(front.live, "1")

    front.link("champion", "broken")
    time.sleep(1.5)

    assert version_at(front.live) == "1"
    front.link("champion", "2")
    wait_for(front.live, "2")
