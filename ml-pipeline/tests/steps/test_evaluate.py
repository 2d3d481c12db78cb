"""An evaluation says what a kilogram does before it says how small the error is."""

import json

import msgspec
import pytest
from conftest import Plant
from model_service.parameters import Parameters

from ml_pipeline import lake
from ml_pipeline.pipeline import Folders
from ml_pipeline.requests import additions, assayed
from ml_pipeline.steps import report
from ml_pipeline.steps.effects import Effect, brought
from ml_pipeline.steps.evaluate import Evaluation, coverage_interval, evaluate
from ml_pipeline.steps.extract import in_force
from ml_pipeline.work import read_model, read_parquet, split_stations


def evaluated(released: Folders, recovery_factor: float = 1.0) -> Evaluation:
    parameters, trees = read_model(released.work / "bundle")
    station = parameters.stations["tapping"]
    elements = {
        name: msgspec.structs.replace(model, recovery=model.recovery * recovery_factor)
        for name, model in station.elements.items()
    }
    stations = {"tapping": msgspec.structs.replace(station, elements=elements)}
    past, test = split_stations(released.work)
    rows = read_parquet(released.work / "valid.parquet", "validate")
    return evaluate(Parameters(stations=stations), trees, past, test, rows)


def pairs(found: Evaluation) -> dict[tuple[str, str], Effect]:
    return {(effect.additive, effect.element): effect for effect in found.effects["tapping"]}


def test_the_effect_of_every_main_source_is_right(released: Folders) -> None:
    found = pairs(evaluated(released))

    assert {("硅锰", "Mn"), ("硅锰", "Si"), ("FeSi", "Si"), ("coke", "C")} <= set(found)
    assert found["硅锰", "Mn"].share > 0.95
    assert found["硅锰", "Mn"].is_right
    assert abs(found["coke", "C"].slope) < 0.2


def test_a_recovery_a_third_too_high_is_seen_in_the_slope(released: Folders) -> None:
    found = pairs(evaluated(released, recovery_factor=4 / 3))

    for pair in (("硅锰", "Mn"), ("coke", "C")):
        assert not found[pair].is_right
        assert found[pair].high < -0.1


def test_what_an_additive_brought_is_what_the_service_would_reckon(plant: Plant) -> None:
    rows = in_force(lake.scan(plant.lake, "heats")[0].collect()).head(40)
    found = brought(rows)

    expected: dict[tuple[str, str, str], float] = {}
    for row in rows.to_dicts():
        assays = {offer.additive: offer.assay for offer in reversed(assayed(row))}
        for addition in additions(row):
            for element, pct in assays[addition.additive].items():
                key = row["heat_uid"], addition.additive, element
                if pct > 0:
                    expected[key] = expected.get(key, 0.0) + addition.added_kg * pct / 100
    assert len(expected) > 100
    assert {r[:3]: r[3] for r in found.select("heat_uid", "additive", "element", "kg").rows()} == {
        key: pytest.approx(kg) for key, kg in expected.items()
    }


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert coverage_interval(90, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    for heats in range(1, 60):
        assert coverage_interval(0, heats)[0] <= 0 < coverage_interval(0, heats)[1]
        assert coverage_interval(heats, heats)[1] >= 1


def test_the_report_has_the_judgement_in_its_order(released: Folders) -> None:
    found = evaluated(released)
    page = report.markdown(found)
    places = [page.index(f"### {part}") for part in ("1 Marginal effect", "2 Error", "3 Intervals")]

    assert places == sorted(places)
    assert "| 硅锰 on Mn |" in page
    assert page.index("## 4 Policy") > places[-1]
    assert "make bench ONLY=policy" in page
    document = json.loads((released.work / "report" / "report.json").read_text())
    manganese = document["stations"]["tapping"]["grades"]["Mn"]
    assert set(manganese) == {"A", "Б"}
    assert document["policy"] == []


def test_a_policys_verdict_is_shown_with_its_bars(released: Folders) -> None:
    row = {"what": "tapping: money saved", "bar": ">= 5", "measured": 4.2, "unit": "%", "met": False}
    page = report.markdown(evaluated(released), [{**row, "spread": [3.9, 4.5]}])

    assert "| tapping: money saved | >= 5 | 4.2 | 3.9 to 4.5 | % | **no** |" in page
