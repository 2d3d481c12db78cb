"""The vectorised model of training and evaluation, and the Model Service's, give the same numbers."""

import dataclasses

import msgspec
import numpy as np
import polars as pl
import pytest
from conftest import Plant
from model_service import prediction
from model_service.bundle import Bundle, load_bundle
from model_service.parameters import FirstReading, Parameters, SlowState

from ml_pipeline import lake
from ml_pipeline.pipeline import Folders
from ml_pipeline.requests import prediction_request
from ml_pipeline.steps import memory
from ml_pipeline.steps.extract import in_force
from ml_pipeline.steps.outcome import lagged, predict, predict_wanted, with_past
from ml_pipeline.steps.prepare import prepare

GRADES = ("A", "Б")


def with_slow_state(bundle: Bundle) -> Bundle:
    """The made-up plant has no memory, so training switched the slow state off."""
    station = bundle.parameters.stations["tapping"]
    elements = {
        name: msgspec.structs.replace(
            model,
            noise_share=0.02,
            first_readings={grade: FirstReading(pct=0.05, trust=0.6, most_pct=0.02) for grade in GRADES},
            slow_state=SlowState(
                residual_sd_pct=0.01,
                half_life_heats=6.0,
                prior_heats=None if name == "P" else 4.0,
                recovery_sd=0.03 if name == "Mn" else 0.0,
                recovery_half_life_heats=2.0,
                scatter_heats=15.0,
                usual_scatter=0.7,
            ),
        )
        for name, model in station.elements.items()
    }
    stations = {"tapping": msgspec.structs.replace(station, elements=elements)}
    return dataclasses.replace(bundle, parameters=Parameters(stations=stations))


def test_predictions_equal_the_model_services(plant: Plant, released: Folders) -> None:
    bundle = with_slow_state(load_bundle(released.work / "bundle"))
    station = bundle.parameters.stations["tapping"]
    rows = in_force(lake.scan(plant.lake, "heats")[0].collect())
    heats = prepare(rows)["tapping"]
    assert any(model.recovery_tree or model.offset_tree for model in station.elements.values())

    for at in (0, 2, 40, 700, 899):
        request = prediction_request(
            rows.row(at, named=True), rows.slice(max(0, at - 30), min(at, 30)).to_dicts()
        )
        answer = prediction.predict(bundle, request)
        assert answer.status == "predicted", answer.abstention_reasons
        for element, estimate in answer.elements.items():
            ours = predict(station, element, bundle.trees.texts, heats)
            assert ours.base_pct[at] == pytest.approx(estimate.base_pct, abs=1e-9), (at, element)
            assert ours.predicted_pct[at] == pytest.approx(estimate.predicted_pct, abs=1e-9), (at, element)
            factor, interval = station.elements[element].interval_factor, estimate.interval_pct
            half = (interval.high - interval.low) / 2
            assert factor * ours.sd_pct[at] == pytest.approx(half, abs=1e-9), (at, element)


def test_few_heats_with_their_past_are_predicted_as_among_all(released: Folders) -> None:
    bundle = with_slow_state(load_bundle(released.work / "bundle"))
    station, trees = bundle.parameters.stations["tapping"], bundle.trees.texts
    heats = pl.read_parquet(released.work / "prepared" / "tapping.parquet")
    wanted = np.zeros(heats.height, dtype=bool)
    wanted[[0, 5, 300, 301, 899]] = True

    near = with_past(heats, lagged(heats), wanted)

    assert near.heats.height < 110
    alone, among_all = predict_wanted(station, "Mn", trees, near), predict(station, "Mn", trees, heats)
    for few, all_of_them in zip(alone, among_all, strict=True):
        np.testing.assert_allclose(few, all_of_them[wanted], atol=1e-12)
    assert np.ptp(alone.predicted_pct - alone.base_pct) > 0


def test_lots_of_other_heats_are_refused(released: Folders) -> None:
    """The slow state of the newest heats was once tuned with the lots of the oldest."""
    station = load_bundle(released.work / "bundle").parameters.stations["tapping"]
    heats = pl.read_parquet(released.work / "prepared" / "tapping.parquet")
    lots, lags = memory.lots_of(station, "Mn", heats), lagged(heats)
    slow_state = SlowState(residual_sd_pct=0.01)

    with pytest.raises(ValueError, match="900 heats have lots, 10 are asked for"):
        memory.told(np.zeros(heats.height), np.ones(heats.height), lags[-10:], lots, slow_state)


def test_only_heats_that_were_complete_are_past() -> None:
    days = pl.datetime_range(
        pl.datetime(2025, 1, 1), pl.datetime(2025, 1, 5), "1d", time_zone="UTC", eager=True
    ).alias("registered_at")
    plants = pl.Series("plant_id", ["a", "a", "b", "a", "a"])
    heats = pl.DataFrame([plants, days]).with_columns(
        completed_at=pl.col("registered_at") + pl.duration(hours=30)
    )

    lags = lagged(heats)

    assert lags[3, :3].tolist() == [1, 0, -1]  # the heat before is another plant's
    assert lags[4, :3].tolist() == [1, 0, -1]  # the one before was not complete yet
    assert np.all(lags[0] == -1)
