"""The contracts: their examples, and validators for what is emitted."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

ROOT = Path(__file__).parents[2] / "contracts"


def example(path: str) -> Any:
    return json.loads((ROOT / path).read_text())


def _registry() -> Registry[Any]:
    resources = [
        (f"file:///contracts/{file.relative_to(ROOT)}", Resource.from_contents(json.loads(file.read_text())))
        for file in ROOT.rglob("*.schema.json")
        if not file.name.endswith(".delta-schema.json")
    ]
    return Registry().with_resources(resources)


REGISTRY = _registry()


def check(document: object, schema: str) -> None:
    """Fail with what does not agree with the schema at this path of the contracts."""
    validator = Draft202012Validator(
        {"$ref": f"file:///contracts/{schema}"},
        registry=REGISTRY,
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    errors = [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(document)]
    assert errors == []


def examples(schema: str, kind: str) -> list[Any]:
    """All examples of a schema such as plant-events/plant.heat.registered.v1, with the file's name first."""
    folder, name = schema.rsplit("/", 1)
    files = sorted((ROOT / folder / "examples" / name / kind).glob("*.json"))
    assert files, f"no {kind} examples of {schema}"
    return files
