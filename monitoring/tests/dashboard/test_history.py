"""The error over all heats: what is joined by a line, and which model it belongs to."""

from datetime import UTC, datetime, timedelta

import polars as pl

from monitoring.dashboard.history import History, blocks_of, history_plot, versions_of
from monitoring.measures.cells import cells_of

BEGIN = datetime(2026, 3, 2, 6, tzinfo=UTC)
BETWEEN = timedelta(minutes=40)


def errors(*heats: tuple[datetime, str | None], station: str = "tapping") -> pl.DataFrame:
    rows = [
        {
            "completed_at": at,
            "station": station,
            "element": "Mn",
            "error_pct": 0.01,
            "covered": True,
            "weighed_bundle_hash": bundle,
        }
        for at, bundle in heats
    ]
    return pl.DataFrame(rows, schema_overrides={"weighed_bundle_hash": pl.String})


def heats(count: int, bundle: str | None, begin: datetime = BEGIN) -> list[tuple[datetime, str | None]]:
    return [(begin + n * BETWEEN, bundle) for n in range(count)]


def plot(frame: pl.DataFrame, **versions: str) -> History:
    found = history_plot(blocks_of(cells_of(frame)), "Mn", versions)
    assert found is not None
    return found


def points(history: History) -> list[int]:
    """How many points each line of the first station joins."""
    return [len(segment.split()) for segment in history.lines[0].segments]


def test_heats_in_a_row_of_one_model_are_one_line() -> None:
    assert points(plot(errors(*heats(60, "a" * 64)))) == [12]


def test_no_line_goes_over_a_pause_of_the_plant() -> None:
    after = BEGIN + 30 * BETWEEN + timedelta(days=3)

    assert points(plot(errors(*heats(30, "a" * 64), *heats(30, "a" * 64, after)))) == [6, 6]


def test_a_gap_as_there_are_many_is_no_pause() -> None:
    after = BEGIN + 35 * BETWEEN

    assert points(plot(errors(*heats(30, "a" * 64), *heats(30, "a" * 64, after)))) == [12]


def test_no_line_goes_over_a_change_of_the_model() -> None:
    after = BEGIN + 30 * BETWEEN
    found = plot(errors(*heats(30, "a" * 64), *heats(30, "b" * 64, after)))

    assert points(found) == [6, 6]
    assert [band.label for band in found.bands] == ["model aaaaaaaa", "model bbbbbbbb"]
    assert [band.shaded for band in found.bands] == [False, True]


def test_stations_pause_each_by_itself_and_a_returning_model_has_a_band_again() -> None:
    later = BEGIN + 20 * BETWEEN
    last = BEGIN + 40 * BETWEEN
    tapping = errors(*heats(20, "a" * 64), *heats(20, "b" * 64, later), *heats(20, "a" * 64, last))
    ladle = errors(*heats(60, "a" * 64), station="ladle_furnace")
    found = plot(pl.concat([tapping, ladle]).sort("completed_at"))

    assert [line.station for line in found.lines] == ["tapping", "ladle_furnace"]
    assert points(found) == [4, 4, 4]
    assert len(found.lines[1].segments) == 1


def test_a_model_is_named_by_its_version_where_one_is_told() -> None:
    told = pl.DataFrame({"weighed_bundle_hash": ["a" * 64] * 2, "model_version": ["7", "6"], "heats": [2, 1]})
    versions = versions_of(told)
    found = plot(errors(*heats(10, "a" * 64), *heats(10, None, BEGIN + 10 * BETWEEN)), **versions)

    assert versions == {"a" * 64: "7"}
    assert [band.label for band in found.bands] == ["version 7", "no model"]
    assert "version 7" in found.lines[0].dots[0][2]


def test_however_many_heats_there_are_a_hundred_points_or_so_are_drawn() -> None:
    many = pl.DataFrame({"n": pl.int_range(200_000, eager=True)}).select(
        (pl.lit(BEGIN) + pl.col("n") * BETWEEN + (pl.col("n") // 700) * timedelta(days=2)).alias(
            "completed_at"
        ),
        station=pl.lit("tapping"),
        element=pl.lit("Mn"),
        error_pct=pl.lit(0.01),
        covered=pl.lit(True),
        weighed_bundle_hash=pl.lit("a" * 64),
    )

    assert blocks_of(cells_of(many)).height <= 120
