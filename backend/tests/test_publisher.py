"""The event publisher against a real bus: in order, once, and whole over any number of kill -9."""

import json
from contextlib import suppress
from functools import partial

import pytest
from sqlalchemy import Engine

from backend.database import reading, writing
from backend.outbox import service as outbox
from backend.publisher import publish
from backend.shapes import Treatment
from tests import bus
from tests.waiting import until


@pytest.fixture
def product(nats_url: str) -> str:
    bus.wipe(nats_url)
    return nats_url


def treatment() -> Treatment:
    return Treatment(
        plant_id="demo", heat_uid="5b6f0c1e-2a54-4d0e-9a39-0d3f0c5f7a11", station="tapping", treatment_no=1
    )


def put(engine: Engine, numbers: range) -> list[str]:
    with writing(engine) as session:
        return [
            outbox.put(session, "product.decision.made.v1", treatment(), {"number": number})
            for number in numbers
        ]


def waiting(engine: Engine) -> int:
    with reading(engine) as session:
        return outbox.count_waiting(session)


class TestPublish:
    def test_events_go_out_in_the_order_in_which_they_were_written(
        self, product: str, engine: Engine
    ) -> None:
        put(engine, range(300))

        with bus.running(partial(publish, engine, product)):
            all_marked = until(lambda: waiting(engine) == 0)

        numbers = [json.loads(body)["data"]["number"] for _, _, body in bus.stored(product, "PRODUCT")]
        assert all_marked
        assert numbers == list(range(300))

    def test_nothing_is_published_that_was_rolled_back(self, product: str, engine: Engine) -> None:
        with suppress(ZeroDivisionError), writing(engine) as session:
            outbox.put(session, "product.decision.made.v1", treatment(), {})
            raise ZeroDivisionError
        kept = put(engine, range(1))

        with bus.running(partial(publish, engine, product)):
            assert until(lambda: waiting(engine) == 0)

        assert [headers["Nats-Msg-Id"] for _, headers, _ in bus.stored(product, "PRODUCT")] == kept

    def test_a_publisher_that_is_killed_again_and_again_loses_and_doubles_nothing(
        self, product: str, database_url: str, engine: Engine
    ) -> None:
        ids: list[str] = []
        for round_no in range(4):
            ids += put(engine, range(round_no * 200, (round_no + 1) * 200))
            before = waiting(engine)
            with bus.process("publish", database_url, product) as process:
                assert until(lambda before=before: waiting(engine) < before)  # type: ignore[misc]
                process.kill()
        with bus.running(partial(publish, engine, product)):
            assert until(lambda: waiting(engine) == 0)

        published = [headers["Nats-Msg-Id"] for _, headers, _ in bus.stored(product, "PRODUCT")]
        assert published == ids

    def test_an_event_acknowledged_but_not_taken_out_goes_out_with_the_same_id(
        self, product: str, engine: Engine
    ) -> None:
        """What a kill between acknowledgement and taking out leaves behind."""
        ids = put(engine, range(2))
        with reading(engine) as session:
            first = outbox.waiting(session, 1)[0]
        message = json.loads(first.body)
        bus.tell(product, message)

        with bus.running(partial(publish, engine, product)):
            assert until(lambda: waiting(engine) == 0)

        assert [headers["Nats-Msg-Id"] for _, headers, _ in bus.stored(product, "PRODUCT")] == ids
