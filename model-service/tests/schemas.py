"""JSON Schemas of the contracts, with their references resolved inside the folder."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from making import CONTRACTS
from referencing import Registry, Resource

_BASE = "file:///contracts/"


def validate(document: Any, path: str) -> None:
    """Raise jsonschema.ValidationError where `document` breaks the schema at `path` of the contracts."""
    registry = _registry()
    schema = {"$ref": _BASE + path}
    Draft202012Validator(schema, registry=registry).validate(document)


def examples(folder: str, kind: str) -> list[Path]:
    found = sorted((CONTRACTS / folder / kind).glob("*.json"))
    assert found, f"no examples in {folder}/{kind}"
    return found


def load(path: Path) -> Any:
    return json.loads(path.read_bytes())


@cache
def _registry() -> Registry[Any]:
    resources = [
        (_BASE + path.relative_to(CONTRACTS).as_posix(), Resource.from_contents(load(path)))
        for path in CONTRACTS.rglob("*.schema.json")
        if "delta-schema" not in path.name
    ]
    return Registry().with_resources(resources)
