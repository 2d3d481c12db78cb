"""The service's OpenAPI document, with the schemas of the shapes that are really decoded and encoded."""

from typing import Any

import msgspec

from model_service import __version__
from model_service.contracts import (
    ModelCard,
    Prediction,
    PredictionRequest,
    Recommendation,
    RecommendationRequest,
)
from model_service.problems import MEDIA_TYPE, Problem

_JSON = "application/json"
_SPLIT = {
    "type": "object",
    "required": ["dataframe_split"],
    "properties": {
        "dataframe_split": {
            "type": "object",
            "required": ["columns", "data"],
            "properties": {
                "columns": {"type": "array", "items": {"type": "string"}},
                "data": {"type": "array", "items": {"type": "array"}},
            },
        }
    },
}
_SHAPES = (RecommendationRequest, Recommendation, PredictionRequest, Prediction, ModelCard, Problem)


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    _, components = msgspec.json.schema_components(_SHAPES, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Model Service",
            "version": __version__,
            "description": "Recommends ladle additions for a heat of steel and predicts their result.",
        },
        "paths": {
            "/v1/recommendations": _post(
                "recommend",
                "Y for a heat: cheapest additions that hold its windows",
                _ref(RecommendationRequest),
                _ref(Recommendation),
            ),
            "/v1/predictions": _post(
                "predict",
                "The chemistry predicted for given additions",
                _ref(PredictionRequest),
                _ref(Prediction),
            ),
            "/invocations": _post(
                "invoke",
                "Recommendations in the request shapes of MLflow and SageMaker",
                {
                    "anyOf": [
                        _batch("inputs"),
                        _batch("instances"),
                        _batch("dataframe_records"),
                        _SPLIT,
                        _ref(RecommendationRequest),
                    ]
                },
                _batch("predictions", Recommendation),
            ),
            "/v1/model": _get("model", "The model that answers", {_JSON: {"schema": _ref(ModelCard)}}),
            "/openapi.json": _get("openapi", "This document", {_JSON: {"schema": {"type": "object"}}}),
            "/health/live": _get("live", "The process answers", _status()),
            "/health/ready": _get(
                "ready", "The bundle is loaded and its golden rows are reproduced", _status()
            ),
            "/ping": _get("ping", "Health, as SageMaker asks for it", {_JSON: {}}),
            "/metrics": _get("metrics", "Prometheus metrics", {"text/plain": {"schema": {"type": "string"}}}),
        },
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "only where the service has one"}
            },
        },
        "security": [{}, {"token": []}],
    }


def _ref(shape: type[Any]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


def _batch(name: str, shape: type[Any] = RecommendationRequest) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [name],
        "properties": {name: {"type": "array", "items": _ref(shape)}},
    }


def _status() -> dict[str, Any]:
    schema = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
    return {_JSON: {"schema": schema}}


def _get(name: str, summary: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "responses": {"200": {"description": summary, "content": content}},
        }
    }


def _post(name: str, summary: str, asked: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any]:
    refusals = {
        "400": "The body is not JSON",
        "401": "A token is asked for, and no valid one came",
        "408": "The body did not come in time",
        "413": "The body is too large",
        "422": "It breaks the contract",
        "503": "It asks for more than fits into the time limit",
    }
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "requestBody": {"required": True, "content": {_JSON: {"schema": asked}}},
            "responses": {
                "200": {"description": "The answer", "content": {_JSON: {"schema": answered}}},
                **{
                    status: {"description": text, "content": {MEDIA_TYPE: {"schema": _ref(Problem)}}}
                    for status, text in refusals.items()
                },
            },
        }
    }
