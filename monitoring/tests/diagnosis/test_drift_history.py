"""How the inputs have drifted over all heats."""

import polars as pl
import pytest

from monitoring.diagnosis.building import build
from monitoring.diagnosis.drift_history import drift_history
from monitoring.diagnosis.inputs import inputs_of
from monitoring.diagnosis.reference import Reference
from tests.diagnosis.plants import Trouble, rows

HEATS, BEGIN = 1600, 1200  # some six weeks


@pytest.fixture(scope="module")
def reference() -> Reference:
    return build(rows(1200, seed=99), "ab" * 32)


def test_a_month_with_other_scrap_is_told_from_the_one_before(reference: Reference) -> None:
    drifted = drift_history(rows(HEATS, Trouble(begin=BEGIN, copper_pct=0.1)), reference)
    copper = drifted.filter(station="tapping", reading="first_Cu_pct").sort("period")

    assert copper.height == 2
    assert abs(copper["effect"][0]) < 0.2
    assert copper["effect"][1] > 2
    assert drifted.filter(pl.col("effect").abs() > 0.3)["reading"].unique().to_list() == ["first_Cu_pct"]


def test_what_is_missing_is_counted(reference: Reference) -> None:
    drifted = drift_history(rows(400, Trouble(begin=200, oxygen_is_missing=True)), reference)
    oxygen = drifted.filter(station="tapping", reading="oxygen_ppm")

    assert oxygen["heats"].sum() == 200
    assert oxygen["missing"].item() == pytest.approx(0.5)


def test_it_is_the_mean_over_the_heats_as_they_are_read_one_by_one(reference: Reference) -> None:
    heats = rows(300, seed=8)
    told = drift_history(heats, reference).filter(station="tapping", reading="temperature_c")
    of = reference.stations["tapping"].inputs["temperature_c"]
    read = inputs_of(heats.filter(pl.col("station") == "tapping"))
    middle = read["grade"].replace_strict(of.by_grade, return_dtype=pl.Float64)
    off = ((read["temperature_c"] - middle) / of.sd).clip(-4, 4)

    assert told["effect"].item() == pytest.approx(off.mean())


def test_a_corrected_heat_counts_once_with_its_newest_revision(reference: Reference) -> None:
    heats = rows(100, seed=4).collect()
    wrong = heats.with_columns(pl.col("steel_mass_t") * 2)
    right = heats.with_columns(pl.lit(2).cast(heats.schema["revision"]).alias("revision"))
    once = drift_history(heats.lazy(), reference)
    both = drift_history(pl.concat([wrong, right]).lazy(), reference)

    assert both.drop("effect").equals(once.drop("effect"))
    assert both["effect"].to_list() == pytest.approx(once["effect"].to_list())
