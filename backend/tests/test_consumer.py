"""The data consumer against a real bus: late, twice, corrected, out of order, broken, killed."""

import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import select

from backend.consumer import consume
from backend.database import reading
from backend.heats.tables import HeatRecord
from backend.intake.tables import ParkedEvent
from backend.master_data.tables import AdditiveRecord
from backend.worker import Worker
from tests import bus, plant
from tests.stub_model import StubModel
from tests.waiting import until


@pytest.fixture
def consuming(nats_url: str, engine: Engine, worker: Worker) -> Iterator[str]:
    """The bus's address, with a consumer running on it."""
    bus.wipe(nats_url)
    with bus.running(partial(consume, engine, worker, nats_url, "demo")):
        yield nats_url


def state(client: TestClient, treatment: dict[str, Any]) -> str | None:
    answer = client.get(plant.path(treatment))
    return None if answer.status_code == 404 else str(answer.json()["state"])


def waiting_for_a_person(engine: Engine) -> list[str]:
    """Numbers of the heats that are recommended."""
    with reading(engine) as session:
        return list(session.exec(select(HeatRecord.heat_no).where(HeatRecord.state == "recommended")))


def registered(heat: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    return plant.cloudevent("plant.heat.registered.v1", heat, **kwargs)


def weighed(heat: dict[str, Any]) -> dict[str, Any]:
    return plant.cloudevent("plant.addition.weighed.v1", plant.weighed(heat["treatment"]))


def analysed(heat: dict[str, Any], name: str = "final") -> dict[str, Any]:
    return plant.cloudevent("plant.sample.analysed.v1", plant.sample(heat["treatment"], name))


class TestConsume:
    def test_a_heat_gets_its_recommendation_and_completes_with_its_result(
        self, consuming: str, client: TestClient
    ) -> None:
        heat = plant.heat()

        bus.tell(consuming, registered(heat))
        recommended = until(lambda: state(client, heat["treatment"]) == "recommended")
        bus.tell(consuming, weighed(heat), analysed(heat))
        completed = until(lambda: state(client, heat["treatment"]) == "completed")

        whole = client.get(plant.path(heat["treatment"])).json()
        assert recommended
        assert completed
        assert whole["recommendation"]["source"] == "model"
        assert [addition["added_kg"] for addition in whole["prediction"]["additions"]] == [
            1427.0,
            79.0,
            147.0,
        ]

    def test_what_comes_before_its_heat_is_applied_when_the_heat_comes(
        self, consuming: str, client: TestClient, engine: Engine
    ) -> None:
        heat = plant.heat()

        bus.tell(consuming, analysed(heat), weighed(heat))
        with reading(engine) as session:
            parked = until(
                lambda: len(session.exec(select(ParkedEvent.id)).all()) == 2 or session.rollback() or False
            )
        bus.tell(consuming, registered(heat))
        completed = until(lambda: state(client, heat["treatment"]) == "completed")

        whole = client.get(plant.path(heat["treatment"])).json()
        assert parked
        assert completed
        assert len(whole["weighed"]) == 3
        assert len(whole["samples"]) == 1
        with reading(engine) as session:
            assert session.exec(select(ParkedEvent)).all() == []

    def test_a_message_that_comes_twice_is_stored_once(
        self, consuming: str, client: TestClient, engine: Engine
    ) -> None:
        heat, later = plant.heat(), plant.heat()
        lot = plant.cloudevent(
            "plant.lot.received.v1",
            plant.example("plant-events/examples/plant.lot.received.v1/valid/simn.json"),
        )
        again = lot | {"source": "/plants/demo/level2/again"}

        # Without Nats-Msg-Id the bus itself does not notice.
        for message in (registered(heat), registered(heat), lot, again, analysed(heat), analysed(heat)):
            bus.tell(consuming, json.dumps(message).encode(), subject=message["type"])
        bus.tell(consuming, registered(later))
        seen = until(lambda: state(client, later["treatment"]) == "recommended")

        assert seen
        assert client.get(plant.path(heat["treatment"])).json()["completed_revision"] == 1
        with reading(engine) as session:
            simn = session.get_one(AdditiveRecord, ("demo", "SiMn"))
            assert (simn.lot, simn.stock_kg) == ("SM-119", 40000.0)

    def test_a_bad_message_is_set_aside_with_the_reason_and_the_rest_goes_on(
        self, consuming: str, client: TestClient
    ) -> None:
        heat = plant.heat()
        negative = registered(plant.heat(steel_mass_t=-1.0))
        elsewhere = plant.heat()
        elsewhere["treatment"]["plant_id"] = "another plant"

        bus.tell(consuming, b"{ not json", negative, registered(elsewhere))
        bus.tell(consuming, plant.cloudevent("plant.unheard.of.v1", {}), registered(heat))
        goes_on = until(lambda: state(client, heat["treatment"]) == "recommended")

        dead = bus.stored(consuming, "DEADLETTER")
        assert goes_on
        assert [headers["Dead-Letter-Where"] for _, headers, _ in dead] == [
            "$",
            "$.data.steel_mass_t",
            "$.data.treatment.plant_id",
            "$.type",
        ]
        assert dead[0][2] == b"{ not json"
        assert json.loads(dead[1][2]) == negative
        assert dead[1][0] == "deadletter.backend.plant.heat.registered.v1"
        assert dead[1][1]["Dead-Letter-Allowed"] == "greater than 0"
        assert dead[2][1]["Dead-Letter-Allowed"] == "demo"

    def test_a_heat_posted_over_rest_is_picked_up(self, consuming: str, client: TestClient) -> None:
        heat = plant.heat()

        client.post("/api/v1/heats", json=heat)

        assert until(lambda: state(client, heat["treatment"]) == "recommended")


class TestCrash:
    def test_what_was_left_when_the_consumer_was_killed_is_done_by_the_next_one(
        self, nats_url: str, database_url: str, model: StubModel, engine: Engine
    ) -> None:
        bus.wipe(nats_url)
        heats = [plant.heat(heat_no=f"26-{number:05}") for number in range(40)]
        model.delay_s = 0.05
        with bus.process("consume", database_url, nats_url, model.url) as process:
            bus.tell(nats_url, *[registered(heat) for heat in heats])
            began = until(lambda: len(model.requests) > 3)
            process.kill()
        model.delay_s = 0.0

        with bus.process("consume", database_url, nats_url, model.url):
            recommended = until(lambda: len(waiting_for_a_person(engine)) == 40)

        assert began
        assert recommended
        assert sorted(waiting_for_a_person(engine)) == [heat["heat_no"] for heat in heats]

    def test_a_bus_that_is_killed_and_comes_back_is_heard_again(
        self, tmp_path: Path, client: TestClient, engine: Engine, worker: Worker
    ) -> None:
        port = bus.free_port()
        before, after = plant.heat(), plant.heat()
        first = ExitStack()
        url = first.enter_context(bus.server(tmp_path, port))
        bus.wipe(url)
        with bus.running(partial(consume, engine, worker, url, "demo")):
            bus.tell(url, registered(before))
            heard = until(lambda: state(client, before["treatment"]) == "recommended")
            first.close()
            with bus.server(tmp_path, port):
                bus.tell(url, registered(after))
                heard_again = until(lambda: state(client, after["treatment"]) == "recommended")

        assert heard
        assert heard_again

    def test_the_consumer_waits_for_a_bus_that_is_not_there_yet_and_stops_when_it_is_told(
        self, database_url: str
    ) -> None:
        with bus.process("consume", database_url, "nats://127.0.0.1:9", stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            waits = process.stderr.readline()
            process.terminate()
            code = process.wait(timeout=20)

        assert b"trying on" in waits
        assert code == 0


def test_event_ids_are_remembered(consuming: str, client: TestClient) -> None:
    """The same id with other content is the same event: the first one holds."""
    heat, other = plant.heat(), plant.heat()
    event_id = str(uuid.uuid4())

    for message in (registered(heat, event_id=event_id), registered(other, event_id=event_id)):
        bus.tell(consuming, json.dumps(message).encode(), subject=message["type"])
    last = plant.heat()
    bus.tell(consuming, registered(last))
    seen = until(lambda: state(client, last["treatment"]) == "recommended")

    assert seen
    assert state(client, heat["treatment"]) == "recommended"
    assert state(client, other["treatment"]) is None
