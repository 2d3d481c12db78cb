"""SQLite's journal is brought into the database beside the writers, so that no commit has to."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from backend.clock import now
from backend.database import writing
from backend.journal import WORTH_IT_BYTES, checkpoint
from backend.outbox.tables import OutboxEvent

ON_SQLITE = pytest.mark.parametrize("kind", ["sqlite"])


def write_much(engine: Engine, name: str, bytes_long: int) -> None:
    with writing(engine) as session:
        session.add(OutboxEvent(event_id=name, type="t", body="x" * bytes_long, created_at=now()))


@ON_SQLITE
def test_a_journal_that_has_grown_begins_anew(engine: Engine) -> None:
    journal = Path(f"{engine.url.database}-wal")
    write_much(engine, "long", 2 * WORTH_IT_BYTES)
    grown = journal.stat().st_size

    assert checkpoint(engine)

    write_much(engine, "short", 1)
    assert journal.stat().st_size == grown  # written over from its beginning
    assert Path(str(engine.url.database)).stat().st_size > 2 * WORTH_IT_BYTES


@ON_SQLITE
def test_a_short_journal_is_left_alone(engine: Engine) -> None:
    write_much(engine, "short", 1)

    assert not checkpoint(engine)


@pytest.mark.parametrize("kind", ["postgresql"])
def test_postgresql_does_it_by_itself(engine: Engine) -> None:
    assert not checkpoint(engine)
