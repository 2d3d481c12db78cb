import polars as pl
import pytest

from ml_pipeline.steps.split import split_by_time


def heats(n: int) -> pl.DataFrame:
    times = pl.datetime_range(
        pl.datetime(2025, 1, 1), pl.datetime(2025, 1, n), "1d", time_zone="UTC", eager=True
    )
    return pl.DataFrame(
        {"completed_at": times, "heat_uid": [str(i) for i in range(n)], "treatment_no": 1}
    ).reverse()


def test_newest_heats_are_held_out() -> None:
    train, test = split_by_time(heats(10), test_fraction=0.2)

    assert (train.height, test.height) == (8, 2)
    assert train["heat_uid"].to_list() == [str(i) for i in range(8)]
    assert test["heat_uid"].to_list() == ["8", "9"]


def test_fraction_outside_0_to_1_is_an_error() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        split_by_time(heats(10), test_fraction=1.0)
