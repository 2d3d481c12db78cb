"""Every example agrees with its schema, and every schema has an owner and examples."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from contracts import (
    COMPONENTS,
    CONTRACTS,
    SUFFIX,
    Example,
    examples,
    load,
    places,
    registry,
    schema_files,
    uri,
    validator_of,
)

# Parts that only occur inside other documents, whose examples hold them.
PARTS = {"shapes.v1", "element-estimate.v1", "recent-heat.v1"}


def name_of(path: Path) -> str:
    return path.relative_to(CONTRACTS).as_posix()


@pytest.mark.parametrize("path", schema_files(), ids=name_of)
def test_a_schema_is_well_formed_and_every_reference_resolves(path: Path) -> None:
    schema = load(path)
    Draft202012Validator.check_schema(schema)
    resolver = registry().resolver(uri(path))

    references = _references(schema)

    assert [resolver.lookup(reference).contents is not None for reference in references] == [True] * len(
        references
    )


@pytest.mark.parametrize("path", schema_files(), ids=name_of)
def test_a_schema_has_one_owner(path: Path) -> None:
    assert load(path)["x-owner"] in COMPONENTS


@pytest.mark.parametrize("path", schema_files(), ids=name_of)
def test_a_document_has_a_valid_and_an_invalid_example(path: Path) -> None:
    name = path.name.removesuffix(SUFFIX)
    folder = path.parent / "examples" / name
    kinds = {kind for kind in ("valid", "invalid") if any((folder / kind).glob("*.json"))}

    expected: set[str] = set() if name in PARTS else {"valid", "invalid"}
    assert kinds == expected


def test_every_example_belongs_to_a_schema() -> None:
    found = examples("valid") + examples("invalid")

    assert len(found) > 50
    assert [example.path for example in found if not example.schema.exists()] == []


@pytest.mark.parametrize("example", examples("valid"), ids=lambda example: name_of(example.path))
def test_a_valid_example_agrees_with_its_schema(example: Example) -> None:
    errors = [
        f"{error.json_path}: {error.message}"
        for error in validator_of(example.schema).iter_errors(example.document)
    ]

    assert errors == []


@pytest.mark.parametrize("example", examples("invalid"), ids=lambda example: name_of(example.path))
def test_an_invalid_example_is_refused_at_the_place_it_names(example: Example) -> None:
    errors = validator_of(example.schema).iter_errors(example.document)

    assert example.where in {place for error in errors for place in places(error)}


def test_the_readme_names_every_contract_with_its_owner() -> None:
    table = (CONTRACTS / "README.md").read_text(encoding="utf-8")
    owners = {
        path.parent.name: load(path)["x-owner"] for path in schema_files() if path.name.endswith(SUFFIX)
    }

    rows = {
        line.split("|")[1].split("`")[1].rstrip("/"): line.split("|")[2].strip()
        for line in table.splitlines()
        if line.startswith("| `")
    }

    assert {folder: rows.get(folder) for folder in owners} == owners


def _references(schema: object) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        return own + [reference for value in schema.values() for reference in _references(value)]
    if isinstance(schema, list):
        return [reference for value in schema for reference in _references(value)]
    return []
