"""What the pipeline reads and writes, held to the contracts."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import Plant
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from ml_pipeline import lake
from ml_pipeline.pipeline import Folders
from ml_pipeline.requests import prediction_request, recommendation_request
from ml_pipeline.steps.extract import in_force

CONTRACTS = Path(__file__).parents[2] / "contracts"


def validator(path: str) -> Draft202012Validator:
    resources = [
        (f"file:///contracts/{p.relative_to(CONTRACTS)}", Resource.from_contents(json.loads(p.read_text())))
        for p in CONTRACTS.rglob("*.schema.json")
        if "delta" not in p.name
    ]
    registry: Registry[Any] = Registry().with_resources(resources)
    return Draft202012Validator({"$ref": f"file:///contracts/{path}"}, registry=registry)


@pytest.mark.parametrize("name", ["heats", "quarantine"])
def test_lake_schema_is_the_contracts(name: str) -> None:
    own = files("ml_pipeline").joinpath(f"{name}.v1.delta-schema.json").read_bytes()

    assert own == (CONTRACTS / "lake" / f"{name}.v1.delta-schema.json").read_bytes()


@pytest.mark.parametrize("name", ["heats", "quarantine"])
def test_written_table_has_the_contracts_schema(plant: Plant, name: lake.TableName) -> None:
    from deltalake import DeltaTable

    written = json.loads(DeltaTable(str(plant.lake / name)).schema().to_json())
    wanted = json.loads((CONTRACTS / "lake" / f"{name}.v1.delta-schema.json").read_text())

    assert written == wanted


def test_requests_made_from_lake_rows_keep_the_contract(plant: Plant) -> None:
    rows = in_force(lake.scan(plant.lake, "heats")[0].collect()).tail(8).to_dicts()

    asked = msgspec.to_builtins(recommendation_request(rows[-1], rows[:-1]))
    validator("model-service/recommendation-request.v1.schema.json").validate(asked)
    assert len(asked["recent_heats"]) == 7
    foretold = msgspec.to_builtins(prediction_request(rows[-1], rows[:-1]))
    validator("model-service/prediction-request.v1.schema.json").validate(foretold)


def test_released_bundle_keeps_the_contract(released: Folders) -> None:
    folder = released.models / "champion"

    for name in ("manifest", "golden", "release"):
        document = json.loads((folder / f"{name}.json").read_text())
        validator(f"bundle/{name}.v1.schema.json").validate(document)
