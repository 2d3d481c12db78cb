"""A heat's life over REST, step by step, with the worker between the steps."""

import json
import uuid
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import select

from backend.database import reading
from backend.outbox.tables import OutboxEvent
from backend.tasks import service as tasks
from backend.worker import Worker
from tests import plant
from tests.waiting import until


def work(worker: Worker) -> None:
    """Let the worker do all that is due."""

    def nothing_due() -> bool:
        worker.start_due()
        with reading(worker.engine) as session:
            return not tasks.due(session)

    assert until(nothing_due)


def recommended(client: TestClient, worker: Worker, **changes: Any) -> dict[str, Any]:
    """A heat with its recommendation; X."""
    heat = plant.heat(**changes)
    assert client.post("/api/v1/heats", json=heat).status_code == 201
    work(worker)
    return heat


def known(client: TestClient, heat: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = client.get(plant.path(heat["treatment"])).json()
    return document


def decision(client: TestClient, heat: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The recommendation as it is, confirmed by somebody."""
    recommendation = known(client, heat)["recommendation"]
    return {
        "decision_id": str(uuid.uuid4()),
        "decided_by": "steelmaker-a",
        "recommendation_id": recommendation["recommendation_id"],
        "additions": recommendation["additions"],
        "reason_code": None,
        "note": None,
    } | changes


def complete(client: TestClient, worker: Worker, heat: dict[str, Any]) -> None:
    """Weigh what was added, predict it, analyse the result."""
    path = plant.path(heat["treatment"])
    assert client.post(f"{path}/weighed", json=plant.weighed(heat["treatment"])).status_code == 201
    work(worker)
    assert client.post(f"{path}/samples", json=plant.sample(heat["treatment"])).status_code == 201
    work(worker)


def events(engine: Engine, event_type: str) -> list[dict[str, Any]]:
    """The events of a type in the outbox, in order."""
    with reading(engine) as session:
        rows = session.exec(select(OutboxEvent).where(OutboxEvent.type == event_type).order_by("id")).all()
        return [json.loads(row.body) for row in rows]
