"""The examples of the OpenAPI description, sent in the order of a heat's life."""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, NamedTuple

from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import Engine

from backend.worker import Worker
from tests import life
from tests.access.logging_in import account, csrf_token, log_in

GIVEN = json.loads((files("backend") / "examples.json").read_text())
TREATMENT = "/api/v1/treatments/{plant_id}/{heat_uid}/{station}/{treatment_no}"
# Before the first of each pair the worker does what is due.
OF_A_HEAT = (
    ("PUT", "/api/v1/master-data", False),
    ("GET", "/api/v1/master-data", False),
    ("POST", "/api/v1/heats", False),
    ("POST", f"{TREATMENT}/recommendations", True),
    ("POST", f"{TREATMENT}/recommendations/{{recommendation_id}}/shown", False),
    ("PUT", f"{TREATMENT}/decision", False),
    ("POST", f"{TREATMENT}/weighed", False),
    ("POST", f"{TREATMENT}/samples", True),
    ("GET", TREATMENT, True),
    ("GET", "/api/v1/treatments", False),
    ("GET", "/health/live", False),
    ("GET", "/health/ready", False),
    ("GET", "/metrics", False),
)
OF_THE_ADMINISTRATOR = (
    ("PUT", "/api/v1/users/{name}"),
    ("GET", "/api/v1/users"),
    ("DELETE", "/api/v1/users/{name}"),
    ("PUT", "/api/v1/tokens/{name}"),
    ("GET", "/api/v1/tokens"),
    ("DELETE", "/api/v1/tokens/{name}"),
    ("GET", "/api/v1/audit"),
)


class Played(NamedTuple):
    operation: str
    request: Any
    answer: Response


def played(client: TestClient, worker: Worker, engine: Engine) -> Iterator[Played]:
    """Each example as a question, and what was answered.

    What the backend itself makes up, as the id of a recommendation, takes the place of the example's.
    """
    parameters = dict(GIVEN["parameters"])
    for method, path, works_before in OF_A_HEAT:
        if works_before:
            life.work(worker)
        request = GIVEN["operations"].get(f"{method} {path}", {}).get("request")
        if path.endswith("/decision"):
            request = request | {"recommendation_id": parameters["recommendation_id"]}
        answer = client.request(method, path.format(**parameters), json=request)
        yield Played(f"{method} {path}", request, answer)
        if path.endswith("/recommendations"):
            parameters["recommendation_id"] = answer.json()["recommendation_id"]
    yield from _cancelled(client, parameters)
    del client.headers["Authorization"]
    account(engine, "admin")
    log_in(client, "admin")
    client.headers["X-CSRF-Token"] = csrf_token(client)
    for method, path in OF_THE_ADMINISTRATOR:
        request = GIVEN["operations"].get(f"{method} {path}", {}).get("request")
        yield Played(
            f"{method} {path}", request, client.request(method, path.format(**parameters), json=request)
        )


def _cancelled(client: TestClient, parameters: dict[str, Any]) -> Iterator[Played]:
    """Another heat: one that is completed cannot be."""
    heat = json.loads(json.dumps(GIVEN["operations"]["POST /api/v1/heats"]["request"]))
    heat["treatment"]["treatment_no"] = 2
    client.post("/api/v1/heats", json=heat)
    operation = f"POST {TREATMENT}/cancelled"
    request = GIVEN["operations"][operation]["request"]
    path = f"{TREATMENT}/cancelled".format(**parameters | {"treatment_no": 2})
    yield Played(operation, request, client.post(path, json=request))
