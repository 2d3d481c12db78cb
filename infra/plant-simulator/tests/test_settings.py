"""Figures and data files: documented, and refused with the reason where they cannot be."""

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from plant_simulator import catalogue, cli, parameters
from plant_simulator.errors import BadSettingError

DOCS = Path(__file__).parents[1] / "docs" / "settings.md"


def test_the_table_of_settings_is_the_settings() -> None:
    assert parameters.markdown() in DOCS.read_text(encoding="utf-8"), (
        "make it again: plant-simulator settings"
    )


def test_a_file_replaces_single_figures(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text("trust: 0.9\nspectrometer_sd_pct: {Mn: 0.01}\n")
    figures = parameters.load(file)

    assert figures.trust == 0.9
    assert figures.spectrometer_sd_pct["Mn"] == 0.01
    assert figures.spectrometer_sd_pct["C"] == parameters.Parameters().spectrometer_sd_pct["C"]


@pytest.mark.parametrize(
    "text", ["trsut: 0.9", "trust: high", "trust: -1", "tap_pct: {Xx: 1}", "mass_typo_rate: 2", "- 1"]
)
def test_a_wrong_figure_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(text)

    with pytest.raises(BadSettingError, match=r"other\.yaml.*allowed:"):
        parameters.load(file)


@pytest.mark.parametrize(
    "text", ["campaign_min_heats: 20", "slag_reacts_sd: 0.9", "lot_life_min_heats: 0", "trust: ["]
)
def test_figures_that_contradict_each_other_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(text)

    with pytest.raises(BadSettingError, match="allowed:"):
        parameters.load(file)


def test_a_wrong_file_is_one_line_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^plant-simulator: .*none\.yaml; allowed: a YAML file$"):
        cli.main(
            ["master-data", "--parameters", str(tmp_path / "none.yaml"), "--output", str(tmp_path / "m.json")]
        )


def edited(folder: Path, name: str, edit: Callable[[Any], None]) -> Path:
    for file in catalogue.FILES:
        document = yaml.safe_load(
            (resources.files("plant_simulator") / "data" / file).read_text(encoding="utf-8")
        )
        if file == name:
            edit(document)
        (folder / file).write_text(yaml.safe_dump(document), encoding="utf-8")
    return folder


def _overfull(d: Any) -> None:
    d["additives"][0]["assay_pct"]["Mn"] = 90


def _upside_down(d: Any) -> None:
    d["grades"][0]["windows"]["C"]["min"] = 0.9


def _strange_element(d: Any) -> None:
    d["additives"][0]["assay_pct"]["Xx"] = 0.1


def _unknown_additive(d: Any) -> None:
    d["entries"][0]["entry"]["steps"][0]["additives"] = ["Unobtainium"]


def _unknown_grade(d: Any) -> None:
    d["entries"][1]["grade"] = "S999"


def _nothing_made(d: Any) -> None:
    for grade in d["grades"]:
        grade["campaign_share"] = 0


def _no_price(d: Any) -> None:
    del d["additives"][0]["price_per_t"]


@pytest.mark.parametrize(
    ("name", "edit", "what"),
    [
        ("additives.yaml", _overfull, "assay and iron add to"),
        ("grades.yaml", _upside_down, "min <= aim <= max"),
        ("additives.yaml", _strange_element, "Xx"),
        ("handbook.yaml", _unknown_additive, "Unobtainium"),
        ("handbook.yaml", _unknown_grade, "S999"),
        ("grades.yaml", _nothing_made, "one above 0"),
        ("additives.yaml", _no_price, "price_per_t"),
    ],
)
def test_a_wrong_data_file_is_refused_with_its_place(
    tmp_path: Path, name: str, edit: Callable[[Any], None], what: str
) -> None:
    with pytest.raises(BadSettingError, match=what):
        catalogue.load(edited(tmp_path, name, edit))


def test_a_missing_data_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettingError, match=r"additives\.yaml"):
        catalogue.load(tmp_path)
