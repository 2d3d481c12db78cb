"""The worker: what changed while the model thought, and what fails for a reason nobody expected."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from backend import worker as worker_module
from backend.database import reading
from backend.tasks import service as tasks
from backend.worker import Worker
from tests import plant
from tests.life import known, work
from tests.stub_model import StubModel
from tests.waiting import until


def test_an_answer_to_what_the_heat_was_before_is_dropped(
    client: TestClient, worker: Worker, model: StubModel
) -> None:
    heat = plant.heat()
    model.delay_s = 0.3
    client.post("/api/v1/heats", json=heat)
    worker.start_due()
    asked = until(lambda: len(model.requests) == 1)

    client.post("/api/v1/heats", json=heat | {"revision": 2})
    work(worker)

    assert asked
    assert known(client, heat)["recommendation"]["heat_revision"] == 2
    assert len(model.requests) == 2


def test_what_failed_unexpectedly_is_tried_again_and_the_rest_goes_on(
    client: TestClient, worker: Worker, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    broken, whole = plant.heat(), plant.heat()
    client.post("/api/v1/heats", json=broken)
    recommend = worker_module.recommend
    failures = []

    def fail_first(*arguments: Any, **named: Any) -> Any:
        if not failures:
            failures.append(arguments)
            raise ZeroDivisionError
        return recommend(*arguments, **named)

    monkeypatch.setattr(worker_module, "recommend", fail_first)
    monkeypatch.setattr(worker_module, "PAUSE_AFTER_FAILURE_S", 0.1)
    worker.start_due()
    failed = until(lambda: "failed and is tried again" in caplog.text)
    with reading(engine) as session:
        still_due = len(tasks.due(session))
    client.post("/api/v1/heats", json=whole)
    work(worker)

    assert failed
    assert still_due == 1
    assert known(client, whole)["state"] == "recommended"
    assert known(client, broken)["state"] == "recommended"
