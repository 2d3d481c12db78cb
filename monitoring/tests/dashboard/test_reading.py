"""A large lake is read in parts, and says the same as in one piece."""

from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from fastapi.testclient import TestClient
from polars.testing import assert_frame_equal

from monitoring.alarms.store import AlarmStore
from monitoring.dashboard import parts, reading, reports
from monitoring.dashboard.app import create_app
from monitoring.dashboard.reading import LakeReader, Reading
from monitoring.dashboard.reports import Reports
from monitoring.errors import LakeBeingReadError
from monitoring.lake.tables import append, open_table
from monitoring.settings import Settings
from tests.conftest import free_port, wait_for
from tests.generator import completed
from tests.lake_rows import as_row


def test_a_lake_that_is_read_in_parts_says_the_same(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corrected = [completed(3, revision=2), completed(11, revision=2)]
    heats = [completed(number) for number in range(1, 31)]
    later = completed(5, revision=2) | {"completed_at": "2026-03-02T09:00:00Z"}
    rows = [as_row(one, n) for n, one in enumerate([*heats, *corrected, later], start=1)]
    append(open_table(lake, "heats"), rows, stream="PRODUCT then", after=0, upto=len(rows))
    whole = LakeReader(lake, None).now()
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(parts, "PART_TREATMENTS", 5)
    monkeypatch.setattr(parts, "CELL_HEATS", 3)
    in_parts = LakeReader(lake, None).now()

    assert whole.summary.heats == 30
    assert in_parts.summary == whole.summary
    assert in_parts.last_stored == whole.last_stored == ("PRODUCT then", 33)
    assert len(in_parts.parts.closed) == 5
    assert_frame_equal(in_parts.treatments, whole.treatments)
    newest = whole.parts.newest.errors.filter(
        pl.col("completed_at") >= in_parts.parts.newest.treatments["completed_at"][0]
    )
    assert_frame_equal(in_parts.parts.newest.errors, newest)


def test_a_correction_of_what_was_long_ago_and_new_heats_say_the_same_as_a_lake_read_anew(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_TREATMENTS", 5)
    heats = open_table(lake, "heats")
    rows = [as_row(completed(number), number) for number in range(1, 18)]
    append(heats, rows, stream="PRODUCT then", after=0, upto=17)
    reader = LakeReader(lake, None)
    before = reader.now()
    for sequence, one in enumerate([completed(18), completed(2, revision=2), completed(19)], start=18):
        append(heats, [as_row(one, sequence)], stream="PRODUCT then", after=sequence - 1, upto=sequence)
        found, anew = reader.now(), LakeReader(lake, None).now()

        assert found.summary == anew.summary
        assert_frame_equal(found.treatments, anew.treatments)
        assert_frame_equal(found.blocks, anew.blocks)
    assert len(before.parts.closed) == 2
    assert found.summary.heats == 19
    assert found.treatments["revision"].to_list() == [1, 2, *[1] * 17]


def test_new_heats_do_not_have_the_old_ones_judged_again(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_TREATMENTS", 5)
    heats = open_table(lake, "heats")
    rows = [as_row(completed(number), number) for number in range(1, 18)]
    append(heats, rows, stream="PRODUCT then", after=0, upto=17)
    reader = LakeReader(lake, None)
    before = reader.now()
    append(heats, [as_row(completed(18), 18)], stream="PRODUCT then", after=17, upto=18)

    assert all(now is then for now, then in zip(reader.now().parts.closed, before.parts.closed, strict=True))


def once_read(reader: LakeReader) -> Reading:
    """A large lake, when it has been read for the first time."""

    def is_read() -> bool:
        with suppress(LakeBeingReadError):
            return reader.now().summary.heats > 0
        return False

    wait_for(is_read, "the lake")
    return reader.now()


def test_nobody_waits_while_a_large_lake_is_read_for_the_first_time(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WAITED_FOR_ROWS", 2)
    rows = [as_row(completed(n), n) for n in (1, 2, 3)]
    append(open_table(lake, "heats"), rows, stream="PRODUCT then", after=0, upto=3)
    settings = Settings(lake=lake, nats_url=f"nats://127.0.0.1:{free_port()}")
    with TestClient(create_app(settings)) as client:
        first = client.get("/health/ready")
        wait_for(lambda: client.get("/health/ready").status_code == 200, "the lake")

        assert first.status_code == 503
        assert first.headers["refresh"] == "5"
        assert first.json()["title"] == "Lake is being read"
        assert client.get("/api/v1/summary").json()["heats"] == 3


def test_a_large_lake_is_shown_as_it_was_and_read_again_meanwhile(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WAITED_FOR_ROWS", 2)
    heats = open_table(lake, "heats")
    append(heats, [as_row(completed(n), n) for n in (1, 2, 3)], stream="PRODUCT then", after=0, upto=3)
    reader = LakeReader(lake, None)
    first = once_read(reader).summary.heats
    append(heats, [as_row(completed(4), 4)], stream="PRODUCT then", after=3, upto=4)

    assert first == 3
    assert reader.now().summary.heats == 3
    wait_for(lambda: reader.now().summary.heats == 4, "the new heat")


def test_reports_of_a_large_lake_are_kept_and_built_anew_meanwhile(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (reading, reports):
        monkeypatch.setattr(module, "WAITED_FOR_ROWS", 2)
    heats = open_table(lake, "heats")
    append(heats, [as_row(completed(n), n) for n in (1, 2, 3)], stream="PRODUCT then", after=0, upto=3)
    reader = LakeReader(lake, None)
    once_read(reader)
    kept = Reports(reader, AlarmStore(lake.parent / "alarms.sqlite"), 50.0)
    first = kept.of(None)
    append(heats, [as_row(completed(4), 4)], stream="PRODUCT then", after=3, upto=4)

    assert ">3<" in first.html
    assert kept.of(None) is first
    wait_for(lambda: ">4<" in kept.of(None).html, "the report with the new heat")
