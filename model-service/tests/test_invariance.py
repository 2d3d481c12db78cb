"""What must not matter to an answer: order, currency, what was asked before, which process answers."""

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from making import alloyed, asked, recent_heats, shelf
from msgspec import convert, to_builtins
from msgspec.structs import replace

from model_service.bundle import load_bundle
from model_service.contracts import Addition, Recommendation, RecommendationRequest
from model_service.documents import encode
from model_service.model import Bundle
from model_service.recommendation import recommend

COMMAND = [sys.executable, "-c", "from model_service.cli import main; main()", "stream", "--bundle"]


def _with_recent_heats() -> RecommendationRequest:
    request = alloyed()
    additions = [
        Addition(additive=name, added_kg=kg)
        for name, kg in (("SiMn", 900.0), ("FeCrHC", 1500.0), ("coke", 80.0))
    ]
    after = {"C": 0.41, "Si": 0.17, "Mn": 0.62, "Cr": 0.95, "Mo": 0.01, "V": 0.002, "P": 0.012}
    return replace(request, recent_heats=recent_heats(request, 12, after, additions=additions))


def _shuffled(value: Any, drawn: random.Random) -> Any:
    """The same document with every map and every list of records in another order."""
    if isinstance(value, dict):
        keys = list(value)
        drawn.shuffle(keys)
        return {key: _shuffled(value[key], drawn) for key in keys}
    if isinstance(value, list) and value and isinstance(value[0], dict) and "element" not in value[0]:
        items = [_shuffled(item, drawn) for item in value]
        drawn.shuffle(items)
        return items
    return value


def _kilograms(answer: Recommendation) -> dict[tuple[str, str | None], float]:
    return {(addition.additive, addition.lot): addition.added_kg for addition in answer.additions}


@pytest.mark.parametrize("seed", range(5))
def test_order_does_not_matter(grown: Bundle, seed: int) -> None:
    request = _with_recent_heats()
    other = convert(_shuffled(to_builtins(request), random.Random(seed)), RecommendationRequest)

    answer, found = recommend(grown, request), recommend(grown, other)

    assert [offer.additive for offer in other.additives] != [offer.additive for offer in request.additives]
    assert _kilograms(found) == _kilograms(answer)
    for element, estimate in answer.elements.items():
        assert found.elements[element].predicted_pct == pytest.approx(estimate.predicted_pct, abs=1e-12)
        assert found.elements[element].sd_pct == pytest.approx(estimate.sd_pct, abs=1e-12)


@pytest.mark.parametrize("rate", [0.01, 7.5, 25_000.0])
def test_the_unit_of_money_does_not_matter(grown: Bundle, rate: float) -> None:
    foreign = [
        replace(
            additive,
            price_per_t=replace(
                additive.price_per_t, amount=additive.price_per_t.amount * rate, currency="XXX"
            ),
        )
        for additive in shelf()
    ]

    answer, found = recommend(grown, alloyed()), recommend(grown, alloyed(additives=foreign))

    assert _kilograms(found) == _kilograms(answer)
    assert answer.cost is not None
    assert found.cost is not None
    assert found.cost.amount == pytest.approx(answer.cost.amount * rate, rel=1e-6)
    assert found.cost.currency == "XXX"


def test_what_was_asked_before_does_not_matter(grown: Bundle) -> None:
    requests = [
        alloyed(),
        asked(),
        alloyed(additives=[]),
        _with_recent_heats(),
        alloyed(confidence=0.99),
        asked(additives=asked().additives[:1]),
    ]
    alone = [encode(recommend(grown, request)) for request in requests]
    drawn = random.Random(1)

    for _ in range(60):
        i = drawn.randrange(len(requests))
        assert encode(recommend(grown, requests[i])) == alone[i]


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_which_process_answers_does_not_matter(bundle_folder: Path, hash_seed: str) -> None:
    lines = [encode(request) + b"\n" for request in (alloyed(), _with_recent_heats(), asked())]
    bundle = load_bundle(bundle_folder)
    here = b"".join(
        encode(recommend(bundle, request)) + b"\n" for request in (alloyed(), _with_recent_heats(), asked())
    )

    there = subprocess.run(
        [*COMMAND, str(bundle_folder)],
        input=b"".join(lines),
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
    ).stdout

    assert there == here
