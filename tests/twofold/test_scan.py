"""What must not go out is found: a secret in a commit, a known vulnerability, a licence that binds."""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts import ROOT
from osv import Database
from twofold.forge import Forge

BUILT = ROOT / "build" / "scan"
# A part of the smallest component's runtime, for which the database of these tests knows something.
PART = "numpy"
HOLE = {"id": "OSV-0000-1", "summary": "a hole", "modified": "2026-01-01T00:00:00Z"}


@pytest.fixture
def database() -> Iterator[Database]:
    with Database.running() as database:
        yield database


def scan(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    around = {name: value for name, value in os.environ.items() if name not in ("AUDIT", "OSV_URL")}
    return subprocess.run(
        ["ci/scan", *arguments], cwd=ROOT, env={**around, **settings}, capture_output=True, text=True
    )


def test_a_runtime_without_a_known_vulnerability_passes_with_its_bill_of_materials(
    database: Database,
) -> None:
    done = scan("model-service", OSV_URL=database.url)

    document = json.loads((BUILT / "model-service.cdx.json").read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    assert document["bomFormat"] == "CycloneDX"
    assert {"lightgbm", PART} <= {part["name"] for part in document["components"]}
    assert f"| {PART} |" in (BUILT / "model-service.licences.md").read_text()


def test_a_known_vulnerability_is_found(database: Database) -> None:
    database.known[PART] = HOLE

    done = scan("model-service", OSV_URL=database.url)

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
