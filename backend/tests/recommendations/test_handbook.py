"""The handbook rule against the golden cases that hold everybody who implements it."""

from typing import Any

import pytest

from backend.errors import RefusedError, validate
from backend.recommendations.handbook import by_handbook
from backend.shapes import Additive, HandbookEntry, Heat, told
from tests.contracts import example

CASES = example("handbook-rule/golden-cases.json")


def _apply(case: dict[str, Any]) -> Any:
    return by_handbook(
        validate(Heat, case["heat"]),
        [validate(Additive, additive) for additive in case["additives"]],
        validate(HandbookEntry, case["entry"]),
    )


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_golden_case(case: dict[str, Any]) -> None:
    answer = _apply(case)

    expected = case["expected"]
    names = [(addition["additive"], addition.get("lot")) for addition in expected["additions"]]
    assert [(addition.additive, addition.lot) for addition in answer.additions] == names
    for addition, wanted in zip(answer.additions, expected["additions"], strict=True):
        assert addition.added_kg == pytest.approx(wanted["added_kg"], abs=1e-6)
    assert told(answer.cost)["currency"] == expected["cost"]["currency"]
    assert answer.cost.amount == pytest.approx(expected["cost"]["amount"], abs=1e-6)
    assert answer.predicted_pct == pytest.approx(expected["predicted_pct"], abs=1e-6)
    assert answer.skipped == expected["skipped"]


def test_prices_in_two_currencies_are_refused() -> None:
    additives = [dict(additive) for additive in CASES[0]["additives"]]
    additives[1]["price_per_t"] = additives[1]["price_per_t"] | {"currency": "USD"}

    with pytest.raises(RefusedError, match="EUR, USD"):
        _apply(CASES[0] | {"additives": additives})


def test_nothing_offered_costs_nothing_that_could_be_named() -> None:
    answer = _apply(CASES[0] | {"additives": []})

    assert (answer.additions, answer.cost) == ([], None)
