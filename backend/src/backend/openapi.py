"""The OpenAPI description: FastAPI's, with the errors as they are and examples of all that is sent."""

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from backend.errors import Problem

API = "/api/v1"
JSON, PROBLEM = "application/json", "application/problem+json"
# Who is refused, for what was sent or for who sent it, at every endpoint; the others by what it is about.
ANYWHERE = ("not_logged_in", "not_allowed", "not_in_shape")
OF_SOMETHING, OF_ITS_STATE = "not_known", "changed_meanwhile"


def openapi(app: FastAPI) -> dict[str, Any]:
    """The description, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _described(app)
    return app.openapi_schema


def _described(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
    given = orjson.loads((files("backend") / "examples.json").read_bytes())
    schemas = schema["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    definitions = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(definitions.pop("$defs"), Problem=definitions)
    schema["components"]["examples"] = {
        name: {"summary": problem["title"], "value": problem} for name, problem in given["problems"].items()
    }
    for path, name, operation in _operations(schema):
        operation["responses"].pop("422", None)
        if path.startswith(API):
            operation["responses"]["4XX"] = {
                "description": "What is wrong, where, what is allowed",
                "content": {
                    PROBLEM: {
                        "schema": {"$ref": "#/components/schemas/Problem"},
                        "examples": {
                            problem: {"$ref": f"#/components/examples/{problem}"}
                            for problem in _problems(path, name)
                        },
                    }
                },
            }
        _show(operation, given["parameters"], given["operations"].get(f"{name.upper()} {path}", {}))
    return schema


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in schema["paths"].items():
        for name, operation in operations.items():
            yield path, name, operation


def _problems(path: str, name: str) -> list[str]:
    found = [*ANYWHERE]
    if "{" in path and not (name == "put" and path.endswith("/{name}")):
        found.append(OF_SOMETHING)
    if "{heat_uid}" in path and name != "get":
        found.append(OF_ITS_STATE)
    return found


def _show(operation: dict[str, Any], parameters: dict[str, Any], example: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in parameters:
            parameter["example"] = parameters[parameter["name"]]
    if "request" in example:
        operation["requestBody"]["content"][JSON]["example"] = example["request"]
    for status, answer in operation["responses"].items():
        shown = example.get("answers", {}).get(status, example.get("answer"))
        if status != "4XX" and shown is not None:
            for content in answer.get("content", {}).values():
                content["example"] = shown
