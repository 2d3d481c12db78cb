"""The exported OpenAPI document is the one the service serves."""

import json

import msgspec
from jsonschema import Draft202012Validator
from making import CONTRACTS

from model_service.documents import pretty
from model_service.openapi import document

EXPORTED = CONTRACTS / "model-service/openapi.v1.json"


def test_the_exported_document_is_the_one_served() -> None:
    assert EXPORTED.read_bytes() == pretty(document()), "run `make openapi`"


def test_its_schemas_accept_the_examples_of_the_contract() -> None:
    schemas = {"$defs": document()["components"]["schemas"]}
    text = json.dumps(schemas).replace("#/components/schemas/", "#/$defs/")
    for name, folder in (
        ("RecommendationRequest", "recommendation-request.v1"),
        ("PredictionRequest", "prediction-request.v1"),
        ("Recommendation", "recommendation.v1"),
        ("Prediction", "prediction.v1"),
        ("ModelCard", "model-card.v1"),
    ):
        validator = Draft202012Validator({**json.loads(text), "$ref": f"#/$defs/{name}"})
        for path in sorted((CONTRACTS / "model-service/examples" / folder / "valid").glob("*.json")):
            validator.validate(msgspec.json.decode(path.read_bytes()))
        for path in sorted((CONTRACTS / "model-service/examples" / folder / "invalid").glob("*.json")):
            assert not validator.is_valid(msgspec.json.decode(path.read_bytes())["document"]), path.name
