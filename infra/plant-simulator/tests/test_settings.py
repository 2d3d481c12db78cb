"""Figures and data files: documented, and refused with the reason where they cannot be."""

import hashlib
import re
from importlib import resources
from pathlib import Path

import pytest

from plant_simulator import catalogue, cli, options, parameters, plants
from plant_simulator.errors import BadSettingError

DOCS = Path(__file__).parents[1] / "docs" / "settings.md"


DEFAULT_PLANT = "28d7e2f9d73ef1755ae56501778043df5b1adf2b23abd6f48c7e97ef859b593e"
DEFAULT_DATA = "23e23456e585d0752e19746e3adb5974f5c4a6c1ff883066c2bea1214fe6e126"
"""Fingerprints of the default plant. Nobody tunes the plant to flatter a model: who changes a figure changes
this line, and says in the changelog why."""


def test_the_default_plant_is_the_one_that_everything_was_measured_on() -> None:
    data = hashlib.sha256()
    for name in catalogue.FILES:
        data.update((resources.files("plant_simulator") / "data" / name).read_bytes())

    assert parameters.fingerprint(parameters.Parameters()) == DEFAULT_PLANT
    assert data.hexdigest() == DEFAULT_DATA


def test_another_parameter_set_is_another_plausible_plant_and_always_the_same() -> None:
    sets = [plants.draw(number) for number in range(21)]

    assert parameters.fingerprint(sets[0]) == DEFAULT_PLANT
    assert len({parameters.fingerprint(p) for p in sets}) == 21
    assert parameters.fingerprint(plants.draw(5)) == parameters.fingerprint(sets[5])
    for name, (least, most) in plants.RANGES.items():
        assert all(least <= getattr(p, name) <= most for p in sets), name
    for name in plants.SPREAD:
        assert all(0 < v <= 6 for p in sets for v in getattr(p, name).values() if v), name


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
    "text",
    [
        "trsut: 0.9",
        "trust: high",
        "trust: -1",
        "steel_mass_t: -5",
        "tap_pct: {Xx: 1}",
        "mass_typo_rate: 2",
        "- 1",
    ],
)
def test_a_wrong_figure_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(text)

    with pytest.raises(BadSettingError, match=r"other\.yaml(, line \d+)?.*allowed:"):
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


def data_file(name: str) -> str:
    return (resources.files("plant_simulator") / "data" / name).read_text(encoding="utf-8")


def folder_with(folder: Path, name: str, old: str, new: str) -> tuple[Path, int]:
    """The demo plant's files with one edit; the folder and the line of the edit."""
    for file in catalogue.FILES:
        text = data_file(file)
        if file == name:
            assert old in text
            line = text[: text.index(old)].count("\n") + 1
            text = text.replace(old, new, 1)
        (folder / file).write_text(text, encoding="utf-8")
    return folder, line


@pytest.mark.parametrize(
    ("name", "old", "new", "what"),
    [
        ("additives.yaml", "assay_pct: {Mn: 66", "assay_pct: {Mn: 90", "assay and iron add to 122.45 %"),
        ("additives.yaml", "assay_pct: {Mn: 66", "assay_pct: {Xx: 66", "unknown element"),
        ("additives.yaml", "bin_kg: 90000", "bin_kg: -5", "-5 at .*bin_kg; allowed: above 0"),
        ("additives.yaml", "max_kg: 4000", "max_kg: -4000", "-4000 at .*max_kg; allowed: above 0"),
        ("additives.yaml", "price_per_t: 1030", "price_per_t: dear", "'dear'"),
        ("grades.yaml", "C: {min: 0.1, aim: 0.13,", "C: {min: 0.2, aim: 0.13,", "min <= aim <= max"),
        ("grades.yaml", "C: {min: 0.1, aim: 0.13, max: 0.16}", "C: {min: 0.1, max: 0.19}", "outside the st"),
        ("grades.yaml", "campaign_share: 0.1", "campaign_share: -1", "campaign_share"),
        ("grades.yaml", "deoxidation: Al", "deoxidation: Mg", "'Mg' at .*; allowed: SiMn or Al"),
        ("grades.yaml", "forbidden_additives: [FeTi70]", "forbidden_additives: [Gold]", "Gold"),
        ("handbook.yaml", "additives: [FeMo]", "additives: [Unobtainium]", "Unobtainium"),
        ("handbook.yaml", "  B500B: {Si", "  B599: {Si", "unknown grade B599 at .*; allowed: S235JR, "),
        ("handbook.yaml", "station: ladle_furnace", "station: rolling_mill", "'rolling_mill'"),
    ],
)
def test_a_wrong_data_file_is_refused_with_file_line_and_reason(
    tmp_path: Path, name: str, old: str, new: str, what: str
) -> None:
    folder, line = folder_with(tmp_path, name, old, new)

    with pytest.raises(BadSettingError, match=rf"(?s).*{name}, line {line}\b") as refused:
        catalogue.load(folder)
    assert re.search(what, str(refused.value))


def test_a_missing_value_is_refused_with_the_line_of_its_row(tmp_path: Path) -> None:
    folder, line = folder_with(tmp_path, "additives.yaml", "    price_per_t: 1030\n", "")

    with pytest.raises(
        BadSettingError, match=r"missing at additives\.yaml, line \d+, price_per_t"
    ) as refused:
        catalogue.load(folder)
    found = re.search(r"line (\d+)", str(refused.value))
    assert found is not None
    assert int(found[1]) < line


def test_what_is_no_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    folder, line = folder_with(tmp_path, "grades.yaml", "campaign_share: 0.1", "campaign_share: [")

    with pytest.raises(BadSettingError, match=r"no YAML .* at grades\.yaml, line \d+"):
        catalogue.load(folder)
    assert line > 0


def test_a_missing_data_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettingError, match=r"additives\.yaml"):
        catalogue.load(tmp_path)


def test_an_unknown_grade_or_scenario_is_refused_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"unknown scenario 'flood' at --scenario; allowed: simn-lot-low"):
        cli.main(["bulk", "--scenario", "flood", "--output", str(tmp_path)])


def test_a_file_counts_with_a_parameter_set_and_scenarios_come_with_commas(tmp_path: Path) -> None:
    file = tmp_path / "figures.yaml"
    file.write_text("trust: 0.123\n")
    parser = options.shared()
    options.parameter_set(parser)
    options.scenario(parser)
    scene = ["--scenario", "scale-bias@9, aim-shift", "--scenario", "none"]
    given = parser.parse_args(["--parameters", str(file), "--parameter-set", "3", *scene])

    _, figures = options.plant_of(given)

    assert figures.trust == 0.123
    assert figures.oxygen_median_ppm == plants.draw(3).oxygen_median_ppm
    assert [(s.name, s.start_heat) for s in options.started(given)] == [("scale-bias", 9), ("aim-shift", 200)]


@pytest.mark.parametrize("text", ["trust: .inf\n", "undissolved_memory: 2\n", "other_route_least: 1.1\n"])
@pytest.mark.parametrize("prefix", ["", "crews: 3\n"])
def test_figures_that_cannot_be_are_refused(tmp_path: Path, text: str, prefix: str) -> None:
    file = tmp_path / "figures.yaml"
    file.write_text(prefix + text)

    with pytest.raises(BadSettingError, match=text.split(":")[0]):
        parameters.load(file)
