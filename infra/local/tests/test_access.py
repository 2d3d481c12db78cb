"""Who may use the backend of a demo: made up once, for its owner's eyes."""

import json
import stat
from pathlib import Path

from local_runner.access import PEOPLE, make_access, password, token


def test_password_and_tokens_are_made_up_once_and_kept(tmp_path: Path) -> None:
    file = make_access(tmp_path)
    first = file.read_text()
    (tmp_path / "other").mkdir()
    make_access(tmp_path / "other")

    assert make_access(tmp_path).read_text() == first
    assert password(tmp_path) != password(tmp_path / "other")
    assert token(tmp_path, "plant-simulator") != token(tmp_path, "programs")


def test_only_the_owner_may_read_them(tmp_path: Path) -> None:
    assert stat.S_IMODE(make_access(tmp_path).stat().st_mode) == 0o600


def test_everybody_has_a_role_and_programs_have_no_more_than_they_need(tmp_path: Path) -> None:
    named = json.loads(make_access(tmp_path).read_text())

    assert {user["name"]: user["role"] for user in named["users"]} == PEOPLE
    assert {one["name"]: one["scopes"] for one in named["tokens"]}["plant-simulator"] == ["read", "decide"]
    assert all(len(one["secret"]) >= 32 for one in named["tokens"])
