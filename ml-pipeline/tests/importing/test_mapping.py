from pathlib import Path

import extracts
import pytest

from ml_pipeline.errors import MappingError
from ml_pipeline.importing.mapping import load_mapping

MAPPINGS = Path(__file__).parents[2] / "mappings"


@pytest.mark.parametrize("name", ["bof-tapping.yaml", "ladle-furnace.yaml"])
def test_committed_mappings_are_accepted(name: str) -> None:
    mapping = load_mapping(MAPPINGS / name)

    assert mapping.heats.weighed.columns
    assert mapping.grades.windows


def refusal(folder: Path, text: str) -> str:
    path = folder / "m.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        load_mapping(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("station: tapping", "station: Tapping", ["station", "^[a-z]"]),
        ("unit: kg}\n  temp", "unit: lb}\n  temp", ["heats.steel_mass.unit", "'kg' or 't'", "'lb'"]),
        ("empty: zero", "empty: none", ["heats.weighed.empty", "'zero' or 'unknown'"]),
        (
            "below: 0.002",
            "blow: 0.002",
            ["chemistry_before.columns.Si.blow", "not known", "below"],
        ),
        ("heat_no: heat_id", "number: heat_id", ["heats.number", "not known", "heat_no"]),
        ("min: 0.19, aim: 0.22", "min: 0.29, aim: 0.22", ["grades.windows.A.C", "min <= aim <= max"]),
        ("currency: EUR", "currency: euro", ["additives.currency"]),
        ("quantiles: [0.02", "quantiles: [0.72", ["grades.derived", "min < aim < max"]),
        ("plausible: [1500, 1780]", "plausible: [1780, 1500]", ["heats.temperature_c", "low < high"]),
        ("{C: tap_C,", "{Carbon: tap_C,", ["heats.chemistry_before.columns.Carbon"]),
        ("FeSi: {increment_kg: 5}", "FeSi: {assay: {Mm: 75}}", ["additives.listed.FeSi.assay", "no element"]),
    ],
)
def test_wrong_mapping_names_place_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    assert old in extracts.MAPPING

    text = extracts.MAPPING.replace(old, new)

    message = refusal(tmp_path, text)

    line = text[: text.index(new)].count("\n") + 1
    for part in [*said, f"(line {line})"]:
        assert part in message


def test_all_errors_come_at_once(tmp_path: Path) -> None:
    text = extracts.MAPPING.replace("station: tapping", "station: T").replace("empty: zero", "empty: none")

    assert refusal(tmp_path, text).count("(line ") == 2


def test_prices_without_currency_are_refused(tmp_path: Path) -> None:
    assert "currency" in refusal(tmp_path, extracts.MAPPING.replace("  currency: EUR\n", ""))


def test_what_is_no_yaml_is_refused(tmp_path: Path) -> None:
    assert "not YAML" in refusal(tmp_path, "heats: [1, 2")
    assert "valid dictionary" in refusal(tmp_path, "just text")


def test_missing_mapping_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="no such mapping file"):
        load_mapping(tmp_path / "none.yaml")
