"""The contract's examples, and what is said about a message that is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from monitoring.errors import RefusedMessageError
from monitoring.events import read_event
from tests.generator import CONTRACTS, EXAMPLES, body, completed, event

ENVELOPES = CONTRACTS / "shapes" / "examples" / "cloudevent.v1" / "invalid"
VALID = sorted((EXAMPLES / "valid").glob("*.json"))
INVALID = sorted((EXAMPLES / "invalid").glob("*.json"))


def refusal(message: dict[str, Any] | bytes) -> RefusedMessageError:
    with pytest.raises(RefusedMessageError) as refused:
        read_event(message if isinstance(message, bytes) else body(message))
    return refused.value


def with_value(path: str, value: Any) -> dict[str, Any]:
    """A valid event with one value changed; `path` is dotted, indices are numbers."""
    message = event(completed(1))
    place: Any = message
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        place = place[step]
    place[last] = value
    return message


def test_there_are_examples_of_both_kinds() -> None:
    assert len(VALID) >= 6
    assert len(INVALID) >= 3


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_each_valid_example_is_accepted(path: Path) -> None:
    data = json.loads(path.read_text())

    accepted = read_event(body(event(data))).data

    assert accepted.treatment.heat_uid == data["treatment"]["heat_uid"]
    assert len(accepted.x.additives) == len(data["x"]["additives"])
    assert len(accepted.x_prime.samples) == len(data["x_prime"]["samples"])


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_each_invalid_example_is_refused_and_says_where(path: Path) -> None:
    example = json.loads(path.read_text())

    error = refusal(event(example["document"]))

    assert error.where == example["where"].replace("$", "$.data", 1)
    assert error.allowed


@pytest.mark.parametrize("path", sorted(ENVELOPES.glob("*.json")), ids=lambda path: path.stem)
def test_each_invalid_envelope_is_refused_and_says_where(path: Path) -> None:
    example = json.loads(path.read_text())
    changed = example["document"]
    message = event(completed(1))
    key = example["where"].removeprefix("$.")
    if key in changed:
        message[key] = changed[key]
    else:
        del message[key]

    assert refusal(message).where == example["where"]


@pytest.mark.parametrize(
    ("path", "value", "allowed"),
    [
        ("data.x.heat.chemistry.Mn", -0.1, "`float` >= 0.0"),
        ("data.x.heat.chemistry.Si.below", 0, "`float` > 0.0"),
        ("data.x.heat.chemistry.mn", 0.2, "`str` matching regex '^[A-Z][a-z]?$'"),
        ("data.x.heat.steel_mass_t", None, "`float`"),
        ("data.completed_at", "2026-03-02T06:14:02+01:00", "a UTC time that ends in Z"),
        ("data.completed_at", "2026-03-02T06:14:02", "a UTC time that ends in Z"),
        ("data.treatment.treatment_no", 2**31, "`int` <= 2147483647"),
        ("data.treatment.heat_uid", "26-04711", None),
        ("data.y.answer.elements.Mn.interval_pct.low", "low", "`float`"),
        ("type", "product.heat.completed.v2", "what the contract says"),
    ],
)
def test_a_refusal_names_the_place_and_what_is_allowed(path: str, value: Any, allowed: str | None) -> None:
    error = refusal(with_value(path, value))

    assert error.where == f"$.{path}"
    assert json.dumps(value) in error.what
    assert allowed is None or error.allowed == allowed


def test_a_place_in_a_list_is_named_by_its_index() -> None:
    error = refusal(with_value("data.x.additives.1.assay.Mn", 101))

    assert error.where == "$.data.x.additives[1].assay.Mn"


@pytest.mark.parametrize("message", [b"", b"{", b"[" * 5000, b"\xff", b"null", b'"text"'])
def test_what_is_no_event_at_all_is_refused(message: bytes) -> None:
    assert refusal(message).where == "$"


def test_a_time_with_more_digits_than_the_lake_keeps_is_accepted() -> None:
    at = read_event(body(with_value("data.completed_at", "2026-03-02T06:14:02.123456789Z"))).data.completed_at

    assert at.microsecond in (123456, 123457)
