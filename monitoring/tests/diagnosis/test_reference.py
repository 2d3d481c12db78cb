"""The reference: as the contract has it, and true of the heats that it is made from."""

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from referencing import Registry, Resource

from monitoring.diagnosis.building import build
from monitoring.diagnosis.reference import Reference, read, standardised, write
from monitoring.diagnosis.surprises import surprises_of
from monitoring.errors import UnreadableFileError
from tests.diagnosis.plants import LOT_HEATS, LOT_SD_REL, SD_PCT, rows
from tests.generator import CONTRACTS

EXAMPLES = CONTRACTS / "monitoring" / "examples" / "reference.v1"
SCHEMA = "file:///contracts/monitoring/reference.v1.schema.json"


def validator() -> jsonschema.Draft202012Validator:
    schemas = {path.relative_to(CONTRACTS).as_posix(): path for path in CONTRACTS.rglob("*.schema.json")}
    resources = [
        (f"file:///contracts/{name}", Resource.from_contents(json.loads(path.read_text())))
        for name, path in schemas.items()
    ]
    registry: Registry[Any] = Registry().with_resources(resources)
    return jsonschema.Draft202012Validator({"$ref": SCHEMA}, registry=registry)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return build(rows(1200, seed=99), "ab" * 32)


@pytest.mark.parametrize("path", sorted((EXAMPLES / "valid").glob("*.json")), ids=lambda path: path.stem)
def test_each_valid_example_is_read(path: Path) -> None:
    assert read(path).stations


@pytest.mark.parametrize("path", sorted((EXAMPLES / "invalid").glob("*.json")), ids=lambda path: path.stem)
def test_each_invalid_example_is_refused_with_its_place(path: Path, tmp_path: Path) -> None:
    example = json.loads(path.read_text())
    file = tmp_path / "reference.json"
    file.write_text(json.dumps(example["document"]))

    with pytest.raises(UnreadableFileError, match=example["where"].rsplit(".", 1)[1]):
        read(file)


def test_what_is_written_agrees_with_the_contract_and_is_read_again(
    reference: Reference, tmp_path: Path
) -> None:
    file = tmp_path / "folder" / "reference.json"
    write(reference, file)

    assert list(validator().iter_errors(json.loads(file.read_text()))) == []
    assert read(file) == reference


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"nothing\.json"):
        read(tmp_path / "nothing.json")


def test_the_spread_of_the_lots_is_found(reference: Reference) -> None:
    assert reference.lots["SiMn"]["Mn"].sd_rel == pytest.approx(LOT_SD_REL, rel=0.5)
    assert reference.lots["SiMn"]["Mn"].lots == 20
    assert set(reference.lots) == {"SiMn", "FeMn", "FeSi", "coke"}


def test_lots_of_an_additive_of_which_few_are_known_are_not_judged() -> None:
    few = build(rows(3 * LOT_HEATS, seed=7))

    assert few.lots == {}


def test_training_heats_are_standard_by_their_own_reference(reference: Reference) -> None:
    standard = standardised(surprises_of(rows(1200, seed=99)), reference)
    mn = standard.filter(element="Mn", station="tapping", grade="B")["y"]

    assert mn.mean() == pytest.approx(0.0, abs=0.05)
    assert mn.std() == pytest.approx(1.0, abs=0.05)
    assert set(standard["element"]) == set(SD_PCT)
