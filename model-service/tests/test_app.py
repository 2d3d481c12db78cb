"""The service over HTTP: statuses, shapes, problems, metrics."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from making import CONTRACTS, asked, with_heat
from schemas import validate
from starlette.testclient import TestClient

from model_service.app import MOST_BYTES, create_app
from model_service.documents import encode
from model_service.model import Bundle
from model_service.openapi import document

JSON = {"content-type": "application/json"}
PREDICTION = CONTRACTS / "model-service/examples/prediction-request.v1/valid/handbook-kilograms.json"


@pytest.fixture
def client(loaded: Bundle) -> Iterator[TestClient]:
    with TestClient(create_app(loaded)) as client:
        yield client


def _problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body.keys() == {"type", "title", "status", "detail", "errors"}
    assert body["status"] == status
    return body


def test_a_heat_gets_its_recommendation(client: TestClient) -> None:
    response = client.post("/v1/recommendations", content=encode(asked()), headers=JSON)

    assert response.status_code == 200
    validate(response.json(), "model-service/recommendation.v1.schema.json")
    assert response.json()["status"] == "recommended"


def test_additions_get_their_prediction(client: TestClient) -> None:
    response = client.post("/v1/predictions", content=PREDICTION.read_bytes(), headers=JSON)

    assert response.status_code == 200
    validate(response.json(), "model-service/prediction.v1.schema.json")


def test_the_model_introduces_itself(client: TestClient, loaded: Bundle) -> None:
    card = client.get("/v1/model").json()

    validate(card, "model-service/model-card.v1.schema.json")
    assert card["bundle_hash"] == loaded.bundle_hash
    assert card["stations"]["tapping"]["training_ranges"]["oxygen_ppm"]["unit"] == "ppm"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/ping", "/metrics", "/openapi.json"])
def test_it_is_well(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("name", ["inputs", "instances"])
def test_model_servers_requests_are_answered(client: TestClient, name: str) -> None:
    request = json.loads(encode(asked()))
    single = client.post("/v1/recommendations", json=request).json()

    assert client.post("/invocations", json={name: [request, request]}).json() == {
        "predictions": [single] * 2
    }
    assert client.post("/invocations", json={name: request}).json() == {"predictions": [single]}
    assert client.post("/invocations", json=request).json() == {"predictions": [single]}
    assert client.post("/invocations", json=[request]).json() == {"predictions": [single]}
    assert client.post("/invocations", json={name: []}).json() == {"predictions": []}


def test_the_row_at_fault_is_named(client: TestClient) -> None:
    request = json.loads(encode(asked()))
    request["heat"]["steel_mass_t"] = -1

    body = _problem(client.post("/invocations", json={"inputs": [json.loads(encode(asked())), request]}), 422)

    assert body["errors"][0]["where"] == "$.inputs[1].heat.steel_mass_t"


@pytest.mark.parametrize("path", ["/v1/recommendations", "/v1/predictions", "/invocations"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 50_000, 400),
        (b"[1]", 422),
        (b"null", 422),
        (b"{}", 422),
        (b'"heat"', 422),
        (b'{"heat": {}, "additives": [], "additions": []}', 422),
    ],
)
def test_bad_bodies_are_refused_with_the_place(
    client: TestClient, path: str, body: bytes, status: int
) -> None:
    problem = _problem(client.post(path, content=body, headers=JSON), status)

    assert problem["errors"][0]["where"].startswith("$")
    assert problem["errors"][0]["what"]
    assert problem["errors"][0]["allowed"]


def test_a_body_too_large_is_refused(client: TestClient) -> None:
    _problem(client.post("/v1/recommendations", content=b" " * (MOST_BYTES + 1), headers=JSON), 413)


def test_unknown_paths_and_methods_are_problems_too(client: TestClient) -> None:
    _problem(client.get("/nowhere"), 404)
    _problem(client.get("/v1/recommendations"), 405)


def test_an_unexpected_failure_is_a_problem_and_logged(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("model_service.app.recommend", broken)

    problem = _problem(client.post("/v1/recommendations", content=encode(asked()), headers=JSON), 500)

    assert "a mistake of ours" not in json.dumps(problem)
    assert "a mistake of ours" in caplog.text
    assert asked().heat.treatment.heat_uid in caplog.text


def test_metrics_count_by_version(client: TestClient, loaded: Bundle) -> None:
    client.post("/v1/recommendations", content=encode(asked()))
    client.post("/v1/recommendations", content=encode(asked(additives=[])))
    client.post("/v1/recommendations", content=encode(with_heat(asked(), windows={})))
    client.post("/v1/recommendations", content=b"{")

    lines = client.get("/metrics").text.splitlines()

    version = f'version="{loaded.version}"'
    assert f'model_service_requests_total{{path="/v1/recommendations",status="200",{version}}} 3.0' in lines
    assert f'model_service_requests_total{{path="/v1/recommendations",status="400",{version}}} 1.0' in lines
    assert f'model_service_abstentions_total{{reason="no_windows",{version}}} 1.0' in lines
    assert f"model_service_infeasible_heats_total{{{version}}} 1.0" in lines
    assert f'model_service_request_seconds_count{{path="/v1/recommendations",{version}}} 4.0' in lines


def test_every_route_is_in_the_openapi_document(client: TestClient) -> None:
    routes = {
        (route.path, method.lower())
        for route in client.app.routes  # type: ignore[attr-defined]
        for method in route.methods - {"HEAD"}
    }

    described = {(path, method) for path, methods in document()["paths"].items() for method in methods}

    assert routes == described
    assert client.get("/openapi.json").json() == document()
