"""Every route with every role: whoever is not named here is not let in, and no route is forgotten."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from backend import news
from backend.access import machines
from backend.access.rules import SCOPES, Role
from backend.database import writing
from tests.access.logging_in import accounts, csrf_token, log_in

T = "/api/v1/treatments/demo/5b6f0c1e-2a54-4d0e-9a39-0d3f0c5f7a11/tapping/1"
H = T.replace("/api/v1/treatments", "/heats")
Y = "0197a0f0-0000-7000-8000-000000000000"

PEOPLE = set(get_args(Role))
READERS = PEOPLE | {"token:read"}
DECIDERS = {"steelmaker", "technologist", "token:decide"}
KEEPERS = {"technologist", "token:keep"}
EVERYBODY = PEOPLE | {f"token:{scope}" for scope in SCOPES} | {"stranger"}

ALLOWED: dict[tuple[str, str], set[str]] = {
    ("GET", "/api/v1/treatments"): READERS,
    ("GET", T): READERS,
    ("GET", "/api/v1/master-data"): READERS,
    ("PUT", "/api/v1/master-data"): KEEPERS,
    ("POST", "/api/v1/heats"): {"token:tell"},
    ("POST", f"{T}/weighed"): {"token:tell"},
    ("POST", f"{T}/samples"): {"token:tell"},
    ("POST", f"{T}/cancelled"): {"token:tell"},
    ("POST", f"{T}/recommendations"): DECIDERS,
    ("POST", f"{T}/recommendations/{Y}/shown"): DECIDERS,
    ("PUT", f"{T}/decision"): DECIDERS,
    ("GET", "/api/v1/users"): {"admin"},
    ("PUT", "/api/v1/users/somebody"): {"admin"},
    ("DELETE", "/api/v1/users/somebody"): {"admin"},
    ("GET", "/api/v1/tokens"): {"admin"},
    ("PUT", "/api/v1/tokens/something"): {"admin"},
    ("DELETE", "/api/v1/tokens/something"): {"admin"},
    ("GET", "/api/v1/audit"): {"admin"},
    ("GET", "/"): READERS,
    ("GET", H): READERS,
    ("POST", H): DECIDERS & PEOPLE,
    ("POST", f"{H}/again"): DECIDERS & PEOPLE,
    ("GET", "/history"): READERS,
    ("GET", "/history.csv"): READERS,
    ("GET", "/history.parquet"): READERS,
    ("GET", "/grades"): READERS,
    ("GET", "/grades/one"): READERS,
    ("POST", "/grades/one"): KEEPERS & PEOPLE,
    ("GET", "/additives"): READERS,
    ("GET", "/additives/one"): READERS,
    ("POST", "/additives/one"): KEEPERS & PEOPLE,
    ("GET", "/model"): READERS,
    ("GET", "/events"): READERS,
    ("GET", "/login"): EVERYBODY,
    ("GET", "/health/live"): EVERYBODY,
    ("GET", "/health/ready"): EVERYBODY,
    ("GET", "/metrics"): EVERYBODY,
    ("GET", "/openapi.json"): EVERYBODY,
    ("GET", "/static/style.css"): EVERYBODY,
    # The last one: whoever was logged in is not any more.
    ("POST", "/logout"): READERS,
}
# Walked through in test_login: here each role would log in.
ELSEWHERE = {("POST", "/login")}


@pytest.fixture
def headers(stranger: TestClient, engine: Engine) -> dict[str, dict[str, str]]:
    """What each of EVERYBODY sends to be known."""
    accounts(engine)
    known: dict[str, dict[str, str]] = {"stranger": {}}
    for role in get_args(Role):
        assert log_in(stranger, role) == 303
        known[role] = {
            "Cookie": f"session={stranger.cookies['session']}",
            "X-CSRF-Token": csrf_token(stranger),
        }
    stranger.cookies.clear()
    for scope in SCOPES:
        with writing(engine) as session:
            secret = machines.set_token(session, f"only-{scope}", [scope], by="tests")
        known[f"token:{scope}"] = {"Authorization": f"Bearer {secret}"}
    return known


def test_each_route_lets_in_who_may_and_nobody_else(
    stranger: TestClient, headers: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "LONGEST_S", 0.0)
    let_in: dict[tuple[str, str], set[str]] = {}
    for method, path in ALLOWED:
        answers = {
            name: stranger.request(method, path, headers=sent, follow_redirects=False).status_code
            for name, sent in headers.items()
        }
        let_in[method, path] = {name for name, status in answers.items() if status not in (401, 403)}
        if "stranger" not in ALLOWED[method, path]:
            assert answers["stranger"] == 401
        assert all(status < 500 or path == "/model" for status in answers.values()), (method, path, answers)

    for route, expected in ALLOWED.items():
        assert (route, let_in[route]) == (route, expected)


def test_no_route_is_forgotten(stranger: TestClient) -> None:
    app: Any = stranger.app
    walked = set(ALLOWED) | ELSEWHERE

    for method, template in routes_of(app):
        assert any(method == one and fits(template, path) for one, path in walked), (method, template)


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path of every route; what is mounted is a folder of files."""

    def walk(routes: Any, prefix: str) -> Iterator[tuple[str, str]]:
        for route in routes:
            if hasattr(route, "original_router"):
                yield from walk(route.original_router.routes, prefix + route.include_context.prefix)
            else:
                for method in getattr(route, "methods", None) or ():
                    if method not in ("HEAD", "OPTIONS"):
                        yield method, prefix + route.path

    return walk(app.routes, "")


def fits(template: str, path: str) -> bool:
    parts, given = template.split("/"), path.split("/")
    return len(parts) == len(given) and all(
        part.startswith("{") or part == one for part, one in zip(parts, given, strict=True)
    )
