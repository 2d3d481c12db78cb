"""A large lake is read in parts, and says the same as in one piece."""

from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from monitoring.alarms.store import AlarmStore
from monitoring.dashboard import reading, reports
from monitoring.dashboard.reading import LakeReader
from monitoring.dashboard.reports import Reports
from monitoring.lake.tables import append, open_table
from tests.conftest import wait_for
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
    in_parts = LakeReader(lake, None).now()

    assert whole.summary.heats == 30
    assert in_parts.summary == whole.summary
    assert in_parts.last_stored == whole.last_stored == ("PRODUCT then", 33)
    assert_frame_equal(in_parts.assessed.treatments, whole.assessed.treatments)
    assert_frame_equal(in_parts.assessed.errors, whole.assessed.errors)
    assert_frame_equal(in_parts.newest_errors, whole.newest_errors, check_row_order=False)


def test_a_large_lake_is_shown_as_it_was_and_read_again_meanwhile(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WAITED_FOR_ROWS", 2)
    heats = open_table(lake, "heats")
    append(heats, [as_row(completed(n), n) for n in (1, 2, 3)], stream="PRODUCT then", after=0, upto=3)
    reader = LakeReader(lake, None)
    first = reader.now().summary.heats
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
    kept = Reports(reader, AlarmStore(lake.parent / "alarms.sqlite"), 50.0)
    first = kept.of(None)
    append(heats, [as_row(completed(4), 4)], stream="PRODUCT then", after=3, upto=4)

    assert ">3<" in first.html
    assert kept.of(None) is first
    wait_for(lambda: ">4<" in kept.of(None).html, "the report with the new heat")
