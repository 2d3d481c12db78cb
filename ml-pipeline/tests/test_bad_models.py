"""Deliberately bad models, each trained or made for real: none passes, with or without a champion."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from conftest import make_folders
from model_service.bundle import write_bundle
from model_service.errors import BundleRefused
from model_service.parameters import Parameters

from ml_pipeline import pipeline
from ml_pipeline.judging import golden_requests
from ml_pipeline.pipeline import Folders
from ml_pipeline.steps import corrections
from ml_pipeline.steps.train import train
from ml_pipeline.work import instant, read_model, split_stations

Heats = dict[str, pl.DataFrame]
Change = Callable[[pl.DataFrame], pl.DataFrame]


def quiet(_: str) -> None:
    pass


@pytest.fixture(params=["against the champion", "against the cold start"])
def judged(request: pytest.FixtureRequest, released: Folders, tmp_path: Path) -> Folders:
    """Work of the released model in a folder of its own; the champion is that model, or there is none."""
    folders = make_folders(tmp_path, released.lake)
    if request.param == "against the champion":
        folders = folders._replace(tracking_uri=released.tracking_uri)
    shutil.copytree(released.work, folders.work, dirs_exist_ok=True)
    return folders


def put(folders: Folders, parameters: Parameters, trees: Mapping[str, str], past: Heats) -> None:
    """Let this be the candidate."""
    requests = golden_requests(folders.work / "bundle")
    shutil.rmtree(folders.work / "bundle")
    bundle_hash = write_bundle(folders.work / "bundle", parameters, trees, requests)  # type: ignore[arg-type]
    training = json.loads((folders.work / "training.json").read_text())
    training["bundle_hash"] = bundle_hash
    training["trained_until"] = {n: instant(heats["completed_at"].max()) for n, heats in past.items()}
    (folders.work / "training.json").write_text(json.dumps(training))


def train_on(folders: Folders, change: Change) -> None:
    """Train on changed heats; the gate sees the heats as they are."""
    past, _ = split_stations(folders.work)
    changed = {name: change(heats) for name, heats in past.items()}
    trained = train(changed, folders.options.seed)
    put(folders, trained.parameters, trained.trees, changed)


def reasons(folders: Folders) -> list[str]:
    pipeline.STEPS["gate"](folders, quiet)
    found = json.loads((folders.work / "gate.json").read_text())
    assert found["passed"] is not bool(found["reasons"])
    return list(found["reasons"])


def changed(parameters: Parameters, **fields: float) -> Parameters:
    """The same model with other numbers for manganese."""
    station = parameters.stations["tapping"]
    elements = {**station.elements, "Mn": msgspec.structs.replace(station.elements["Mn"], **fields)}
    return Parameters(stations={"tapping": msgspec.structs.replace(station, elements=elements)})


def columns(heats: pl.DataFrame, prefix: str) -> list[str]:
    return [name for name in heats.columns if name.startswith(prefix)]


def test_good_model_passes(judged: Folders) -> None:
    assert reasons(judged) == []


def test_shuffled_labels_are_refused(judged: Folders) -> None:
    def shuffle(heats: pl.DataFrame) -> pl.DataFrame:
        order = np.random.default_rng(0).permutation(heats.height)
        return heats.with_columns(heats[order][name].alias(name) for name in columns(heats, "final."))

    train_on(judged, shuffle)

    assert any("standardised error" in reason for reason in reasons(judged))


def test_leaked_target_is_refused(judged: Folders) -> None:
    def leak(heats: pl.DataFrame) -> pl.DataFrame:
        return heats.with_columns(pl.col("final.Mn").alias("f.late_sample"))

    for path in (judged.work / "prepared", judged.work / "holdout"):
        heats = pl.read_parquet(path / "tapping.parquet")
        leak(heats).write_parquet(path / "tapping.parquet")
    train_on(judged, lambda heats: heats)

    found = reasons(judged)

    assert any("late_sample alone" in reason for reason in found), found


def test_result_that_leaked_through_several_features_is_refused(judged: Folders) -> None:
    """Neither knows the result alone; their sum does."""

    def leak(heats: pl.DataFrame) -> pl.DataFrame:
        part = 0.05 * np.random.default_rng(1).normal(size=heats.height)
        return heats.with_columns(
            (pl.col("final.Mn") / 2 + pl.Series(part)).alias("f.one"),
            (pl.col("final.Mn") / 2 - pl.Series(part)).alias("f.other"),
        )

    for path in (judged.work / "prepared", judged.work / "holdout"):
        heats = pl.read_parquet(path / "tapping.parquet")
        leak(heats).write_parquet(path / "tapping.parquet")
    train_on(judged, lambda heats: heats)

    found = reasons(judged)

    assert any("the features explain" in reason for reason in found), found


def test_wrong_sign_is_refused(judged: Folders) -> None:
    """As if every increment had been recorded with the sign turned."""

    def turn(heats: pl.DataFrame) -> pl.DataFrame:
        return heats.with_columns(
            (2 * pl.col(f"first.{e}") - pl.col(f"final.{e}")).alias(f"final.{e}") for e in ("C", "Mn", "Si")
        )

    train_on(judged, turn)

    assert any("standardised error" in reason for reason in reasons(judged))


def test_negative_recovery_is_refused(judged: Folders) -> None:
    parameters, trees = read_model(judged.work / "bundle")
    past, _ = split_stations(judged.work)
    put(judged, changed(parameters, recovery=-0.9), trees, past)

    with pytest.raises(BundleRefused, match=r"Mn\.recovery: -0.9 is not allowed"):
        pipeline.STEPS["gate"](judged, quiet)


def test_effect_of_a_kilogram_that_is_half_the_true_one_is_refused(judged: Folders) -> None:
    """A level that fits on average does not excuse a slope that does not."""
    parameters, trees = read_model(judged.work / "bundle")
    past, _ = split_stations(judged.work)
    manganese = parameters.stations["tapping"].elements["Mn"]
    added = past["tapping"]["added_kg.Mn"] / (10 * past["tapping"]["steel_mass_t"])
    level = manganese.offset_pct + 0.4 * manganese.recovery * float(added.mean())  # type: ignore[arg-type]
    wrong = changed(parameters, recovery=0.6 * manganese.recovery, offset_pct=level)
    put(judged, wrong, trees, past)

    found = reasons(judged)

    assert any("tapping Mn: what was added does +" in reason for reason in found), found


def test_stale_data_is_refused(judged: Folders) -> None:
    train_on(judged, lambda heats: heats.sort("completed_at").head(round(0.4 * heats.height)))

    found = reasons(judged)

    assert any("of the lake's heats are newer than those learnt from" in reason for reason in found), found


def test_ten_times_the_size_is_refused(judged: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    _, before = read_model(judged.work / "bundle")
    monkeypatch.setattr(corrections, "ROUNDS", 10 * corrections.ROUNDS)
    slower = corrections.PARAMETERS["learning_rate"] / 10
    monkeypatch.setitem(corrections.PARAMETERS, "learning_rate", slower)
    train_on(judged, lambda heats: heats)
    _, after = read_model(judged.work / "bundle")
    assert sum(map(len, after.values())) > 7 * sum(map(len, before.values()))

    found = reasons(judged)

    assert any("bytes" in reason for reason in found), found
