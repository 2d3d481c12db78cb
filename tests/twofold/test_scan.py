"""What must not go out is found: a secret in a commit, a known vulnerability, a licence that binds."""

import json
import os
import secrets
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from contracts import ROOT
from twofold.forge import Forge

BUILT = ROOT / "build" / "scan"
# A part of the smallest component's runtime, for which the database of these tests knows something.
PART = "numpy"


class Database(BaseHTTPRequestHandler):
    """A vulnerability database as OSV answers, which knows of one or of none."""

    known: ClassVar[dict[str, Any]] = {}

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name, version = asked["package"]["name"], asked["version"]
        found = [self.known] if self.known and name == PART else []
        for vulnerability in found:
            vulnerability["affected"] = [
                {"package": {"name": PART, "ecosystem": "PyPI"}, "versions": [version]}
            ]
        body = json.dumps({"vulns": found} if found else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def database() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Database)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    Database.known = {}


def scan(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    around = {name: value for name, value in os.environ.items() if name not in ("AUDIT", "OSV_URL")}
    return subprocess.run(
        ["ci/scan", *arguments], cwd=ROOT, env={**around, **settings}, capture_output=True, text=True
    )


def test_a_runtime_without_a_known_vulnerability_passes_with_its_bill_of_materials(database: str) -> None:
    done = scan("model-service", OSV_URL=database)

    document = json.loads((BUILT / "model-service.cdx.json").read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    assert document["bomFormat"] == "CycloneDX"
    assert {"lightgbm", PART} <= {part["name"] for part in document["components"]}
    assert f"| {PART} |" in (BUILT / "model-service.licences.md").read_text()


def test_a_known_vulnerability_is_found(database: str) -> None:
    Database.known = {"id": "OSV-0000-1", "summary": "a hole", "modified": "2026-01-01T00:00:00Z"}

    done = scan("model-service", OSV_URL=database)

    assert done.returncode == 1
    assert "OSV-0000-1" in done.stdout
    assert "vulnerabilities: FOUND" in done.stdout


def test_a_database_that_does_not_answer_is_a_failure_and_no_clean_bill() -> None:
    done = scan("model-service", OSV_URL="http://127.0.0.1:9/v1/query")

    assert done.returncode == 1
    assert "NOT AUDITED" in done.stdout


def test_a_licence_that_binds_and_one_that_is_not_declared_are_refused(tmp_path: Path) -> None:
    script = f"""
import importlib.machinery, importlib.util, pathlib, sys
loader = importlib.machinery.SourceFileLoader("scan", {str(ROOT / "ci" / "scan")!r})
scan = importlib.util.module_from_spec(importlib.util.spec_from_loader("scan", loader))
loader.exec_module(scan)
scan.BUILD = pathlib.Path({str(tmp_path)!r})
licences = dict(free="MIT", lesser="LGPL-3.0-only", bound="AGPL-3.0-only", gpl="GPL-3.0-only")
parts = [dict(name=name, licenses=[dict(license=dict(id=licence))]) for name, licence in licences.items()]
sys.exit(scan.refused_licences("component", [*parts, dict(name="silent")]))
"""

    done = subprocess.run(["python3", "-c", script], capture_output=True, text=True)

    assert done.returncode == 3, done.stdout + done.stderr
    assert [line.split()[3] for line in done.stdout.splitlines()[:3]] == ["bound:", "gpl:", "silent:"]


def test_a_secret_is_found_even_where_a_later_commit_took_it_away(forge: Forge) -> None:
    forge.change()
    before = forge.run("ci/scan", "secrets", check=False)
    leaked = forge.clone / "leaked.txt"
    leaked.write_text(f"token = ghp_{secrets.token_hex(18)}\n")
    forge.commit()
    leaked.unlink()
    forge.commit()
    after = forge.run("ci/scan", "secrets", check=False)

    assert before.returncode == 0, before.stdout + before.stderr
    assert after.returncode == 1
    assert "FOUND" in after.stdout
