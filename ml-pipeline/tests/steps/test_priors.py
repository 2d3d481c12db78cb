from pathlib import Path

import polars as pl
import pytest

from ml_pipeline import pipeline, rebuild, work
from ml_pipeline.errors import ExtractError
from ml_pipeline.pipeline import Folders
from ml_pipeline.steps.priors import as_priors, read_priors
from ml_pipeline.steps.station import plant_priors
from ml_pipeline.steps.train import train
from ml_pipeline.work import read_json, split_stations, write_json


def test_a_plants_own_prior_stands_for_the_literatures_and_a_wrong_one_gives_way(released: Folders) -> None:
    heats = pl.read_parquet(released.work / "prepared" / "tapping.parquet").head(390)
    wrong = as_priors({"tapping": {"Mn": {"recovery": 0.6}}})

    usual, own = plant_priors("tapping", heats), plant_priors("tapping", heats, wrong["tapping"])
    right, learnt = (
        train({"tapping": heats}, seed=1, own_priors=priors).report["tapping"]["Mn"]
        for priors in (None, wrong)
    )

    assert own["Mn"].recovery == 0.6
    assert own["Mn"].recovery_sd == usual["Mn"].recovery_sd
    assert own["Si"].recovery == usual["Si"].recovery
    assert learnt["recovery_prior"] == 0.6
    assert learnt["recovery"] == pytest.approx(right["recovery"], rel=0.05)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tapping: {Mn: {recovery: 2}}", "$[...][...].recovery"),
        ("tapping: {Mn: {yield: .9}}", "yield"),
        ("tapping: {Mn: {recovery_sd: 0}}", "recovery_sd"),
        ("tapping: [Mn", "line 1"),
    ],
)
def test_a_file_that_cannot_be_is_refused_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "priors.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ExtractError) as refused:
        read_priors(path)

    assert said in str(refused.value)
    assert "recovery_sd, noise_sd_pct" in str(refused.value)


def test_priors_and_share_of_test_heats_are_recorded_and_rebuilt_with(
    released: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = read_json(released.work / "recipe.json", "register")
    priors = {"tapping": {"Mn": {"recovery": 0.9, "recovery_sd": 0.1}}}
    write_json(tmp_path / "recipe.json", {**recipe, "priors": priors, "test_fraction": 0.3})
    told = []
    monkeypatch.setattr(rebuild.pipeline, "run", lambda folders, *_: told.append(folders.options))
    (tmp_path / "work").mkdir()

    rebuild.rebuild(released._replace(work=tmp_path / "work"), tmp_path / "recipe.json", lambda _: None)

    assert recipe["priors"] == {}
    assert recipe["test_fraction"] == 0.2
    assert told[0].priors == as_priors(priors)
    assert told[0].test_fraction == 0.3


def test_the_share_of_test_heats_is_as_asked_for(released: Folders, tmp_path: Path) -> None:
    (tmp_path / "prepared").symlink_to(released.work / "prepared")
    (tmp_path / "valid.parquet").symlink_to(released.work / "valid.parquet")
    options = released.options._replace(test_fraction=0.3)
    pipeline.STEPS["split"](released._replace(work=tmp_path, options=options), lambda _: None)

    past, test = split_stations(tmp_path)

    share = test["tapping"].height / (test["tapping"].height + past["tapping"].height)
    assert share == pytest.approx(0.3, abs=0.002)
    assert read_json(tmp_path / "split.json", "split")["test_fraction"] == 0.3


def test_no_share_keeps_back_more_heats_than_are_enough(
    released: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prepared").symlink_to(released.work / "prepared")
    monkeypatch.setattr(work, "TEST_MOST_HEATS", 40)

    _, of_many = split_stations(tmp_path, 0.3)
    _, of_few = split_stations(tmp_path, 0.03)

    assert of_many["tapping"].height == 40
    assert 20 < of_few["tapping"].height < 40
