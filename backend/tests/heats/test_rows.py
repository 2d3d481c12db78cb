"""Rows of heats: read once in a transaction, written when the work ends, on both databases."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from backend.database import reading, write, writing
from backend.heats import rows
from backend.heats.tables import HeatRecord

AT = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


def new_heat(**changes: Any) -> HeatRecord:
    return HeatRecord(
        **{
            "plant_id": "demo",
            "heat_uid": "5f0c7c5e-8a1a-4c37-9d39-0d4f5ad8e0a1",
            "station": "tapping",
            "treatment_no": 1,
            "heat_no": "H1",
            "grade": "B500B",
            "state": "registered",
            "revision": 1,
            "registered_at": AT,
            "available_at": AT,
            "told": {"grade": "B500B"},
            "heat": {"grade": "B500B"},
        }
        | changes
    )


def stored(engine: Engine) -> int:
    record = new_heat()
    write(engine, lambda session: rows.add(session, record))
    return record.row()


def test_a_new_heat_has_its_number_at_once(engine: Engine) -> None:
    with writing(engine) as session:
        record = new_heat()
        rows.add(session, record)
        assert rows.get(session, record.row()) is record


def test_whoever_looks_for_it_in_one_transaction_finds_the_same(engine: Engine) -> None:
    heat_id = stored(engine)

    with writing(engine) as session:
        record = rows.get(session, heat_id, lock=True)
        record.state = "recommended"
        found = rows.of_treatment(session, record.treatment())
        assert found is record
        assert found.state == "recommended"


def test_what_was_changed_is_there_afterwards_with_the_time_of_the_change(engine: Engine) -> None:
    heat_id = stored(engine)
    with reading(engine) as session:
        before = rows.get(session, heat_id).changed_at

    with writing(engine) as session:
        rows.get(session, heat_id).heat = {"grade": "B500C"}

    with reading(engine) as session:
        record = rows.get(session, heat_id)
        assert record.heat == {"grade": "B500C"}
        assert record.told == {"grade": "B500B"}
        assert record.changed_at > before


def test_what_was_only_looked_at_has_not_changed(engine: Engine) -> None:
    heat_id = stored(engine)
    with reading(engine) as session:
        before = rows.get(session, heat_id).changed_at

    write(engine, lambda session: rows.get(session, heat_id, lock=True).heat_no)

    with reading(engine) as session:
        assert rows.get(session, heat_id).changed_at == before


def test_work_that_fails_changes_nothing(engine: Engine) -> None:
    heat_id = stored(engine)

    def work(session: Session) -> None:
        rows.get(session, heat_id).state = "completed"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(engine, work)

    with reading(engine) as session:
        assert rows.get(session, heat_id).state == "registered"


def test_a_heat_that_nobody_stored_is_not_there(engine: Engine) -> None:
    with reading(engine) as session:
        assert rows.of_treatment(session, new_heat().treatment()) is None
        with pytest.raises(RuntimeError, match="no heat in row 7"):
            rows.get(session, 7)
