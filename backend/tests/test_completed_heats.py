"""Completed heats as the bus told them last, from what is kept."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import Engine

from backend.clock import now
from backend.completed_heats import EVER, Exported, export
from backend.database import write
from backend.heats import rows
from backend.shapes import Treatment
from backend.tasks import service as tasks
from backend.tasks.tables import PREDICTION
from backend.worker import Worker
from tests import plant
from tests.contracts import check
from tests.life import complete, decision, events, recommended, work

COMPLETED = "product.heat.completed.v1"


def exported(engine: Engine, file: Path, since: datetime = EVER) -> list[dict[str, Any]]:
    export(engine, file, since)
    return [json.loads(line) for line in file.read_text().splitlines()]


def lived(client: TestClient, worker: Worker) -> dict[str, Any]:
    heat = recommended(client, worker)
    client.put(f"{plant.path(heat['treatment'])}/decision", json=decision(client, heat))
    complete(client, worker, heat)
    return heat


def test_what_is_exported_is_what_the_bus_was_told_last(
    client: TestClient, worker: Worker, engine: Engine, tmp_path: Path
) -> None:
    corrected, heat, _ = lived(client, worker), lived(client, worker), recommended(client, worker)
    path = plant.path(corrected["treatment"])
    client.post(f"{path}/samples", json=plant.sample(corrected["treatment"], "corrected"))
    again = plant.weighed(corrected["treatment"])
    again["additions"] = [
        one | {"revision": 2, "added_kg": one["added_kg"] + 7} for one in again["additions"]
    ]
    client.post(f"{path}/weighed", json=again)
    work(worker)
    last = {one["data"]["treatment"]["heat_uid"]: one["data"] for one in events(engine, COMPLETED)}

    found = exported(engine, tmp_path / "heats.jsonl")

    uids = [one["treatment"]["heat_uid"] for one in (corrected, heat)]
    assert [one["data"] for one in found] == [last[uid] for uid in uids]
    assert [one["data"]["revision"] for one in found][1] == 1 < found[0]["data"]["revision"]
    assert len({one["id"] for one in found}) == 2
    for one in found:
        check(one["data"], "product-events/product.heat.completed.v1.schema.json")


def test_only_those_completed_since_then_are_exported(
    client: TestClient, worker: Worker, engine: Engine, tmp_path: Path
) -> None:
    lived(client, worker)

    assert exported(engine, tmp_path / "later", now() + timedelta(hours=1)) == []
    assert len(exported(engine, tmp_path / "before", now() - timedelta(hours=1))) == 1


def test_a_heat_that_is_being_corrected_is_left_to_the_bus(
    client: TestClient, worker: Worker, engine: Engine, tmp_path: Path
) -> None:
    heat = lived(client, worker)
    treatment = Treatment.model_validate(heat["treatment"])
    record = write(engine, lambda session: rows.of_treatment(session, treatment))
    assert record is not None
    write(engine, lambda session: tasks.ensure(session, record.row(), PREDICTION))

    assert export(engine, tmp_path / "heats.jsonl", EVER) == Exported(written=0, waiting=1)
