"""The OpenAPI description: every endpoint has examples and the shape of its errors, and they are true."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from sqlalchemy import Engine

from backend.worker import Worker
from tests import contracts
from tests.examples import GIVEN, played

CONTRACT = json.loads((contracts.ROOT / "backend" / "openapi.v1.json").read_text())
REGISTRY = Registry().with_resource("contract:", DRAFT202012.create_resource(CONTRACT))
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in CONTRACT["paths"].items()
    for method, operation in operations.items()
}


def check(document: Any, schema: dict[str, Any]) -> None:
    """Fail with what does not agree with a schema of the contract."""
    absolute = json.loads(json.dumps(schema).replace('"#/', '"contract:#/'))
    validator = Draft202012Validator(
        absolute, registry=REGISTRY, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    assert [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)] == []


@pytest.mark.parametrize("name", OPERATIONS)
class TestEachEndpoint:
    def test_has_an_example_of_what_it_takes(self, name: str) -> None:
        for content in OPERATIONS[name].get("requestBody", {}).get("content", {}).values():
            check(content["example"], content["schema"])
        for parameter in OPERATIONS[name].get("parameters", ()):
            if parameter["in"] == "path":
                check(parameter["example"], parameter["schema"])

    def test_has_an_example_of_each_answer(self, name: str) -> None:
        for status, answer in OPERATIONS[name]["responses"].items():
            assert status in ("204", "4XX") or answer["content"], f"{status} answers nothing"
            for content in answer.get("content", {}).values():
                if status != "4XX":
                    check(content["example"], content["schema"])

    def test_shows_its_errors(self, name: str) -> None:
        if not name.partition(" ")[2].startswith("/api/"):
            return
        content = OPERATIONS[name]["responses"]["4XX"]["content"]["application/problem+json"]
        assert len(content["examples"]) >= 3
        for reference in content["examples"].values():
            shown = CONTRACT["components"]["examples"][reference["$ref"].rpartition("/")[2]]
            check(shown["value"], content["schema"])


def test_the_examples_are_what_is_asked_and_answered(
    client: TestClient, worker: Worker, engine: Engine
) -> None:
    seen = set()
    for operation, _, answer in played(client, worker, engine):
        seen.add(operation)
        assert answer.is_success, (operation, answer.text)
        described = OPERATIONS[operation]["responses"][str(answer.status_code)].get("content", {})
        for content in described.values():
            example = content["example"]
            if isinstance(example, dict):
                check(answer.json(), content["schema"])
                assert example.keys() == answer.json().keys(), operation

    assert seen == set(OPERATIONS)


def test_the_errors_shown_are_those_that_are_answered(stranger: TestClient, client: TestClient) -> None:
    path = "/api/v1/treatments/{plant_id}/{heat_uid}/{station}/{treatment_no}".format(**GIVEN["parameters"])
    heat = GIVEN["operations"]["POST /api/v1/heats"]["request"]
    secret = client.headers.pop("Authorization")

    not_logged_in = stranger.get(path)
    client.headers["Authorization"] = secret

    assert not_logged_in.json() == GIVEN["problems"]["not_logged_in"]
    assert client.get(path).json() == GIVEN["problems"]["not_known"]
    not_in_shape = client.post("/api/v1/heats", json=heat | {"steel_mass_t": -3})
    assert not_in_shape.json() == GIVEN["problems"]["not_in_shape"]
