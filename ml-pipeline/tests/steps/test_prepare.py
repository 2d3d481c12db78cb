"""Widening by columns must give what the Model Service computes heat by heat."""

import math
from typing import Any

import polars as pl
import pytest
from conftest import Plant
from model_service.features import feature_values, measured_pct

from ml_pipeline import lake
from ml_pipeline.requests import additions, assayed, heat
from ml_pipeline.steps.extract import in_force
from ml_pipeline.steps.prepare import feature_columns, prepare


@pytest.fixture(scope="module")
def rows(plant: Plant) -> pl.DataFrame:
    return in_force(lake.scan(plant.lake, "heats")[0].collect())


def test_features_are_those_of_the_model_service(rows: pl.DataFrame) -> None:
    prepared = prepare(rows)["tapping"]
    names = feature_columns(prepared)

    assert {"oxygen_ppm", "tap_minutes", "slag_feo_pct", "slag_basicity", "c_pct", "si_pct"} <= set(names)
    for i, row in enumerate(rows.head(60).iter_rows(named=True)):
        for name, expected in zip(names, feature_values(heat(row), names), strict=True):
            found = prepared[f"f.{name}"][i]
            assert (found is None) == math.isnan(expected), name
            assert found is None or found == pytest.approx(expected, rel=1e-12), name


def test_element_kilograms_follow_the_certificates(rows: pl.DataFrame) -> None:
    prepared = prepare(rows)["tapping"]

    for i, row in enumerate(rows.head(20).iter_rows(named=True)):
        assays = {a.additive: a.assay for a in assayed(row)}
        for element in ("C", "Mn", "Si"):
            kg = sum(a.added_kg * assays[a.additive].get(element, 0.0) / 100 for a in additions(row))
            assert prepared[f"added_kg.{element}"][i] == pytest.approx(kg)
        assert prepared["metallic_kg"][i] == pytest.approx(sum(a.added_kg for a in additions(row)))
        assert prepared["first.Si"][i] == measured_pct(heat(row).chemistry["Si"])


def test_decided_kilograms_count_where_nothing_was_weighed(rows: pl.DataFrame) -> None:
    records = rows.head(5).to_dicts()
    for row in records:
        row["decided"] = [{key: a[key] for key in ("additive", "lot", "added_kg")} for a in row["weighed"]]
        row["weighed"] = []

    only_decided = prepare(pl.DataFrame(records, schema=rows.schema))["tapping"]

    assert only_decided.equals(prepare(rows.head(5))["tapping"])


def test_latest_revision_is_in_force(rows: pl.DataFrame) -> None:
    two = pl.concat(
        [
            rows.head(3),
            rows.slice(1, 1).with_columns(revision=pl.lit(2, dtype=pl.Int32), steel_mass_t=pl.lit(70.5)),
        ]
    )

    kept = in_force(two)

    assert kept.height == 3
    assert kept.filter(pl.col("revision") == 2)["steel_mass_t"].to_list() == [70.5]


def test_final_sample_in_its_latest_revision_counts(rows: pl.DataFrame) -> None:
    records: list[dict[str, Any]] = rows.head(1).to_dicts()
    sample = records[0]["samples"][0]
    corrected = {**sample, "revision": 2, "chemistry": [{"element": "C", "pct": 0.199, "below_pct": None}]}
    records[0]["samples"] = [corrected, sample]

    prepared = prepare(pl.DataFrame(records, schema=rows.schema))["tapping"]

    assert prepared["final.C"][0] == 0.199


def test_station_without_any_addition_or_window_still_widens(rows: pl.DataFrame) -> None:
    bare = rows.head(2).with_columns(
        weighed=pl.col("weighed").list.head(0), windows=pl.col("windows").list.head(0)
    )

    prepared = prepare(bare)["tapping"]

    assert prepared["added_kg.Mn"].to_list() == [0.0, 0.0]
    assert prepared["reference.Mn"].to_list() == prepared["first.Mn"].to_list()
