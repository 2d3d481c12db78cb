"""The lake's schemas are Delta's own, and make tables."""

import json
from pathlib import Path

import pytest
from deltalake import DeltaTable, Schema

from contracts import CONTRACTS

FILES = sorted((CONTRACTS / "lake").glob("*.delta-schema.json"))
UNITS = {
    "steel_mass_t": "double",
    "temperature_c": "double",
    "oxygen_ppm": "double",
    "slag_carry_over_kg_t": "double",
}


def read(name: str) -> Schema:
    return Schema.from_json((CONTRACTS / "lake" / f"{name}.v1.delta-schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_table_can_be_made_of_the_schema_and_gives_it_back(path: Path, tmp_path: Path) -> None:
    schema = Schema.from_json(path.read_text(encoding="utf-8"))

    table = DeltaTable.create(str(tmp_path / "table"), schema)

    assert json.loads(table.schema().to_json()) == json.loads(schema.to_json())
    assert json.loads(path.read_text(encoding="utf-8"))["fields"] == json.loads(schema.to_json())["fields"]


def test_the_unit_of_record_is_never_null() -> None:
    nullable = {field.name: field.nullable for field in read("heats").fields}

    key = ("event_id", "plant_id", "heat_uid", "station", "treatment_no", "revision")
    assert [nullable[name] for name in key] == [False] * len(key)


def test_all_times_are_utc_and_numbers_carry_their_unit() -> None:
    types = {field.name: field.type for field in read("heats").fields}

    times = [name for name in types if name.endswith("_at")]
    assert {json.loads(types[name].to_json()) for name in times} == {"timestamp"}
    assert {name: json.loads(types[name].to_json()) for name in UNITS} == UNITS
