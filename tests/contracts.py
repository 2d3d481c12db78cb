"""The contracts as the tests see them: schemas, examples, and one way to validate."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

ROOT = Path(__file__).parents[1]
CONTRACTS = ROOT / "contracts"
COMPONENTS = ("backend", "model-service", "ml-pipeline", "monitoring")
SUFFIX = ".schema.json"


class Example(NamedTuple):
    """An example file, the schema it is of, and the document it holds."""

    path: Path
    schema: Path
    document: Any
    where: str = ""


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def schema_files() -> list[Path]:
    return sorted(path for path in CONTRACTS.rglob(f"*{SUFFIX}") if "examples" not in path.parts)


def event_schemas() -> dict[str, Path]:
    """Return the schema of each event by the event's type."""
    folders = ("plant-events", "product-events", "monitoring-events")
    prefixes = ("plant.", "product.", "monitoring.")
    found = (path for folder in folders for path in sorted((CONTRACTS / folder).glob(f"*{SUFFIX}")))
    return {path.name.removesuffix(SUFFIX): path for path in found if path.name.startswith(prefixes)}


def examples(kind: str) -> list[Example]:
    """Return the examples of a kind, `valid` or `invalid`, of every schema."""
    return sorted(_examples(kind))


def uri(path: Path) -> str:
    return f"file:///contracts/{path.relative_to(CONTRACTS).as_posix()}"


@cache
def registry() -> "Registry[Any]":
    """Return every schema under its address, so that relative references resolve."""
    found = [(uri(path), DRAFT202012.create_resource(load(path))) for path in schema_files()]
    return Registry().with_resources(found)


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema, registry=registry(), format_checker=FormatChecker())


def validator_of(path: Path) -> Draft202012Validator:
    return validator({"$ref": uri(path)})


def places(error: ValidationError) -> Iterator[str]:
    """Yield where a document is wrong, also inside alternatives; a missing field is at its own place."""
    if error.validator == "required":
        names, given = cast("list[str]", error.validator_value), cast("dict[str, Any]", error.instance)
        yield from (f"{error.json_path}.{name}" for name in names if name not in given)
    yield error.json_path
    for inner in error.context or ():
        yield from places(inner)


def _examples(kind: str) -> Iterator[Example]:
    for path in CONTRACTS.glob(f"*/examples/*/{kind}/*.json"):
        schema = path.parents[3] / f"{path.parents[1].name}{SUFFIX}"
        content = load(path)
        if kind == "invalid":
            yield Example(path, schema, content["document"], content["where"])
        else:
            yield Example(path, schema, content)
