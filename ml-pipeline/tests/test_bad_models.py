"""Deliberately bad models, each trained or made for real: none passes, with or without a champion."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

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
from ml_pipeline.pipeline import SEED, Folders
from ml_pipeline.steps import corrections, limits
from ml_pipeline.steps.train import train
from ml_pipeline.work import instant, read_model, split_stations

Heats = dict[str, pl.DataFrame]
Change = Callable[[pl.DataFrame], pl.DataFrame]


def quiet(_: str) -> None:
    pass


class Judged(NamedTuple):
    """Work of the released model in a folder of its own, and the two who judge it: one whose champion is that
    model, and one who has none."""

    work: Path
    judges: dict[str, Folders]


@pytest.fixture
def judged(released: Folders, tmp_path: Path) -> Judged:
    alone = make_folders(tmp_path, released.lake)
    shutil.copytree(released.work, alone.work, dirs_exist_ok=True)
    champion = alone._replace(tracking_uri=released.tracking_uri)
    return Judged(alone.work, {"the champion": champion, "the cold start": alone})


def put(folders: Judged, parameters: Parameters, trees: Mapping[str, str], past: Heats) -> None:
    """Let this be the candidate."""
    requests = golden_requests(folders.work / "bundle")
    shutil.rmtree(folders.work / "bundle")
    bundle_hash = write_bundle(folders.work / "bundle", parameters, trees, requests)  # type: ignore[arg-type]
    training = json.loads((folders.work / "training.json").read_text())
    training["bundle_hash"] = bundle_hash
    training["trained_until"] = {n: instant(heats["completed_at"].max()) for n, heats in past.items()}
    (folders.work / "training.json").write_text(json.dumps(training))


def train_on(folders: Judged, change: Change) -> None:
    """Train on changed heats; the gate sees the heats as they are."""
    past, _ = split_stations(folders.work)
    changed = {name: change(heats) for name, heats in past.items()}
    trained = train(changed, SEED)
    put(folders, trained.parameters, trained.trees, changed)


def reasons(folders: Judged, expected: str) -> list[str]:
    """Everybody's reasons to refuse; fails where somebody has not the expected one among them."""
    said = []
    for name, judge in folders.judges.items():
        pipeline.STEPS["gate"](judge, quiet)
        found = json.loads((folders.work / "gate.json").read_text())
        assert not found["passed"], name
        assert any(expected in reason for reason in found["reasons"]), (name, found["reasons"])
        said += found["reasons"]
    return said


def changed(parameters: Parameters, **fields: float) -> Parameters:
    """The same model with other numbers for manganese."""
    station = parameters.stations["tapping"]
    elements = {**station.elements, "Mn": msgspec.structs.replace(station.elements["Mn"], **fields)}
    return Parameters(stations={"tapping": msgspec.structs.replace(station, elements=elements)})


def columns(heats: pl.DataFrame, prefix: str) -> list[str]:
    return [name for name in heats.columns if name.startswith(prefix)]


def test_good_model_passes(judged: Judged) -> None:
    for judge in judged.judges.values():
        pipeline.STEPS["gate"](judge, quiet)
        assert json.loads((judged.work / "gate.json").read_text())["reasons"] == []


def test_shuffled_labels_are_refused(judged: Judged) -> None:
    def shuffle(heats: pl.DataFrame) -> pl.DataFrame:
        order = np.random.default_rng(0).permutation(heats.height)
        return heats.with_columns(heats[order][name].alias(name) for name in columns(heats, "final."))

    train_on(judged, shuffle)

    assert reasons(judged, "standardised error")


def test_leaked_target_is_refused(judged: Judged) -> None:
    def leak(heats: pl.DataFrame) -> pl.DataFrame:
        return heats.with_columns(pl.col("final.Mn").alias("f.late_sample"))

    for path in (judged.work / "prepared", judged.work / "holdout"):
        heats = pl.read_parquet(path / "tapping.parquet")
        leak(heats).write_parquet(path / "tapping.parquet")
    train_on(judged, lambda heats: heats)

    assert reasons(judged, "late_sample alone")


def test_result_that_leaked_through_several_features_is_refused(judged: Judged) -> None:
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

    assert reasons(judged, "the features explain")


def test_result_that_leaked_into_the_first_analysis_is_refused(judged: Judged) -> None:
    """As if the sample before had been booked backwards from the one after: no feature knows anything, and
    the errors are too small to be true."""

    def leak(heats: pl.DataFrame) -> pl.DataFrame:
        mass = pl.col("steel_mass_t")
        gained = 0.9 * pl.col("added_kg.Mn") / (10 * mass)
        diluted = pl.col("metallic_kg") * pl.col("reference.Mn") / (1000 * mass)
        return heats.with_columns((pl.col("final.Mn") - gained + diluted).alias("first.Mn"))

    for path in (judged.work / "prepared", judged.work / "holdout"):
        heats = pl.read_parquet(path / "tapping.parquet")
        leak(heats).write_parquet(path / "tapping.parquet")
    train_on(judged, lambda heats: heats)

    assert reasons(judged, "are smaller than any spectrometer's")


def test_intervals_that_say_nothing_are_refused(judged: Judged) -> None:
    parameters, trees = read_model(judged.work / "bundle")
    past, _ = split_stations(judged.work)
    factor = 4 * parameters.stations["tapping"].elements["Mn"].interval_factor
    put(judged, changed(parameters, interval_factor=factor), trees, past)

    assert reasons(judged, "tapping Mn: the 90 % interval is ")


def test_wrong_sign_is_refused(judged: Judged) -> None:
    """As if every increment had been recorded with the sign turned."""

    def turn(heats: pl.DataFrame) -> pl.DataFrame:
        return heats.with_columns(
            (2 * pl.col(f"first.{e}") - pl.col(f"final.{e}")).alias(f"final.{e}") for e in ("C", "Mn", "Si")
        )

    train_on(judged, turn)

    assert reasons(judged, "standardised error")


def test_negative_recovery_is_refused(judged: Judged) -> None:
    parameters, trees = read_model(judged.work / "bundle")
    past, _ = split_stations(judged.work)
    put(judged, changed(parameters, recovery=-0.9), trees, past)

    with pytest.raises(BundleRefused, match=r"Mn\.recovery: -0.9 is not allowed"):
        pipeline.STEPS["gate"](judged.judges["the cold start"], quiet)


def test_effect_of_a_kilogram_that_is_half_the_true_one_is_refused(judged: Judged) -> None:
    """A level that fits on average does not excuse a slope that does not."""
    parameters, trees = read_model(judged.work / "bundle")
    past, _ = split_stations(judged.work)
    manganese = parameters.stations["tapping"].elements["Mn"]
    added = past["tapping"]["added_kg.Mn"] / (10 * past["tapping"]["steel_mass_t"])
    level = manganese.offset_pct + 0.4 * manganese.recovery * float(added.mean())  # type: ignore[arg-type]
    wrong = changed(parameters, recovery=0.6 * manganese.recovery, offset_pct=level)
    put(judged, wrong, trees, past)

    assert reasons(judged, "tapping Mn: what was added does +")


def test_stale_data_is_refused(judged: Judged) -> None:
    train_on(judged, lambda heats: heats.sort("completed_at").head(round(0.4 * heats.height)))

    assert reasons(judged, "of the lake's heats are newer than those learnt from")


def test_ten_times_the_size_is_refused(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    _, before = read_model(judged.work / "bundle")
    monkeypatch.setattr(corrections, "ROUNDS", 10 * corrections.ROUNDS)
    slower = corrections.PARAMETERS["learning_rate"] / 10
    monkeypatch.setitem(corrections.PARAMETERS, "learning_rate", slower)
    train_on(judged, lambda heats: heats)
    _, after = read_model(judged.work / "bundle")
    assert sum(map(len, after.values())) > 7 * sum(map(len, before.values()))

    assert reasons(judged, "bytes")


def test_answer_that_comes_too_late_is_refused(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that this model does takes long: the limit is lowered instead."""
    monkeypatch.setattr(limits, "LATENCY_MS", 0.001)

    assert reasons(judged, "one recommendation takes")
