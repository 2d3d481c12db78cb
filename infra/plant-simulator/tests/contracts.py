"""The contracts as validators, for tests only."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

CONTRACTS = Path(__file__).parents[3] / "contracts"
ROOT = "file:///contracts/"


@cache
def _registry() -> Registry[Any]:
    files = CONTRACTS.rglob("*.schema.json")
    documents = [(f, json.loads(f.read_text())) for f in files if not f.name.endswith(".delta-schema.json")]
    return Registry().with_resources(
        (ROOT + f.relative_to(CONTRACTS).as_posix(), DRAFT202012.create_resource(d)) for f, d in documents
    )


@cache
def validator(schema: str) -> Draft202012Validator:
    """The validator of a schema by its path in `contracts/`."""
    return Draft202012Validator({"$ref": ROOT + schema}, registry=_registry())


def faults(schema: str, document: Any) -> list[str]:
    """What is wrong with a document, in words; empty where it agrees with its contract."""
    return [f"{error.json_path}: {error.message}" for error in validator(schema).iter_errors(document)]


def event_faults(event: dict[str, Any]) -> list[str]:
    """What is wrong with an event, envelope and data."""
    return [
        *faults("shapes/cloudevent.v1.schema.json", event),
        *faults(f"plant-events/{event['type']}.schema.json", event["data"]),
    ]
