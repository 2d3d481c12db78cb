"""The plant handbook's rule, against the golden cases that all implementations share."""

import json
from typing import Any

import pytest
from making import CONTRACTS, asked, offer
from msgspec.structs import replace

from model_service.contracts import Additive, HandbookEntry, Heat
from model_service.documents import convert
from model_service.errors import RuleRefused
from model_service.handbook import handbook_additions

CASES = json.loads((CONTRACTS / "handbook-rule/golden-cases.json").read_bytes())


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_golden_case(case: dict[str, Any]) -> None:
    result = handbook_additions(
        convert(case["heat"], Heat),
        convert(case["additives"], list[Additive]),
        convert(case["entry"], HandbookEntry),
    )

    expected = case["expected"]
    assert [(a.additive, a.lot) for a in result.additions] == [
        (a["additive"], a["lot"]) for a in expected["additions"]
    ]
    assert [a.added_kg for a in result.additions] == pytest.approx(
        [a["added_kg"] for a in expected["additions"]], abs=1e-6
    )
    assert result.cost is not None
    assert result.cost.amount == pytest.approx(expected["cost"]["amount"], abs=1e-6)
    assert result.cost.currency == expected["cost"]["currency"]
    assert result.predicted_pct == pytest.approx(expected["predicted_pct"], abs=1e-6)
    assert result.skipped == expected["skipped"]


def test_two_currencies_are_refused() -> None:
    request = asked()
    assert request.handbook_entry is not None
    first = request.additives[0]
    dollars = replace(first, price_per_t=replace(first.price_per_t, currency="USD"))

    with pytest.raises(RuleRefused, match="one currency"):
        handbook_additions(request.heat, [dollars, *request.additives[1:]], request.handbook_entry)


def test_an_assay_too_small_to_divide_adds_nothing() -> None:
    request = asked()
    assert request.handbook_entry is not None
    trace = offer("SiMn", {"Si": 5e-324, "Mn": 5e-324}, 1000.0, 5.0)

    result = handbook_additions(request.heat, [trace], request.handbook_entry)

    assert result.additions == []
