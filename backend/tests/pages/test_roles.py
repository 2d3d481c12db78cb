"""What each person finds on the pages: everything to see, and only the buttons that are for him."""

import re

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from backend.worker import Worker
from tests.access.logging_in import account, log_in
from tests.life import known, recommended
from tests.pages.test_pages import form, page


@pytest.mark.parametrize(
    ("role", "confirms", "edits"),
    [
        ("viewer", False, False),
        ("steelmaker", True, False),
        ("technologist", True, True),
        ("admin", False, False),
    ],
)
def test_buttons_are_there_for_who_may_use_them(
    client: TestClient,
    stranger: TestClient,
    engine: Engine,
    worker: Worker,
    role: str,
    confirms: bool,
    edits: bool,
) -> None:
    heat = recommended(client, worker)
    del client.headers["Authorization"]
    log_in(stranger, account(engine, role))  # type: ignore[arg-type]

    of_heat, grades = stranger.get(page(heat)).text, stranger.get("/grades").text
    of_grade = stranger.get(re.findall(r'"(/grades/one\?name=[^"]+)"', grades)[0]).text

    assert ('class="go"' in of_heat) == confirms
    assert ("waits for you" if confirms else "waits for the steelmaker") in of_heat
    assert ("<fieldset disabled>" not in of_grade) == edits
    assert ("New grade" in grades) == edits


def test_who_is_logged_in_decides_in_his_own_name(
    client: TestClient, stranger: TestClient, engine: Engine, worker: Worker
) -> None:
    heat = recommended(client, worker)
    machine = client.headers.pop("Authorization")
    log_in(stranger, account(engine, "steelmaker", "Novotna"))
    html = stranger.get(page(heat)).text
    sent = form(html)
    del sent["decided_by"]

    answer = stranger.post(page(heat), data=sent, follow_redirects=False)

    client.headers["Authorization"] = machine
    assert 'name="decided_by"' not in html
    assert answer.status_code == 303
    assert known(client, heat)["decision"]["decided_by"] == "Novotna"
