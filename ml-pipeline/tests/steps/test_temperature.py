"""Temperature after additions, and plants that have other things to learn from than the usual."""

import polars as pl
import pytest
from conftest import Plant, heated
from model_service.parameters import check_parameters

from ml_pipeline import lake
from ml_pipeline.pipeline import Folders
from ml_pipeline.steps.extract import in_force
from ml_pipeline.steps.prepare import prepare
from ml_pipeline.steps.station import plant_priors, station_shell
from ml_pipeline.steps.temperature import fit_temperature
from ml_pipeline.steps.train import train


def prepared(released: Folders) -> pl.DataFrame:
    return pl.read_parquet(released.work / "prepared" / "tapping.parquet")


def test_what_a_station_does_to_the_temperature_is_found(released: Folders) -> None:
    heats = heated(prepared(released))
    found = fit_temperature(station_shell("tapping", heats, plant_priors("tapping", heats)), heats)

    assert found is not None
    assert found.before_slope == pytest.approx(-0.5, abs=0.05)
    assert found.chill_factor == pytest.approx(0.9, abs=0.05)
    assert found.offset_c - 0.5 * (found.usual_c - 1640) == pytest.approx(-60, abs=3)
    assert found.sd_c == pytest.approx(3, abs=0.6)


def test_without_chills_additions_are_part_of_what_is_usual(released: Folders) -> None:
    heats = heated(prepared(released), with_chill=False)
    found = fit_temperature(station_shell("tapping", heats, plant_priors("tapping", heats)), heats)

    assert found is not None
    assert found.chill_factor == 0.0
    assert found.offset_c == pytest.approx(-60 - 36, abs=3)


def test_temperatures_without_any_chemistry_train(released: Folders) -> None:
    heats = heated(prepared(released))
    bare = heats.drop(
        [c for c in heats.columns if c.split(".")[0] in ("first", "first_sd", "final", "added_kg")]
    )

    trained = train({"tapping": bare}, seed=1)

    station = trained.parameters.stations["tapping"]
    assert station.elements == {}
    assert station.temperature is not None
    assert check_parameters(trained.parameters) == []


def test_an_element_that_the_literature_leaves_out_trains(released: Folders) -> None:
    heats = prepared(released)
    added = 0.2 * heats["added_kg.Si"]
    tungsten = heats.with_columns(
        pl.lit(0.01).alias("first.W"),
        added.alias("added_kg.W"),
        (0.01 + 0.93 * added / (10 * heats["steel_mass_t"])).alias("final.W"),
        pl.lit(None, dtype=pl.Float64).alias("reference.W"),
    )

    trained = train({"tapping": tungsten}, seed=1)

    assert trained.parameters.stations["tapping"].elements["W"].recovery == pytest.approx(0.93, abs=0.03)


def test_the_last_final_temperature_counts_and_impossible_ones_do_not(plant: Plant) -> None:
    rows = in_force(lake.scan(plant.lake, "heats")[0].collect()).head(3)
    samples = [
        [{**sample, "temperature_c": reading} for sample in row["samples"]]
        for row, reading in zip(rows.iter_rows(named=True), (1590.0, 0.0, None), strict=True)
    ]
    changed = rows.with_columns(pl.Series("samples", samples, dtype=rows.schema["samples"]))

    assert prepare(changed)["tapping"]["temperature_after_c"].to_list() == [1590.0, None, None]
