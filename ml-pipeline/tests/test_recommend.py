import re
from pathlib import Path

import pytest
from conftest import Plant

from ml_pipeline.errors import ExtractError
from ml_pipeline.pipeline import Folders
from ml_pipeline.recommend import comparison, table


def test_newest_heats_are_compared_with_what_was_added(plant: Plant, released: Folders) -> None:
    compared = comparison(plant.lake, released.models / "champion", heats=5)

    assert [one.heat_no for one in compared] == [f"T{i:05d}" for i in range(895, 900)]
    for one in compared:
        assert one.recommendation.status == "recommended", one.recommendation.abstention_reasons
        assert one.recommendation.cost is not None
        assert 0.7 * one.added_cost < one.recommendation.cost.amount < 1.1 * one.added_cost
        for element in ("C", "Mn", "Si"):
            predicted = one.prediction.elements[element]
            assert abs(predicted.predicted_pct - one.measured[element]) < 5 * predicted.sd_pct


def test_table_tells_kilograms_cost_windows_and_totals(plant: Plant, released: Folders) -> None:
    text = table(comparison(plant.lake, released.models / "champion", heats=3))

    assert text.count("recommended  ") >= 3
    assert re.search(r"T00899  [AБ]  [0-9.]+ t", text)
    assert re.search(r"total of 3 heats: recommended [0-9,]+ EUR = [0-9.]+ per t; added", text)
    assert "Mn" in text


def test_unknown_station_and_no_heats_are_named(plant: Plant, released: Folders, tmp_path: Path) -> None:
    bundle = released.models / "champion"

    with pytest.raises(ExtractError, match="no heats of it; it has tapping"):
        comparison(plant.lake, bundle, 3, station="ladle_furnace")
    with pytest.raises(ExtractError, match="at least 1"):
        comparison(plant.lake, bundle, 0)
    with pytest.raises(ExtractError, match="no Delta table"):
        comparison(tmp_path, bundle, 3)
