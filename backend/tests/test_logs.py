"""Logs are JSON lines that name the treatment they are about."""

import json
import logging

import pytest
from fastapi.testclient import TestClient

from backend.logs import JsonLines
from backend.worker import Worker
from tests import plant
from tests.life import complete, decision, recommended


def test_a_heat_is_found_in_the_logs_at_each_step(
    client: TestClient, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "backend")
    heat = recommended(client, worker)
    client.put(f"{plant.path(heat['treatment'])}/decision", json=decision(client, heat))
    complete(client, worker, heat)

    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]

    assert [line["message"] for line in lines if line.get("treatment") == heat["treatment"]] == [
        "recommended by the model",
        "decided by steelmaker-a",
        "predicted for what was weighed",
    ]
    assert all(line["time"] and line["level"] == "INFO" and line["logger"] for line in lines)


def test_an_exception_stays_in_its_line() -> None:
    error = (ValueError, ValueError("broken"), None)
    record = logging.LogRecord("backend", logging.ERROR, __file__, 1, "it %s", ("failed",), error)

    line = json.loads(JsonLines().format(record))

    assert (line["message"], line["exception"]) == ("it failed", "ValueError: broken")
