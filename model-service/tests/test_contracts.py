"""Every example of the contracts that this component reads or writes."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from making import CONTRACTS, alloyed, asked, with_heat
from schemas import examples, load, validate

from model_service.bundle import model_card
from model_service.contracts import (
    HandbookEntry,
    Heat,
    ModelCard,
    Prediction,
    PredictionRequest,
    Recommendation,
    RecommendationRequest,
)
from model_service.documents import decode
from model_service.errors import InvalidDocument
from model_service.manifest import Golden, Manifest, Release
from model_service.model import Bundle
from model_service.prediction import predict
from model_service.recommendation import recommend

SHAPES: dict[str, Any] = {
    "model-service/examples/recommendation-request.v1": RecommendationRequest,
    "model-service/examples/prediction-request.v1": PredictionRequest,
    "model-service/examples/recommendation.v1": Recommendation,
    "model-service/examples/prediction.v1": Prediction,
    "model-service/examples/model-card.v1": ModelCard,
    "bundle/examples/manifest.v1": Manifest,
    "bundle/examples/golden.v1": Golden,
    "bundle/examples/release.v1": Release,
    "plant-events/examples/plant.heat.registered.v1": Heat,
}


def _cases(kind: str) -> list[Any]:
    return [
        pytest.param(path, shape, id=f"{path.parents[1].name}/{path.stem}")
        for folder, shape in SHAPES.items()
        for path in examples(folder, kind)
    ]


@pytest.mark.parametrize(("path", "shape"), _cases("valid"))
def test_valid_example_is_accepted(path: Path, shape: type[Any]) -> None:
    assert isinstance(decode(path.read_bytes(), shape), shape)


@pytest.mark.parametrize(("path", "shape"), _cases("invalid"))
def test_invalid_example_is_refused_and_the_place_named(path: Path, shape: type[Any]) -> None:
    example = load(path)

    with pytest.raises(InvalidDocument) as refused:
        decode(json.dumps(example["document"]), shape)

    assert refused.value.faults[0].where == example["where"]
    assert refused.value.faults[0].allowed


def test_handbook_entry_examples_are_accepted_and_refused() -> None:
    folder = "handbook-rule/examples/handbook-rule.v1"
    for path in examples(folder, "valid"):
        for row in load(path)["entries"]:
            assert msgspec.convert(row["entry"], HandbookEntry).steps
    for path in examples(folder, "invalid"):
        entries = json.dumps([row["entry"] for row in load(path)["document"]["entries"]])
        with pytest.raises(InvalidDocument):
            decode(entries, list[HandbookEntry])


@pytest.mark.parametrize(
    "request_",
    [
        asked(),
        alloyed(),
        alloyed(confidence=0.999),
        asked(additives=[]),
        with_heat(asked(), windows={}),
        with_heat(asked(), temperature_c=0.0, oxygen_ppm=9999.0),
    ],
)
def test_recommendation_agrees_with_its_schema(loaded: Bundle, request_: RecommendationRequest) -> None:
    answer = msgspec.to_builtins(recommend(loaded, request_))

    validate(answer, "model-service/recommendation.v1.schema.json")


def test_prediction_and_model_card_agree_with_their_schemas(loaded: Bundle) -> None:
    asked_for = decode(
        (
            CONTRACTS / "model-service/examples/prediction-request.v1/valid/handbook-kilograms.json"
        ).read_bytes(),
        PredictionRequest,
    )

    validate(msgspec.to_builtins(predict(loaded, asked_for)), "model-service/prediction.v1.schema.json")
    validate(msgspec.to_builtins(model_card(loaded)), "model-service/model-card.v1.schema.json")


def test_requests_made_here_agree_with_their_schema() -> None:
    for request in (asked(), alloyed()):
        document = json.loads(msgspec.json.encode(_without_nulls(msgspec.to_builtins(request))))
        validate(document, "model-service/recommendation-request.v1.schema.json")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
