"""What the backend reads accepts every valid example and refuses every invalid one, naming where."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from backend.decisions.schemas import DecisionRead
from backend.errors import InvalidError, validate
from backend.events import PLANT_EVENTS, CloudEvent
from backend.master_data.schemas import MasterData, Rule
from backend.model_answers import Prediction, Recommendation
from backend.recommendations.schemas import RecommendationRead
from backend.shapes import told
from tests import contracts

READ: dict[str, type[BaseModel]] = {
    "shapes/cloudevent.v1": CloudEvent,
    "master-data/master-data.v1": MasterData,
    "handbook-rule/handbook-rule.v1": Rule,
    "model-service/recommendation.v1": Recommendation,
    "model-service/prediction.v1": Prediction,
    **{f"plant-events/{event_type}": shape for event_type, shape in PLANT_EVENTS.items()},
}


def _cases(kind: str) -> list[Any]:
    return [
        pytest.param(shape, schema, file, id=f"{schema.rsplit('/')[-1]}-{file.stem}")
        for schema, shape in READ.items()
        for file in contracts.examples(schema, kind)
    ]


@pytest.mark.parametrize(("shape", "schema", "file"), _cases("valid"))
def test_a_valid_example_is_accepted_and_written_back_in_its_contract(
    shape: type[BaseModel], schema: str, file: Path
) -> None:
    read = validate(shape, json.loads(file.read_text()))

    contracts.check(told(read), f"{schema}.schema.json")


@pytest.mark.parametrize(("shape", "schema", "file"), _cases("invalid"))
def test_an_invalid_example_is_refused_with_the_place(
    shape: type[BaseModel], schema: str, file: Path
) -> None:
    example = json.loads(file.read_text())

    with pytest.raises(InvalidError) as refused:
        validate(shape, example["document"])

    assert example["where"] in [error.where for error in refused.value.errors]
    assert all(error.what and error.allowed for error in refused.value.errors)


def test_every_plant_event_of_the_contracts_is_consumed() -> None:
    schemas = {
        file.name.removesuffix(".schema.json") for file in (contracts.ROOT / "plant-events").glob("*.json")
    }

    assert schemas == set(PLANT_EVENTS)


def test_a_heat_is_kept_as_it_was_told() -> None:
    """Null and absent stay what they were: not measured. What is not known is left out."""
    document = contracts.example("plant-events/examples/plant.heat.registered.v1/valid/unknown-field.json")

    kept = told(validate(PLANT_EVENTS["plant.heat.registered.v1"], document))

    assert document.pop("crew_of_the_day") == "B"
    assert kept == document
    assert kept["chemistry"]["V"] is None
    assert kept["chemistry"]["Si"] == {"below": 0.005}


def test_records_are_read_back() -> None:
    record = contracts.example("product-events/examples/recommendation-record.v1/valid/model.json")
    decision = contracts.example("product-events/examples/decision.v1/valid/edited.json")

    assert RecommendationRead.model_validate(record | {"shown_at": None}).cost is not None
    one_by_one = contracts.example("product-events/examples/decision.v1/valid/reasons-one-by-one.json")
    assert DecisionRead.model_validate(decision).reason_code == "practice"
    assert DecisionRead.model_validate(one_by_one).reasons == {"SiMn": "practice", "coke": "stock"}


@pytest.mark.parametrize(
    ("instant", "kept"),
    [
        ("2026-03-02T06:00:00Z", "2026-03-02T06:00:00Z"),
        ("2026-03-02T06:00:00.25Z", "2026-03-02T06:00:00.250000Z"),
        ("2026-03-02T06:00:00.123456789Z", "2026-03-02T06:00:00.123456Z"),
    ],
)
def test_instants_are_kept_to_the_microsecond(instant: str, kept: str) -> None:
    document = contracts.example("plant-events/examples/plant.heat.registered.v1/valid/least.json")

    read = validate(PLANT_EVENTS["plant.heat.registered.v1"], document | {"registered_at": instant})

    assert told(read)["registered_at"] == kept


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"registered_at": "2026-02-30T06:00:00Z"}, "$.registered_at"),
        ({"heat_no": "half \ud800 a character"}, "$.heat_no"),
        ({"heat_no": "zero\x00byte"}, "$.heat_no"),
        ({"steel_mass_t": float("nan")}, "$.steel_mass_t"),
        ({"steel_mass_t": True}, "$.steel_mass_t"),
        ({"windows": {"Mn": {"min": 0.9, "max": 0.7}}}, "$.windows.Mn"),
        ({"windows": {"Mn": {}}}, "$.windows.Mn"),
        ({"chemistry": {"Mn": {"below": 0.1, "above": 0.2}}}, "$.chemistry.Mn.above"),
        ({"chemistry": {"Mn": "0.8"}}, "$.chemistry.Mn"),
    ],
)
def test_what_a_schema_cannot_say_is_refused_too(change: dict[str, Any], where: str) -> None:
    document = contracts.example("plant-events/examples/plant.heat.registered.v1/valid/least.json")

    with pytest.raises(InvalidError) as refused:
        validate(PLANT_EVENTS["plant.heat.registered.v1"], document | change)

    assert where in [error.where for error in refused.value.errors]
