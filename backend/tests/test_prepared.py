"""Prepared statements give what SQLAlchemy gives, on both databases."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from backend.database import reading, run, table_of, writing
from backend.heats.tables import HeatRecord
from backend.outbox.tables import OutboxEvent
from backend.prepared import Prepared, inserting, loaded
from tests.heats.test_rows import new_heat

OUTBOX, HEATS = table_of(OutboxEvent), table_of(HeatRecord)
AT = datetime(2026, 3, 2, 6, 0, 0, 250_000, UTC)

PUT = Prepared(insert(OUTBOX))
ALL = Prepared(select(OUTBOX).order_by(OUTBOX.c.id))
COUNT = Prepared(select(func.count()).select_from(OUTBOX))


def event(event_id: str, at: datetime = AT) -> dict[str, object]:
    return {"event_id": event_id, "type": "t", "body": "{}", "created_at": at}


def test_times_come_back_in_utc_however_they_were_given(engine: Engine) -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5)))
    with writing(engine) as session:
        run(session, PUT, event("a", elsewhere))

    with reading(engine) as session:
        row = run(session, ALL).one_or_none()
    assert row.created_at == AT
    assert row.created_at.tzinfo is UTC


def test_documents_and_numbers_come_back_as_they_were(engine: Engine) -> None:
    with writing(engine) as session:
        session.add(new_heat(told={"mass": 1.5, "none": None}, weighed_no=3))

    with reading(engine) as session:
        row = run(session, Prepared(select(HEATS))).one_or_none()
    assert (row.told, row.weighed_no, row.diversion) == ({"mass": 1.5, "none": None}, 3, None)
    assert loaded(HeatRecord, row).treatment() == new_heat().treatment()


def test_several_are_written_at_once(engine: Engine) -> None:
    with writing(engine) as session:
        run(session, PUT, [event("a"), event("b")])
        assert run(session, COUNT).scalar() == 2


def test_only_what_is_given_is_written(engine: Engine) -> None:
    change = Prepared(update(OUTBOX).where(OUTBOX.c.event_id == bindparam("which")))
    with writing(engine) as session:
        run(session, PUT, [event("a"), event("b")])
        run(session, change, {"which": "b", "type": "other"})

        assert [(row.event_id, row.type, row.body) for row in run(session, ALL)] == [
            ("a", "t", "{}"),
            ("b", "other", "{}"),
        ]


def test_what_is_there_already_is_no_error_where_the_statement_says_so(engine: Engine) -> None:
    ensure = inserting(OutboxEvent, lambda new: new.on_conflict_do_nothing().returning(OUTBOX.c.event_id))
    with writing(engine) as session:
        assert run(session, ensure, event("a")).scalar() == "a"
        assert run(session, ensure, event("a")).scalar() is None


def test_an_error_of_the_driver_is_raised_as_sqlalchemy_raises_it(engine: Engine) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)unique"), writing(engine) as session:
        run(session, PUT, [event("a"), event("a")])

    with reading(engine) as session:
        assert run(session, COUNT).scalar() == 0


def test_more_rows_than_the_one_that_was_looked_for_are_an_error(engine: Engine) -> None:
    with writing(engine) as session:
        run(session, PUT, [event("a"), event("b")])
        with pytest.raises(RuntimeError, match="2 rows"):
            run(session, ALL).one_or_none()


def test_a_column_that_would_be_filled_behind_our_back_must_be_given(engine: Engine) -> None:
    with writing(engine) as session, pytest.raises(RuntimeError, match="give every value"):
        run(session, Prepared(update(HEATS)), {"state": "completed"})
