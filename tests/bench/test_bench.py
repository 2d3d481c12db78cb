"""The bench harness: what it judges, what it says of names it has no bench for, what it writes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import rows, run

BARS = [
    {"what": "speed", "unit": "heats/s", "at_least": 100},
    {"what": "memory", "unit": "MB", "at_most": 50},
]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = Path(run.__file__)
    return subprocess.run(
        [sys.executable, script, *arguments],
        cwd=script.parents[1],
        env={"PYTHONPATH": str(script.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_figure_is_judged_by_the_median_of_its_runs() -> None:
    speed, memory = rows.judge(
        BARS, {"speed": ([90.0, 110.0, 120.0], "heats/s"), "memory": ([40.0, 60.0], "MB")}
    )

    assert speed == {
        "what": "speed",
        "bar": ">= 100",
        "measured": 110.0,
        "unit": "heats/s",
        "met": True,
        "spread": [90.0, 120.0],
    }
    assert memory["met"] is True
    assert memory["measured"] == 50.0


def test_a_missed_bar_is_not_met() -> None:
    speed, memory = rows.judge(BARS, {"speed": ([99.0], "heats/s"), "memory": ([51.0], "MB")})

    assert speed["met"] is False
    assert memory["met"] is False


def test_a_bar_that_nothing_was_measured_for_is_not_met() -> None:
    speed, _ = rows.judge(BARS, {"memory": ([40.0], "MB")})

    assert speed["measured"] is None
    assert speed["met"] is False
    assert "nothing" in rows.table([speed])


def test_a_figure_without_a_bar_is_shown_and_not_judged() -> None:
    *_, extra = rows.judge(BARS, {"start": ([1.5], "s")})

    assert (extra["what"], extra["bar"], extra["met"]) == ("start", None, None)


def test_a_figure_in_another_unit_than_its_bar_is_refused() -> None:
    with pytest.raises(ValueError, match="the bar is in MB"):
        rows.judge(BARS, {"memory": ([0.05], "GB")})


def test_every_bar_has_one_limit_and_its_names_are_unique() -> None:
    for name, bars in rows.load_bars().items():
        assert all(sum(kind in bar for kind in ("at_least", "at_most")) == 1 for bar in bars), name
        assert len({bar["what"] for bar in bars}) == len(bars), name


def test_the_reserved_names_may_be_asked_for() -> None:
    reserved = {"simulator", "policy", "model-service", "pipeline", "backend", "collection", "detection"}

    assert reserved <= set(rows.load_bars())


def test_an_unknown_name_is_refused_with_what_is_allowed() -> None:
    done = bench("--only", "nonsense")

    assert done.returncode == 2
    assert "'nonsense'; allowed: simulator, policy" in done.stderr


def test_a_bench_that_is_not_there_yet_is_said_to_be_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "OUTPUT", tmp_path)

    assert run.run("not-there", [])
    assert "not-there: not there yet" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_bench_writes_its_rows_and_tells_of_a_missed_bar(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench import simulator

    monkeypatch.setattr(run, "OUTPUT", tmp_path)
    monkeypatch.setattr(simulator, "measure", lambda: {"speed": ([99.0], "heats/s")})

    assert not run.run("simulator", [BARS[0]])
    assert json.loads((tmp_path / "simulator.json").read_text())[0]["met"] is False
    assert "NO" in capsys.readouterr().out
