from pathlib import Path

import msgspec
import polars as pl
import pytest
from conftest import Plant, make_folders
from model_service.bundle import load_bundle
from model_service.parameters import check_parameters

from ml_pipeline import pipeline
from ml_pipeline.errors import TooFewHeatsError
from ml_pipeline.pipeline import Folders
from ml_pipeline.steps import parallel
from ml_pipeline.steps.station import plant_priors
from ml_pipeline.steps.train import train
from ml_pipeline.work import read_json


def prepared(released: Folders) -> pl.DataFrame:
    return pl.read_parquet(released.work / "prepared" / "tapping.parquet")


def test_same_heats_in_another_folder_give_the_same_bytes(
    plant: Plant, released: Folders, tmp_path: Path
) -> None:
    other = make_folders(tmp_path, plant.lake)
    for step in ("extract", "validate", "prepare", "split", "train"):
        pipeline.STEPS[step](other, lambda _: None)

    files = sorted(
        p.relative_to(released.work / "bundle") for p in (released.work / "bundle").rglob("*") if p.is_file()
    )
    assert any(file.parts[0] == "trees" for file in files)
    for file in files:
        assert (other.work / "bundle" / file).read_bytes() == (
            released.work / "bundle" / file
        ).read_bytes(), file


def test_elements_trained_in_several_processes_are_the_same(
    released: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "WORTH_HEATS", 100)
    heats = {"tapping": prepared(released).head(200)}

    one, two = train(heats, seed=1), train(heats, seed=1, processes=2)

    assert msgspec.json.encode(one) == msgspec.json.encode(two)
    assert {"C", "Mn", "Si"} <= set(two.report["tapping"])


def test_hidden_recoveries_are_found(released: Folders) -> None:
    """The truth of the made-up plant is .93, and .91 and .85 less what oxygen takes (little on average)."""
    report = read_json(released.work / "training.json", "train")["report"]["tapping"]

    assert report["C"]["net_recovery"] == pytest.approx(0.93, abs=0.04)
    assert report["Mn"]["net_recovery"] == pytest.approx(0.90, abs=0.03)
    assert report["Si"]["net_recovery"] == pytest.approx(0.84, abs=0.05)


def test_a_missing_first_analysis_is_taken_for_the_grades_own(released: Folders) -> None:
    heats = prepared(released).with_row_index("i")
    missing = (pl.col("i") % 30 == 0).alias("missing")
    gone = heats.with_columns(pl.when(missing).then(None).otherwise("first.C").alias("first.C")).drop("i")

    assumed = plant_priors("tapping", gone)["C"].assumed_first

    assert assumed is not None
    assert set(assumed.by_grade) == set(heats["grade"])
    for grade, usual in assumed.by_grade.items():
        seen = gone.filter(pl.col("grade") == grade)["first.C"]
        assert usual.pct == pytest.approx(seen.median())
        assert usual.sd_pct == pytest.approx(seen.std(), rel=0.2)


def test_trees_stay_only_where_state_matters(released: Folders) -> None:
    elements = load_bundle(released.work / "bundle").parameters.stations["tapping"].elements

    assert elements["Mn"].recovery_tree or elements["Mn"].offset_tree
    assert elements["C"].recovery_tree is None


def test_few_heats_keep_the_prior_of_unmeasured_elements(released: Folders) -> None:
    heats = prepared(released).head(60).with_columns(pl.lit(None, dtype=pl.Float64).alias("final.Si"))

    trained = train({"tapping": heats}, seed=1)

    assert trained.report["tapping"]["Si"]["model"] == "prior"
    assert trained.report["tapping"]["Mn"]["model"] == "fitted"
    assert trained.trees == {}


def test_results_that_only_the_newest_heats_have_are_learnt_from(released: Folders) -> None:
    heats = prepared(released).head(400).with_row_index("i")
    late = heats.with_columns(pl.when(pl.col("i") >= 330).then("final.Si").alias("final.Si")).drop("i")

    trained = train({"tapping": late}, seed=1)

    assert trained.report["tapping"]["Si"]["heats"] == 70
    assert trained.report["tapping"]["Si"]["net_recovery"] == pytest.approx(0.84, abs=0.07)


def test_element_without_results_keeps_a_prior_that_fits_the_stations_features(released: Folders) -> None:
    no_oxygen = (
        prepared(released)
        .head(60)
        .with_columns(pl.lit(None, dtype=pl.Float64).alias(c) for c in ("final.Si", "f.oxygen_ppm"))
    )

    trained = train({"tapping": no_oxygen.drop("f.oxygen_ppm")}, seed=1)

    assert check_parameters(trained.parameters) == []


def test_one_grade_without_windows_trains(released: Folders) -> None:
    heats = prepared(released).filter(pl.col("grade") == "A")
    bare = heats.drop([c for c in heats.columns if c.startswith(("low.", "high."))])

    assert set(train({"tapping": bare}, seed=1).parameters.stations) == {"tapping"}


def test_unknown_station_trains_from_the_ladle_furnace_priors(released: Folders) -> None:
    trained = train({"vacuum": prepared(released).head(200)}, seed=1)

    assert trained.parameters.stations["vacuum"].heats == 200


def test_too_few_heats_are_an_error_that_counts_them(released: Folders) -> None:
    with pytest.raises(TooFewHeatsError, match=r"tapping 12\); at least 30"):
        train({"tapping": prepared(released).head(12)}, seed=1)
