"""Backup and restore: all of it, into either kind of database, and the plant goes on."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from backend import migrations
from backend.backup import back_up, restore
from backend.database import open_engine, reading
from backend.errors import BackendError
from backend.heats import service as heats
from backend.heats.reading import whole
from backend.heats.schemas import TreatmentRead
from backend.shapes import Treatment
from backend.worker import Worker
from tests import plant
from tests.life import complete, decision, events, known, recommended


def read(engine: Engine, treatment: Treatment) -> TreatmentRead:
    with reading(engine) as session:
        return whole(session, heats.find(session, treatment))


def test_what_was_backed_up_is_restored_and_goes_on(
    client: TestClient, worker: Worker, engine: Engine, empty_url: str, tmp_path: Path
) -> None:
    heat = recommended(client, worker)
    client.put(f"{plant.path(heat['treatment'])}/decision", json=decision(client, heat))
    complete(client, worker, heat)
    treatment = Treatment.model_validate(heat["treatment"])
    before = read(engine, treatment)

    written = back_up(engine, tmp_path / "plant.backup")
    migrations.upgrade(empty_url)
    other = open_engine(empty_url)
    restored = restore(other, tmp_path / "plant.backup")
    after = read(other, treatment)
    waiting = [event["id"] for event in events(other, "product.heat.completed.v1")]
    with pytest.raises(BackendError, match="an empty database"):
        restore(other, tmp_path / "plant.backup")
    other.dispose()

    assert written == restored
    assert after == before
    assert waiting == [event["id"] for event in events(engine, "product.heat.completed.v1")]
    assert known(client, heat)["state"] == "completed"


def test_a_backup_moves_to_the_other_kind_and_new_rows_are_numbered_on(
    client: TestClient, worker: Worker, engine: Engine, tmp_path: Path, postgresql_url: str
) -> None:
    heat = recommended(client, worker)
    back_up(engine, tmp_path / "plant.backup")
    migrations.upgrade(postgresql_url)
    other = open_engine(postgresql_url)

    restore(other, tmp_path / "plant.backup")
    moved = Worker(other, worker.live, None)
    with TestClient(client.app) as same_client:
        same_client.app.state.engine = other  # type: ignore[attr-defined]
        same_client.headers["Authorization"] = client.headers["Authorization"]
        second = recommended(same_client, moved)
        state = known(same_client, second)["state"]
    moved.close()
    other.dispose()

    assert state == "recommended"
    assert heat["treatment"] != second["treatment"]
