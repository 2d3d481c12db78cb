"""The golden cases of the handbook rule are well-formed; each implementation's own tests reproduce them."""

from typing import Any

import pytest

from contracts import CONTRACTS, load, validator

CASES: list[dict[str, Any]] = load(CONTRACTS / "handbook-rule" / "golden-cases.json")
SHAPES = "file:///contracts/shapes/shapes.v1.schema.json#/$defs/"
PRICE_DECIMALS = 1e-6


def errors(shape: str, document: Any) -> list[str]:
    return [
        f"{error.json_path}: {error.message}"
        for error in validator({"$ref": SHAPES + shape}).iter_errors(document)
    ]


def test_every_case_has_its_own_name() -> None:
    names = [case["case"] for case in CASES]

    assert len(names) >= 5
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["case"]))
def test_a_case_is_made_of_the_shared_shapes(case: dict[str, Any]) -> None:
    assert errors("heat", case["heat"]) == []
    assert errors("handbook_entry", case["entry"]) == []
    assert [errors("additive", additive) for additive in case["additives"]] == [[]] * len(case["additives"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["case"]))
def test_the_expected_kilograms_are_offered_and_cost_what_they_say(case: dict[str, Any]) -> None:
    expected = case["expected"]
    offers = {additive["additive"]: additive for additive in case["additives"]}
    order = list(offers)

    names = [addition["additive"] for addition in expected["additions"]]
    cost = sum(
        addition["added_kg"] / 1000 * offers[addition["additive"]]["price_per_t"]["amount"]
        for addition in expected["additions"]
    )

    assert names == sorted(names, key=order.index)
    assert cost == pytest.approx(expected["cost"]["amount"], abs=PRICE_DECIMALS)
