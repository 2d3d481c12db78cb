"""Every endpoint, given what nobody sends: never a 5xx; a refusal says what, where and what is allowed."""

import asyncio
import json
import random
from collections.abc import MutableMapping
from typing import Any

import msgspec
import pytest
from making import CONTRACTS, alloyed, asked, recent_heats
from schemas import validate

from model_service.app import create_app
from model_service.asgi import Application
from model_service.model import Bundle

RECOMMENDATION = msgspec.to_builtins(alloyed(recent_heats=recent_heats(asked(), 3, {"Mn": 0.8, "Si": 0.2})))
PREDICTION = json.loads(
    (CONTRACTS / "model-service/examples/prediction-request.v1/valid/handbook-kilograms.json").read_bytes()
)
BODIES = {
    "/v1/recommendations": RECOMMENDATION,
    "/v1/predictions": PREDICTION,
    "/invocations": {"inputs": [RECOMMENDATION]},
}
SCHEMAS = {"/v1/recommendations": "recommendation", "/v1/predictions": "prediction"}
ODD = [
    None, True, -1, 0, 1e-300, 1e300, 2**70, -0.0, "", " ", "x" * 5000, "\u0000", "NaN", "Mn", [], {}, [[]],
    {"below": 0.01}, {"": 1}, "2026-02-30T24:61:61Z", "../../etc/passwd", "\ud83d\udd25",
]  # fmt: skip
PER_PATH = 120


@pytest.fixture(scope="module")
def app(loaded: Bundle) -> Application:
    return create_app(loaded)


@pytest.mark.parametrize("path", BODIES)
def test_documents_with_odd_places_are_answered_or_refused_with_the_place(
    app: Application, path: str
) -> None:
    drawn, statuses = random.Random(path), set()
    for _ in range(PER_PATH):
        document = json.loads(json.dumps(BODIES[path]))
        for _ in range(drawn.choice([1, 1, 1, 2, 5])):
            _spoil(document, drawn)
        status, answer = _asked(app, "POST", path, json.dumps(document).encode())
        statuses.add(status)
        if status == 200 and path in SCHEMAS:
            validate(answer, f"model-service/{SCHEMAS[path]}.v1.schema.json")
        elif status != 200:
            _is_problem(answer, status)
    assert statuses == {200, 422}


@pytest.mark.parametrize("path", BODIES)
def test_bytes_that_are_cut_or_flipped_are_refused(app: Application, path: str) -> None:
    drawn, whole = random.Random(path), json.dumps(BODIES[path]).encode()
    for _ in range(PER_PATH):
        body = bytearray(whole[: drawn.randrange(len(whole))] if drawn.random() < 0.5 else whole)
        for _ in range(drawn.randrange(1, 4)):
            if body:
                body[drawn.randrange(len(body))] = drawn.randrange(256)
        status, answer = _asked(app, "POST", path, bytes(body))
        if status != 200:
            assert status in (400, 422)
            _is_problem(answer, status)


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]
)
def test_every_method_on_every_path_is_answered_or_refused(app: Application, method: str) -> None:
    for path in [*app.routes, "/", "", "//", "/v1", "/v1/recommendations/", "/%00", "/" + "x" * 5000]:
        status, answer = _asked(app, method, path, b"")
        assert status in (200, 400, 404, 405), path
        if status != 200:
            _is_problem(answer, status)


def _spoil(document: Any, drawn: random.Random) -> None:
    """Change one place, anywhere in the document."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(document)
    if not places:
        return
    node, key = drawn.choice(places)
    kind = drawn.choice(["replace", "replace", "remove", "rename", "repeat"])
    if kind == "remove" or (kind == "rename" and isinstance(node, list)):
        del node[key]
    elif kind == "rename":
        node[str(drawn.choice(ODD))] = node.pop(key)
    elif kind == "repeat" and isinstance(node, list):
        node.extend([node[key]] * drawn.choice([1, 70]))
    else:
        value = node[key]
        is_number = isinstance(value, int | float)
        node[key] = (
            value * drawn.choice([0, -1, 1e3, 1e12])
            if is_number and drawn.random() < 0.5
            else drawn.choice(ODD)
        )


def _asked(app: Application, method: str, path: str, body: bytes) -> tuple[int, Any]:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app({"path": path, "method": method, "headers": []}, receive, send))
    content = dict(sent[0]["headers"])[b"content-type"]
    return sent[0]["status"], json.loads(sent[1]["body"]) if b"json" in content and sent[1]["body"] else None


def _is_problem(answer: Any, status: int) -> None:
    assert answer["status"] == status < 500, answer
    assert answer["title"]
    assert answer["errors"]
    for error in answer["errors"]:
        assert error["where"]
        assert error["what"]
        assert error["allowed"]
