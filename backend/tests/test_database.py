"""The database as three processes need it: writers take turns, readers don't wait, references hold."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlmodel import Session, select

from backend.clock import now
from backend.database import open_engine, reading, write, writing
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


def put(event_id: str) -> Callable[[Session], str]:
    def work(session: Session) -> str:
        session.add(OutboxEvent(event_id=event_id, type="t", body="", created_at=now()))
        return event_id

    return work


def together(engine: Engine, works: Sequence[Callable[[Session], str]]) -> list[str]:
    """What comes of each while a writer keeps all of them waiting: a value, or the name of an error."""
    came: dict[int, str] = {}

    def bring(number: int, work: Callable[[Session], str]) -> None:
        try:
            came[number] = write(engine, work)
        except SQLAlchemyError as failed:
            came[number] = type(failed).__name__

    threads = [threading.Thread(target=bring, args=each) for each in enumerate(works)]
    with writing(engine):
        for thread in threads:
            thread.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    return [came[number] for number in range(len(works))]


def event_ids(engine: Engine) -> list[str]:
    with reading(engine) as session:
        return sorted(session.exec(select(OutboxEvent.event_id)))


@ON_SQLITE
def test_what_waits_in_one_process_is_committed_together(engine: Engine) -> None:
    ids = [f"e{number}" for number in range(8)]
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)

    came = together(engine, [put(event_id) for event_id in ids])

    assert came == ids
    assert event_ids(engine) == ids
    assert len(commits) == 1


def test_work_that_fails_takes_nobody_elses_with_it(engine: Engine) -> None:
    came = together(engine, [put("first"), put("a"), put("a"), put("last")])

    assert sorted(came) == ["IntegrityError", "a", "first", "last"]
    assert event_ids(engine) == ["a", "first", "last"]
