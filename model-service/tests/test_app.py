"""The service over HTTP: statuses, shapes, problems, limits, token, logs, metrics."""

import asyncio
import json
import logging
from collections.abc import MutableMapping
from typing import Any

import pytest
from making import CONTRACTS, asked, with_heat
from msgspec import to_builtins
from schemas import validate
from starlette.testclient import TestClient

from model_service.app import LIMITS, create_app
from model_service.asgi import Application, Limits
from model_service.documents import encode
from model_service.logs import JsonLines
from model_service.model import Bundle
from model_service.openapi import document

JSON = {"content-type": "application/json"}
SECRET = "".join(["a", "token"])
PREDICTION = CONTRACTS / "model-service/examples/prediction-request.v1/valid/handbook-kilograms.json"


@pytest.fixture
def client(loaded: Bundle) -> TestClient:
    return TestClient(create_app(loaded))


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


def test_tables_of_model_servers_are_answered(client: TestClient) -> None:
    request = json.loads(encode(asked()))
    single = {"predictions": [client.post("/v1/recommendations", json=request).json()]}
    split = {"columns": [*request, "other"], "data": [[*request.values(), None]]}

    assert client.post("/invocations", json={"dataframe_records": [request]}).json() == single
    assert client.post("/invocations", json={"dataframe_split": split}).json() == single
    split["data"] = [[1]]
    problem = _problem(client.post("/invocations", json={"dataframe_split": split}), 422)
    assert problem["errors"][0]["where"] == "$.dataframe_split.data[0]"


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
    _problem(client.post("/v1/recommendations", content=b" " * (LIMITS.most_bytes + 1), headers=JSON), 413)


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
    assert caplog.records[-1].told["treatment"] == to_builtins(asked().heat.treatment)  # type: ignore[attr-defined]


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


def test_every_route_is_in_the_openapi_document(loaded: Bundle, client: TestClient) -> None:
    routes = {(path, route.method.lower()) for path, route in create_app(loaded).routes.items()}

    described = {(path, method) for path, methods in document()["paths"].items() for method in methods}

    assert routes == described
    assert client.get("/openapi.json").json() == document()


class TestToken:
    @pytest.fixture
    def guarded(self, loaded: Bundle) -> TestClient:
        return TestClient(create_app(loaded, token=SECRET))

    @pytest.mark.parametrize("given", [{}, {"authorization": "Bearer no"}, {"authorization": SECRET}])
    @pytest.mark.parametrize("path", ["/v1/recommendations", "/v1/predictions", "/invocations"])
    def test_without_it_nothing_is_answered(
        self, guarded: TestClient, path: str, given: dict[str, str]
    ) -> None:
        refused = guarded.post(path, content=encode(asked()), headers=given)

        assert refused.headers["www-authenticate"] == "Bearer"
        assert _problem(refused, 401)["errors"][0]["where"] == "header authorization"
        assert SECRET not in refused.text

    def test_with_it_a_heat_is_answered(self, guarded: TestClient) -> None:
        headers = {"authorization": f"Bearer {SECRET}"}

        assert guarded.post("/v1/recommendations", content=encode(asked()), headers=headers).is_success
        assert guarded.get("/v1/model", headers=headers).is_success

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/health/live", 200),
            ("/health/ready", 200),
            ("/ping", 200),
            ("/v1/model", 401),
            ("/metrics", 401),
        ],
    )
    def test_health_is_open(self, guarded: TestClient, path: str, status: int) -> None:
        assert guarded.get(path).status_code == status


class TestLimits:
    def test_a_body_is_refused_by_its_declared_length(self, loaded: Bundle) -> None:
        app = create_app(loaded, Limits(most_bytes=10, seconds=5.0))

        problem = _problem(TestClient(app).post("/v1/recommendations", content=b"x" * 11), 413)

        assert problem["errors"][0]["allowed"] == "at most 10 bytes"

    def test_a_body_that_only_grows_is_refused_too(self, loaded: Bundle) -> None:
        app = create_app(loaded, Limits(most_bytes=10, seconds=5.0))

        answer = TestClient(app).post("/v1/recommendations", content=iter([b"x" * 6, b"x" * 6]))

        assert _problem(answer, 413)["errors"][0]["what"] == "too many bytes"

    def test_a_body_that_does_not_come_ends_with_a_problem(self, loaded: Bundle) -> None:
        async def nothing() -> dict[str, Any]:
            await asyncio.sleep(60)
            raise AssertionError

        sent = _answered(create_app(loaded, Limits(most_bytes=10, seconds=0.05)), nothing)

        assert sent[0]["status"] == 408
        assert json.loads(sent[1]["body"])["errors"][0]["allowed"] == "0.05 s for one request"

    def test_a_batch_that_takes_too_long_ends_with_a_problem(self, loaded: Bundle) -> None:
        app = create_app(loaded, Limits(most_bytes=10**7, seconds=0.05))
        batch = encode({"inputs": [asked()] * 1000})

        problem = _problem(TestClient(app).post("/invocations", content=batch), 503)

        assert "ask for less" in problem["errors"][0]["allowed"]

    def test_who_goes_away_is_not_answered(self, loaded: Bundle) -> None:
        async def gone() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        assert _answered(create_app(loaded), gone) == []


def test_a_batch_lets_single_heats_through(loaded: Bundle) -> None:
    app, order = create_app(loaded), []

    async def post(path: str, content: bytes) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.body":
                order.append(path)

        await app({"path": path, "method": "POST", "headers": []}, receive, send)

    async def both() -> None:
        batch = encode({"inputs": [asked()] * 20})
        await asyncio.gather(post("/invocations", batch), post("/v1/recommendations", encode(asked())))

    asyncio.run(both())

    assert order == ["/v1/recommendations", "/invocations"]


def test_every_answer_and_refusal_is_logged_with_its_heat(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "model_service")
    wrong = json.loads(encode(asked())) | {"confidence": 2}

    client.post("/v1/recommendations", content=encode(asked()))
    client.post("/v1/recommendations", json=wrong)

    answered, refused = [json.loads(JsonLines().format(record)) for record in caplog.records]
    assert (answered["message"], refused["message"], refused["status"]) == ("recommended", "refused", 422)
    assert answered["milliseconds"] > 0
    for line in (answered, refused):
        assert line["treatment"]["heat_uid"] == asked().heat.treatment.heat_uid


def _answered(app: Application, receive: Any) -> list[MutableMapping[str, Any]]:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app({"path": "/v1/recommendations", "method": "POST", "headers": []}, receive, send))
    return sent
