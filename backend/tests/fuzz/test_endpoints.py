"""Whatever is sent to whichever endpoint, on both databases: no fault of ours; each error explains itself.

What is sent to REST is drawn from the OpenAPI contract, in its shape and deliberately not (schemathesis);
half of it goes to a heat that there is. What is sent to the pages is drawn as text.
"""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from sqlalchemy import Engine

from backend.access import people
from tests import plant
from tests.access.logging_in import account, csrf_token, log_in

CONTRACT = Path(__file__).parents[3] / "contracts" / "backend" / "openapi.v1.json"
OPERATIONS = {
    f"{operation.method.upper()} {operation.path}": operation
    for operation in (
        found.ok()
        for found in schemathesis.openapi.from_dict(json.loads(CONTRACT.read_text())).get_all_operations()
    )
}
THOROUGH = settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
PROBLEM = "application/problem+json"
H = "/heats/demo/{heat_uid}/tapping/1"
PAGES = (
    "/",
    "/history",
    "/history.csv",
    "/history.parquet",
    "/grades",
    "/grades/one",
    "/additives",
    "/additives/one",
)
FORMS = {
    H: (
        *(
            "additive",
            "lot",
            "kg",
            "decision_id",
            "recommendation_id",
            "reason_code",
            "reason_of.SiMn",
            "note",
        ),
        *(f"seen_{name}" for name in ("heat_revision", "grade", "recommendation_id", "decision_id")),
    ),
    H + "/again": ("anything",),
    "/grades/one": ("grade", "valid_from", "element", "min", "aim", "max", "forbidden"),
    "/additives/one": (
        "additive",
        "lot",
        "element",
        "assay",
        "price",
        "currency",
        "stock_kg",
        "increment_kg",
    ),
    "/login": ("user", "password", "next"),
}
TYPED = st.one_of(
    st.text(max_size=20),
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(
        ["SiMn", "Mn", "S235JR", "EUR", "2026-03-02T06:00:00Z", "-1", "1e999", "\x00", "nan", "٣"]
    ),
)


@pytest.fixture
def heat(client: TestClient) -> dict[str, Any]:
    made = plant.heat()
    assert client.post("/api/v1/heats", json=made).status_code == 201
    return made


def explains_itself(answer: httpx.Response) -> None:
    """No fault of ours; an error is a problem with what, where and what is allowed."""
    assert answer.status_code < 500, answer.text
    if answer.status_code < 400:
        return
    if answer.headers["content-type"] != PROBLEM:
        assert answer.headers["content-type"].startswith("text/html")
        return
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["type"]
    assert told["title"]
    assert told["errors"]
    assert all(error["where"] and error["what"] and error["allowed"] for error in told["errors"]), told


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        pytest.param(name, mode, id=f"{name} {mode.value}")
        for name, operation in OPERATIONS.items()
        for mode in GenerationMode
        # What takes nothing cannot be sent anything wrong.
        if mode == GenerationMode.POSITIVE or operation.path_parameters or operation.query or operation.body
    ],
)
def test_rest(
    name: str, mode: GenerationMode, client: TestClient, engine: Engine, heat: dict[str, Any]
) -> None:
    operation = OPERATIONS[name]
    headers = {"Authorization": client.headers.pop("Authorization")}
    if re.search("/(users|tokens|audit)", name):
        account(engine, "admin")
        log_in(client, "admin")
        headers = {"X-CSRF-Token": csrf_token(client)}
    answered: set[int] = set()

    @THOROUGH
    @given(case=operation.as_strategy(generation_mode=mode), to_known=st.booleans())
    def send(case: schemathesis.Case, to_known: bool) -> None:
        if to_known and "{heat_uid}" in case.path:
            case.path_parameters |= heat["treatment"]
        if to_known and isinstance(case.body, dict) and isinstance(case.body.get("treatment"), dict):
            case.body["treatment"] |= heat["treatment"]
        sent = case.as_transport_kwargs(base_url="http://testserver")
        sent["headers"] = {
            key: value
            for key, value in sent["headers"].items()
            if key.lower() not in ("authorization", "cookie")
        } | headers
        sent.pop("cookies", None)
        try:
            request = client.build_request(**sent)
        except (UnicodeEncodeError, ValueError, TypeError, httpx.InvalidURL):
            return  # nothing that could go over a wire
        answer = client.send(request)
        explains_itself(answer)
        answered.add(answer.status_code)
        documented = operation.definition.raw["responses"]
        assert answer.status_code >= 400 or str(answer.status_code) in documented

    send()
    assert answered - {401, 403}  # it came past the gate


@pytest.mark.parametrize("path", PAGES)
def test_pages(path: str, client: TestClient) -> None:
    names = st.sampled_from(
        ["text", "grade", "station", "state", "since", "until", "before", "name", "change"]
    )

    @THOROUGH
    @given(query=st.dictionaries(names, TYPED))
    def send(query: dict[str, str]) -> None:
        explains_itself(client.get(path, params=query, headers={"Accept": "text/html"}))

    send()


@pytest.mark.parametrize("path", FORMS)
def test_forms(
    path: str, client: TestClient, engine: Engine, heat: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "MOST_FAILURES_OF_ADDRESS", 10_000)
    client.headers.pop("Authorization")
    log_in(client, account(engine, "technologist"))
    token = csrf_token(client)
    fields = st.dictionaries(st.sampled_from(FORMS[path]), st.lists(TYPED, max_size=3))

    @THOROUGH
    @given(typed=fields, query=st.dictionaries(st.sampled_from(["name", "new"]), TYPED))
    def send(typed: dict[str, list[str]], query: dict[str, str]) -> None:
        where = path.format(**heat["treatment"])
        answer = client.post(
            where,
            params=query,
            data=typed | {"csrf_token": token},
            headers={"Accept": "text/html"},
            follow_redirects=False,
        )
        explains_itself(answer)
        assert answer.status_code not in (401, 403) or path == "/login"

    send()
