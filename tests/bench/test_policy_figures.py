"""Figures of the policy bench, on heats made up so that the answer is known."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest

from bench import policy_figures as figures
from bench.closed_loops import Done
from bench.resampling import interval


def heats(of_policy: dict[str, list[float]], lines: int = 4) -> pl.DataFrame:
    """The same money per tonne in every line; a heat that costs 100 or more is a miss."""
    rows = [
        {"policy": policy, "run": 0, "line": line, "heat_no": n, "grade": "A", "total_per_t": value}
        for policy, values in of_policy.items()
        for line in range(lines)
        for n, value in enumerate(values)
    ]
    is_in = pl.col("total_per_t") < 100
    return pl.DataFrame(rows).with_columns(in_window=is_in, in_window_by_sample=is_in)


def test_a_saving_is_of_the_sums_on_the_heats_that_both_played() -> None:
    table = heats({figures.OURS: [8.0, 10.0, 500.0], figures.STEELMAKER: [10.0, 10.0]})

    assert figures.saving(table, figures.STEELMAKER) == pytest.approx([10.0, 10.0, 10.0])


def test_an_interval_covers_the_difference_between_lines() -> None:
    low, value, high = interval([(float(n), 10.0) for n in range(8, 13)], lambda s: s[0] / s[1])

    assert value == pytest.approx(1.0)
    assert 0.8 <= low < 0.95 < 1.05 < high <= 1.2


def test_the_parts_of_a_saving_add_up_to_it() -> None:
    table = heats(
        {
            figures.HANDBOOK: [20.0],
            figures.THEIR_AIM_OUR_KNOWLEDGE: [18.0],
            figures.OUR_AIM_OUR_KNOWLEDGE: [15.0],
            figures.OURS: [14.0],
            figures.OUR_AIM_THEIR_KNOWLEDGE: [40.0],
        }
    )
    shares = {name: values[1] for name, values in figures.parts(table).items()}

    assert shares["by knowing recoveries better"] == pytest.approx(10.0)
    assert shares["by aiming nearer the edge, knowing that"] == pytest.approx(15.0)
    assert shares["by the choice of alloys"] == pytest.approx(5.0)
    assert shares["by aiming nearer the edge alone"] == pytest.approx(-100.0)
    assert figures.saving(table, figures.HANDBOOK)[1] == pytest.approx(10.0 + 15.0 + 5.0)


def test_both_stations_are_the_sum_of_the_same_heats() -> None:
    table = figures.both([heats({figures.OURS: [1.0, 200.0]}), heats({figures.OURS: [2.0, 3.0]})])

    assert sorted(table.filter(pl.col("line") == 0)["total_per_t"].to_list()) == [3.0, 203.0]
    assert figures.rate(table, figures.OURS)[1] == pytest.approx(50.0)


def test_a_bad_lot_is_judged_from_the_twelfth_affected_heat_on(tmp_path: Path) -> None:
    """Before the lot one of ten with SiMn misses; of the affected ones only the first eleven do."""
    start, lines = 11, 3
    bad, usual = [], []
    for line in range(lines):
        for n in range(1, 61):
            number = n - start + 1
            missed = (n == 5) if n < start else number <= figures.FIRST_AFFECTED - 1
            row = {"policy": figures.OURS, "line": line, "heat_no": n, "tipped_kg_SiMn": 100.0}
            bad.append({**row, "in_window": not missed})
            usual.append({**row, "in_window": n != 30})
    found = figures.lot(_done(tmp_path / "bad", bad), _done(tmp_path / "usual", usual), start)

    assert found["before"] == pytest.approx([10.0, 10.0, 10.0])
    assert found["same heats"] == pytest.approx([5.0, 5.0, 5.0])
    assert found["replays"] == [3.0]


def test_an_error_is_beside_fixed_and_rolling_recovery(tmp_path: Path) -> None:
    """The true recovery is .9, the handbook's .8; the model is off by .001, rolling learns the .9."""
    rows = [
        {
            "line": 1,
            "heat_no": n,
            "first_pct_Mn": 0.1,
            "added_pct_Mn": 1.0,
            "nominal_recovery_Mn": 0.8,
            "measured_pct_Mn": 1.0,
            "predicted_pct_Mn": 1.001,
        }
        for n in range(400)
    ]
    of = figures.errors(_done(tmp_path, rows, "answers"), ["Mn"])["Mn"]

    assert of["model"] == pytest.approx(0.001)
    assert of["fixed"] == pytest.approx(0.1)
    assert of["rolling"] == pytest.approx(0.1 * figures.LEAST_ROLLING / 400)


def _done(folder: Path, rows: Sequence[Mapping[str, object]], name: str = "heats") -> Done:
    folder.mkdir(exist_ok=True)
    pl.DataFrame(rows).write_parquet(folder / f"{name}.parquet")
    return Done(folder, {})
