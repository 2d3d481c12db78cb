"""Ids of messages are forgotten when they are old, and what comes again after that changes nothing."""

import uuid
from argparse import Namespace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select
from sqlmodel import SQLModel

from backend.clock import now
from backend.database import reading, run, table_of, writing
from backend.events import PLANT_EVENTS
from backend.intake import pruning, service
from backend.intake.tables import ReceivedEvent
from backend.main import run as run_command
from backend.settings import Settings
from tests import plant
from tests.contracts import example

VALID = {
    "plant.heat.cancelled.v1": "skull",
    "plant.heat.diverted.v1": "to-c45e",
    "plant.lot.received.v1": "simn",
    "plant.stock.counted.v1": "fesi",
    "plant.price.changed.v1": "simn",
}


def heard(engine: Engine, ages_days: list[int]) -> None:
    rows = [
        {"event_id": f"e{age}", "type": "t", "received_at": now() - timedelta(days=age)} for age in ages_days
    ]
    with writing(engine) as session:
        run(session, insert(table_of(ReceivedEvent)), rows)


def known_ids(engine: Engine) -> list[str]:
    with reading(engine) as session:
        return sorted(run(session, select(table_of(ReceivedEvent).c.event_id)).scalars())


def test_what_is_old_is_forgotten_a_few_at_a_time(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "AT_ONCE", 2)
    heard(engine, [1, 29, 31, 40, 50, 60, 70])

    forgotten = pruning.forget(engine, now() - timedelta(days=30))

    assert forgotten == 5
    assert known_ids(engine) == ["e1", "e29"]


def test_the_command_forgets_what_is_older_than_the_setting(
    engine: Engine, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    heard(engine, [3, 8])
    settings = Settings(database_url=database_url, event_ids_kept_days=7)  # type: ignore[arg-type]

    run_command(Namespace(command="prune"), settings)

    assert capsys.readouterr().out == "1 ids of messages\n"
    assert known_ids(engine) == ["e3"]


def test_a_message_that_comes_again_after_its_id_was_forgotten_changes_nothing(engine: Engine) -> None:
    messages = _of_every_type()
    for message in messages:
        _tell(engine, message)
    before = _all_rows(engine)

    assert pruning.forget(engine, now() + timedelta(seconds=1)) == len(messages)
    for message in messages:
        _tell(engine, message)

    assert {message["type"] for message in messages} == set(PLANT_EVENTS)
    assert before["heats"]
    assert before["samples"]
    assert before["stock_movements"]
    assert _all_rows(engine) == before


def _of_every_type() -> list[dict[str, Any]]:
    heat, cancelled = plant.heat(), plant.heat()
    treatment = heat["treatment"]
    told = [
        ("plant.heat.registered.v1", heat),
        ("plant.heat.registered.v1", cancelled),
        ("plant.addition.weighed.v1", plant.weighed(treatment)),
        ("plant.sample.analysed.v1", plant.sample(treatment)),
    ]
    for event_type in set(PLANT_EVENTS) - {event_type for event_type, _ in told}:
        data = _example(event_type)
        if "treatment" in data:
            of = cancelled if event_type == "plant.heat.cancelled.v1" else heat
            data["treatment"] = of["treatment"]
        told.append((event_type, data))
    return [plant.cloudevent(event_type, data, str(uuid.uuid4())) for event_type, data in told]


def _example(event_type: str) -> dict[str, Any]:
    document: dict[str, Any] = example(f"{plant.EVENTS}/{event_type}/valid/{VALID[event_type]}.json")
    return document


def _tell(engine: Engine, message: dict[str, Any]) -> None:
    with writing(engine) as session:
        service.store(session, service.read("demo", message["type"], message))


def _all_rows(engine: Engine) -> dict[str, list[Any]]:
    with reading(engine) as session:
        return {
            table.name: [tuple(row) for row in run(session, select(table).order_by(*table.primary_key))]
            for table in SQLModel.metadata.sorted_tables
            if table.name != "received_events"
        }
