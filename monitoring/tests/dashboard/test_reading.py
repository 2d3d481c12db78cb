"""A large lake is read in parts, and says the same as in one piece."""

from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from monitoring.dashboard import reading
from monitoring.dashboard.reading import LakeReader
from monitoring.lake.tables import append, open_table
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
