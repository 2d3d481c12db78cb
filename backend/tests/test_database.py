"""The database as three processes need it: writers take turns, readers don't wait, references hold."""

import threading

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from backend.clock import now
from backend.database import open_engine, reading, writing
from backend.outbox.tables import OutboxEvent
from backend.tasks.tables import Task

ON_SQLITE = pytest.mark.parametrize("kind", ["sqlite"])


@ON_SQLITE
def test_writers_that_read_first_take_turns_and_none_fails(engine: Engine, database_url: str) -> None:
    """With a plain BEGIN the second of two such writers fails at once: database is locked."""
    failures: list[Exception] = []
    other = open_engine(database_url)

    def count_up(using: Engine) -> None:
        try:
            for _ in range(20):
                with writing(using) as session:
                    row = session.get(OutboxEvent, 1)
                    if row is None:
                        session.add(OutboxEvent(id=1, event_id="e", type="0", body="", created_at=now()))
                    else:
                        row.type = str(int(row.type) + 1)
        except Exception as failed:  # a thread must hand it over
            failures.append(failed)

    threads = [threading.Thread(target=count_up, args=(using,)) for using in (engine, other, engine, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.dispose()

    assert failures == []
    with reading(engine) as session:
        assert session.get_one(OutboxEvent, 1).type == "79"


def test_a_reader_does_not_wait_for_a_writer(engine: Engine) -> None:
    with writing(engine) as session:
        session.add(OutboxEvent(event_id="e", type="t", body="", created_at=now()))
        session.flush()
        with reading(engine) as other:
            assert other.get(OutboxEvent, 1) is None


def test_references_hold(engine: Engine) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), writing(engine) as session:
        session.add(Task(heat_id=999, kind="recommendation", since=now()))


@ON_SQLITE
def test_the_journal_is_written_ahead_and_to_the_disk(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
