"""The main job end to end: heats in, advice, decisions, results, all of X, Y, Y', X' in the lake."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

import lake
from running_demo import ROOT, RunningDemo, get
from system.conftest import HEATS, Played

CLOSE = 1e-9


def test_the_demo_plays_its_heats_and_proves_them(played: Played) -> None:
    assert "each exactly once" in played.result.stdout
    assert f"completed {HEATS}" in played.result.stdout


def test_nothing_that_was_started_is_left(played: Played) -> None:
    assert played.processes_left == {}


def test_the_lake_holds_each_heat_of_the_plant_once(played: Played) -> None:
    report = json.loads((played.folder / "plant-report.json").read_text())
    told = {tuple(treatment[name] for name in lake.KEY) for treatment in report["treatments"]}

    rows = played.rows

    assert len(told) == report["completed"] == HEATS
    assert {tuple(row) for row in rows.select(lake.KEY).iter_rows()} == told
    assert rows.select([*lake.KEY, "revision"]).is_duplicated().any() is False
    assert rows["event_id"].is_duplicated().any() is False
    assert (
        rows.group_by(lake.KEY).agg((pl.col("revision").max() - pl.len()).alias("gap"))["gap"].to_list()
        == [0] * HEATS
    )


def test_every_row_has_all_four_parts(played: Played) -> None:
    rows = lake.latest(played.rows)

    parts = {
        "X: chemistry": rows["chemistry"]
        .list.len()
        .median(),  # a plant does not always sample before tapping
        "X: additives on offer": rows["additives"].list.len().min(),
        "X: windows": rows["windows"].list.len().min(),
        "Y: recommended": rows["recommended"].list.len().min(),
        "Y: predicted": rows["recommended_predicted"].list.len().min(),
        "Y': decided": rows["decided"].list.len().min(),
        "Y': weighed": rows["weighed"].list.len().min(),
        "Y': predicted for weighed": rows["weighed_predicted"].list.len().min(),
        "X': samples": rows["samples"].list.len().min(),
    }
    assert rows.height == HEATS
    assert [part for part, least in parts.items() if not least] == []
    assert (
        rows.select("recommendation_id", "model_version", "bundle_hash", "decision_id", "shown_at")
        .null_count()
        .sum_horizontal()[0]
        == 0
    )


def test_the_first_model_comes_from_the_history_and_made_the_recommendations(played: Played) -> None:
    champion = played.folder / "models" / "champion"
    release = json.loads((champion / "release.json").read_text())

    rows = lake.latest(played.rows)

    report = json.loads((played.folder / "plant-report.json").read_text())
    sources = rows["recommendation_source"].to_list()
    assert rows["bundle_hash"].drop_nulls().unique().to_list() == [release["bundle_hash"]]
    assert sources.count("handbook") == report["handbook_advice"]
    assert sources.count("model") > HEATS / 2


def test_a_lake_that_is_made_of_the_backends_export_holds_the_same_as_one_that_was_collected(
    played: Played, tmp_path: Path
) -> None:
    settings = {
        "BACKEND_DATABASE_URL": f"sqlite:///{played.folder / 'backend.sqlite'}",
        "MONITORING_LAKE": str(tmp_path / "lake"),
    }
    for command in (
        [ROOT / "backend/.venv/bin/backend", "export-heats", tmp_path / "heats.jsonl"],
        [ROOT / "monitoring/.venv/bin/monitoring", "backfill", tmp_path / "heats.jsonl"],
    ):
        subprocess.run(command, env=os.environ | settings, check=True)
    # The message that a row came in is another; what it told is the same.
    of_the_message = ["event_id", "stream", "stream_seq"]

    collected = lake.latest(played.rows).drop(of_the_message).sort(lake.KEY)

    backfilled = lake.latest(lake.rows(tmp_path)).drop(of_the_message).sort(lake.KEY)
    assert_frame_equal(backfilled, collected)
    assert collected.height == HEATS


def test_the_summary_agrees_with_the_lake(demo: RunningDemo) -> None:
    summary = get(f"{demo.urls['monitoring']}/api/v1/summary")
    rows = lake.in_force(demo.folder)

    assert summary is not None
    assert summary["heats"] == rows.height
    assert summary["rows"] == lake.everything(demo.folder).height
    shown_first = pl.col("shown_at") <= pl.col("decided_at")
    # Who decided on one recommendation while the next was being made has not deviated from the next.
    answers_it = pl.col("decided_recommendation_id") == pl.col("recommendation_id")
    assert summary["decided_n"] == rows.filter(shown_first & answers_it).height
    costs, masses = rows["weighed_cost"].to_list(), rows["steel_mass_t"].to_list()
    assert abs(summary["cost_per_t"]["amount"] - sum(costs) / sum(masses)) < CLOSE


def test_the_errors_in_the_summary_are_those_of_the_lake(demo: RunningDemo) -> None:
    summary = get(f"{demo.urls['monitoring']}/api/v1/summary")
    errors = prediction_errors(lake.in_force(demo.folder))

    assert summary is not None
    assert len(errors) >= 3
    assert {element: row["n"] for element, row in summary["elements"].items()} == {
        element: len(found) for element, found in errors.items()
    }
    for element, found in errors.items():
        row = summary["elements"][element]
        assert abs(row["mae_pct"] - sum(map(abs, found)) / len(found)) < CLOSE
        assert abs(row["bias_pct"] - sum(found) / len(found)) < CLOSE


def test_in_window_is_joint_over_all_windows_by_the_final_sample(demo: RunningDemo) -> None:
    summary = get(f"{demo.urls['monitoring']}/api/v1/summary")
    verdicts = [
        verdict
        for row in lake.in_force(demo.folder).iter_rows(named=True)
        if (verdict := in_window(row)) is not None
    ]

    assert summary is not None
    assert summary["in_window_n"] == len(verdicts)
    assert abs(summary["in_window_rate"] - sum(verdicts) / len(verdicts)) < CLOSE


def final_chemistry(row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return element to analysis of the last final sample, in its last revision."""
    final = [sample for sample in row["samples"] if sample["is_final"]]
    last = max(final, key=lambda sample: (sample["sampled_at"], sample["revision"]))
    return {analysis["element"]: analysis for analysis in last["chemistry"]}


def prediction_errors(rows: pl.DataFrame) -> dict[str, list[float]]:
    """Return element to (predicted for what was weighed) - (measured), wt %."""
    errors: dict[str, list[float]] = {}
    for row in rows.iter_rows(named=True):
        measured = final_chemistry(row)
        for predicted in row["weighed_predicted"]:
            found = measured.get(predicted["element"], {}).get("pct")
            if found is not None:
                errors.setdefault(predicted["element"], []).append(predicted["predicted_pct"] - found)
    return errors


def in_window(row: dict[str, Any]) -> bool | None:
    """Return whether every measured element with a window lies in it; None where none was measured."""
    measured = final_chemistry(row)
    met = []
    for window in row["windows"]:
        found = measured.get(window["element"], {}).get("pct")
        if found is not None and (window["min_pct"] is not None or window["max_pct"] is not None):
            low, high = (
                window["min_pct"] or 0.0,
                window["max_pct"] if window["max_pct"] is not None else 100.0,
            )
            met.append(low <= found <= high)
    return all(met) if met else None
