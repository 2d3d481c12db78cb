"""Telling known events, with a memory that is smaller than the lake."""

from pathlib import Path
from typing import Any

from monitoring.collection.duplicates import StoredEvents
from monitoring.lake.tables import append, open_table
from tests.generator import completed
from tests.lake_rows import as_row


def rows(*numbers: int, revision: int = 1) -> list[dict[str, Any]]:
    return [as_row(completed(number, revision=revision), number) for number in numbers]


def test_events_older_than_the_memory_are_looked_up_in_the_lake(lake: Path) -> None:
    heats = open_table(lake, "heats")
    append(heats, rows(*range(1, 11)), stream="S", after=0, upto=10)
    stored = StoredEvents(heats, remembered_rows=3)

    assert stored.new_among(rows(2, 9, 11)) == rows(11)


def test_what_is_stored_meanwhile_is_remembered_and_then_looked_up(lake: Path) -> None:
    heats = open_table(lake, "heats")
    stored = StoredEvents(heats, remembered_rows=2)
    for number in range(1, 6):
        new = stored.new_among(rows(number))
        append(heats, new, stream="S", after=number - 1, upto=number)
        stored.remember(new)

    assert stored.new_among(rows(1, 2, 3, 4, 5)) == []


def test_a_late_event_that_is_older_than_the_memory_is_new_once(lake: Path) -> None:
    heats = open_table(lake, "heats")
    append(heats, rows(5, 6, 7), stream="S", after=0, upto=3)
    stored = StoredEvents(heats, remembered_rows=2)
    late = rows(1)

    assert stored.new_among([*late, *late]) == late
    append(heats, late, stream="S", after=3, upto=4)
    stored.remember(late)
    assert stored.new_among(late) == []


def test_another_revision_of_a_known_treatment_is_new(lake: Path) -> None:
    heats = open_table(lake, "heats")
    append(heats, rows(1), stream="S", after=0, upto=1)

    assert StoredEvents(heats).new_among(rows(1, revision=2)) == rows(1, revision=2)
