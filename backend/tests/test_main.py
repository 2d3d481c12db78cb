"""The commands as a person runs them."""

import json
from pathlib import Path

import pytest

from backend.main import main
from tests.contracts import ROOT

MASTER_DATA = ROOT / "master-data/examples/master-data.v1"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "new.sqlite"
    monkeypatch.setenv("BACKEND_DATABASE_URL", f"sqlite:///{file}")
    return file


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """Run a command; what it said when it refused, empty where it did not."""
    monkeypatch.setattr("sys.argv", ["backend", *arguments])
    try:
        main()
    except SystemExit as stopped:
        return str(stopped.code)
    return ""


def test_migrate_then_import(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(MASTER_DATA / "valid/small-plant.json")

    assert "run `backend migrate`" in run(monkeypatch, "import", file)
    assert run(monkeypatch, "migrate") == ""
    assert run(monkeypatch, "import", file) == ""


def test_what_is_exported_can_be_imported(
    database: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(monkeypatch, "migrate")
    run(monkeypatch, "import", str(MASTER_DATA / "valid/small-plant.json"))

    assert run(monkeypatch, "export", str(tmp_path / "exported.json")) == ""
    assert run(monkeypatch, "import", str(tmp_path / "exported.json")) == ""


def test_accounts_and_tokens_by_command(
    database: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "migrate")
    named = tmp_path / "access.json"
    named.write_text(json.dumps({"users": [{"name": "Weber", "role": "viewer", "password": "short"}]}))

    assert run(monkeypatch, "user", "set", "Novak", "--role", "steelmaker") == ""
    assert run(monkeypatch, "token", "set", "level-2", "--scope", "tell") == ""
    password, token = capsys.readouterr().out.split()
    assert len(password) == 16
    assert len(token) == 43
    assert run(monkeypatch, "token", "revoke", "level-2") == ""
    assert "no token level-2 in use" in run(monkeypatch, "token", "revoke", "level-2")
    assert "there is no user Weber" in run(monkeypatch, "user", "disable", "Weber")
    assert "$.users[0].password" in run(monkeypatch, "access", str(named))


def test_import_says_what_is_wrong(database: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(monkeypatch, "migrate")
    broken = tmp_path / "broken.json"
    broken.write_text('{"plant_id": "demo"')
    incomplete = tmp_path / "incomplete.json"
    incomplete.write_text('{"plant_id": "demo"}')

    assert "No such file" in run(monkeypatch, "import", str(tmp_path / "none.json"))
    assert "not JSON" in run(monkeypatch, "import", str(broken))
    assert "$.grades: nothing" in run(monkeypatch, "import", str(incomplete))


def test_a_setting_that_cannot_be_is_named(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND_MODEL_TIMEOUT_S", "-1")

    assert "BACKEND_MODEL_TIMEOUT_S" in run(monkeypatch, "migrate")


def test_the_description_is_printed(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "openapi")

    contract = (ROOT / "backend" / "openapi.v1.json").read_text()
    assert capsys.readouterr().out == contract
