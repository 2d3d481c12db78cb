"""HTTP: what is answered to whom, and that every error says what, where and what is allowed."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from backend.app import create_app
from backend.database import open_engine
from backend.heats import service as heats_service
from backend.model_client import ModelClient
from backend.settings import Settings
from backend.worker import Worker
from tests import contracts, plant
from tests.contracts import example
from tests.life import known, recommended

MASTER_DATA = "master-data/examples/master-data.v1/valid/small-plant.json"
UNKNOWN = "/api/v1/treatments/demo/5b6f0c1e-2a54-4d0e-9a39-0d3f0c5f7a11/tapping/1"


def error(answer: Any) -> dict[str, str]:
    """The first error of a problem."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "errors"}
    assert problem["status"] == answer.status_code
    first: dict[str, str] = problem["errors"][0]
    assert all(first.values())
    return first


class TestProblems:
    def test_a_treatment_that_is_not_known(self, client: TestClient) -> None:
        answer = client.get(UNKNOWN)

        assert answer.status_code == 404
        assert error(answer)["where"] == "demo/5b6f0c1e-2a54-4d0e-9a39-0d3f0c5f7a11/tapping/1"

    @pytest.mark.parametrize(
        ("path", "where"),
        [
            ("/api/v1/treatments/demo/no-uuid/tapping/1", "path.heat_uid"),
            (UNKNOWN.replace("tapping/1", "Tapping/1"), "path.station"),
            (UNKNOWN.replace("tapping/1", "tapping/zero"), "path.treatment_no"),
            (UNKNOWN.replace("tapping/1", "tapping/0"), "path.treatment_no"),
            ("/api/v1/treatments?limit=0", "query.limit"),
            ("/api/v1/treatments?state=molten", "query.state"),
            (f"/api/v1/treatments?before={2**70}", "query.before"),
            (f"/api/v1/treatments?before={2**31}", "query.before"),
        ],
    )
    def test_what_is_wrong_in_the_address(self, client: TestClient, path: str, where: str) -> None:
        answer = client.get(path)

        assert answer.status_code == 422
        assert error(answer)["where"] == where

    @pytest.mark.parametrize(
        ("body", "where"),
        [
            (b"{ not json", "$"),
            (b"", "$"),
            (b"[]", "$"),
            (b"null", "$"),
            (b'{"treatment": {"plant_id": "demo"}}', "$.treatment.heat_uid"),
        ],
    )
    def test_what_is_wrong_in_the_body(self, client: TestClient, body: bytes, where: str) -> None:
        answer = client.post("/api/v1/heats", content=body, headers={"Content-Type": "application/json"})

        assert answer.status_code == 422
        assert error(answer)["where"] == where

    def test_a_body_that_is_no_text(self, client: TestClient) -> None:
        answer = client.post("/api/v1/heats", content=b'"\xff"', headers={"Content-Type": "application/json"})

        assert answer.status_code == 400
        assert error(answer)["what"] == "There was an error parsing the body"

    def test_no_such_path_and_no_such_method(self, client: TestClient) -> None:
        missing, method = client.get("/api/v1/ladles"), client.delete("/api/v1/heats")

        assert (missing.status_code, method.status_code) == (404, 405)
        assert error(missing)["what"] == "Not Found"
        assert error(method)["allowed"] == "POST"

    def test_a_heat_of_another_plant(self, client: TestClient) -> None:
        heat = plant.heat()
        heat["treatment"]["plant_id"] = "elsewhere"

        answer = client.post("/api/v1/heats", json=heat)

        assert answer.status_code == 422
        assert error(answer) == {
            "where": "treatment.plant_id",
            "what": "plant elsewhere is not served here",
            "allowed": "demo",
        }

    def test_a_body_about_another_treatment_than_the_path(self, client: TestClient) -> None:
        heat, other = plant.heat(), plant.heat()
        client.post("/api/v1/heats", json=heat)

        path = plant.path(heat["treatment"])
        answer = client.post(f"{path}/samples", json=plant.sample(other["treatment"]))

        assert answer.status_code == 422
        assert error(answer)["where"] == "$.treatment"

    def test_facts_of_a_treatment_that_is_not_known(self, client: TestClient) -> None:
        treatment = plant.heat()["treatment"]
        path = plant.path(treatment)

        answers = [
            client.post(f"{path}/weighed", json=plant.weighed(treatment)),
            client.post(f"{path}/samples", json=plant.sample(treatment)),
            client.post(f"{path}/cancelled", json={"cancelled_at": "2026-03-02T06:20:00Z"}),
            client.post(f"{path}/recommendations"),
        ]

        assert [answer.status_code for answer in answers] == [404, 404, 404, 404]

    def test_a_recommendation_of_another_treatment(self, client: TestClient, worker: Worker) -> None:
        first, second = recommended(client, worker), recommended(client, worker)
        recommendation_id = known(client, first)["recommendation"]["recommendation_id"]

        answer = client.post(f"{plant.path(second['treatment'])}/recommendations/{recommendation_id}/shown")

        assert answer.status_code == 404


class TestTreatments:
    def test_newest_first_page_by_page(self, client: TestClient) -> None:
        numbers = [f"26-{number:05}" for number in range(5)]
        for number in numbers:
            client.post("/api/v1/heats", json=plant.heat(heat_no=number))

        seen, before = [], ""
        while True:
            page = client.get(f"/api/v1/treatments?limit=2{before}").json()
            seen += [treatment["heat_no"] for treatment in page["treatments"]]
            if page["next"] is None:
                break
            before = f"&before={page['next']}"

        assert seen == numbers[::-1]

    def test_by_state(self, client: TestClient, worker: Worker) -> None:
        heat = recommended(client, worker)
        client.post("/api/v1/heats", json=plant.heat())

        page = client.get("/api/v1/treatments?state=recommended").json()

        assert [treatment["treatment"] for treatment in page["treatments"]] == [heat["treatment"]]


class TestMasterData:
    def test_what_is_put_is_read_back(self, client: TestClient) -> None:
        document = example(MASTER_DATA)
        document["additives"] = document["additives"][1:]
        document["additives"][0]["price_per_t"]["amount"] = 999.0

        answer = client.put("/api/v1/master-data", json=document)

        back = client.get("/api/v1/master-data").json()
        assert answer.status_code == 200
        contracts.check(back, "master-data/master-data.v1.schema.json")
        assert [additive["additive"] for additive in back["additives"]] == ["FeMnHC", "FeSi75", "coke"]
        assert back["additives"][0]["price_per_t"]["amount"] == 999.0
        assert back["handbook_rule"] == document["handbook_rule"]
        assert back["grades"][0]["windows"] == document["grades"][0]["windows"]

    @pytest.mark.parametrize(
        ("change", "allowed"),
        [
            (lambda data: data["additives"].append(data["additives"][0]), "name each of additives once"),
            (lambda data: data["grades"].append(data["grades"][0]), "name each of grades once"),
            (
                lambda data: data["additives"][0]["price_per_t"].update(currency="USD"),
                "all prices in one currency",
            ),
            (lambda data: data["additives"][0]["assay"].update(Fe=90.0), "at most 100 wt %"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, client: TestClient, change: Any, allowed: str) -> None:
        document = example(MASTER_DATA)
        change(document)

        answer = client.put("/api/v1/master-data", json=document)

        assert answer.status_code == 422
        assert allowed in error(answer)["allowed"]


class TestOperation:
    def test_live_ready_and_metrics(self, client: TestClient) -> None:
        client.get("/api/v1/treatments")

        assert client.get("/health/live").json() == {"status": "live"}
        assert client.get("/health/ready").json() == {"status": "ready"}
        assert "backend_outbox_waiting 0.0" in client.get("/metrics").text

    def test_not_ready_without_tables(self, tmp_path: Any, live: ModelClient) -> None:
        url = f"sqlite:///{tmp_path / 'nothing.sqlite'}"
        engine = open_engine(url)
        settings = Settings(database_url=url)  # type: ignore[arg-type]
        headers = {"Authorization": "Bearer anything"}
        with TestClient(create_app(settings, engine), raise_server_exceptions=False) as bare:
            answer, treatments = bare.get("/health/ready"), bare.get("/api/v1/treatments", headers=headers)
        engine.dispose()

        assert answer.status_code == 503
        assert "no such table" in answer.json()["database"]
        assert treatments.status_code == 503
        assert error(treatments)["what"] == "the database is away or busy"

    def test_a_fault_of_ours_is_a_problem_too(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(heats_service, "newest", lambda *_, **__: 1 / 0)

        answer = client.get("/api/v1/treatments")

        assert answer.status_code == 500
        assert error(answer)["what"] == "the backend failed; its log says why"

    def test_every_answer_carries_the_security_headers(self, client: TestClient) -> None:
        for path in ("/", "/api/v1/treatments", "/static/style.css", "/no/such/path"):
            headers = client.get(path).headers
            assert "default-src 'self'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"

    def test_the_openapi_description_is_the_contract(self, client: TestClient, engine: Engine) -> None:
        """Where this fails on purpose, export it: backend openapi > ../contracts/backend/openapi.v1.json"""
        contract = json.loads((contracts.ROOT / "backend" / "openapi.v1.json").read_text())

        assert client.get("/openapi.json").json() == contract
