"""The handbook rule against the golden cases that everybody who implements it must pass."""

import json
from typing import Any

import numpy as np
import pytest
from contracts import CONTRACTS

from plant_simulator import handbook
from plant_simulator.handbook import Offers

CASES: list[dict[str, Any]] = json.loads((CONTRACTS / "handbook-rule/golden-cases.json").read_text())


def figure_of(case: dict[str, Any]) -> tuple[dict[str, float], float, dict[str, float], list[str]]:
    """The rule on documents: kilograms, cost, prediction, skipped elements."""
    heat, offered, entry = case["heat"], case["additives"], case["entry"]
    elements = sorted(
        {*heat["chemistry"], *entry.get("assumed_pct", {}), *(e for a in offered for e in a["assay"])}
    )
    additives = [a["additive"] for a in offered]

    def reading(element: str) -> float:
        analysis = heat["chemistry"].get(element)
        return (
            analysis["below"] / 2 if isinstance(analysis, dict) else np.nan if analysis is None else analysis
        )

    def bound(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        given = (heat["windows"].get(e, {}).get(name) for e in elements)
        return np.array([[np.nan if v is None else v for v in given]])

    def limit(name: str, missing: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array([missing if a.get(name) is None else a[name] for a in offered])

    figure = handbook.work_out(
        handbook.rule_of(entry, elements),
        elements,
        additives,
        np.array([[reading(e) for e in elements]]),
        handbook.aims(bound("min"), bound("aim"), bound("max")),
        np.array([heat["steel_mass_t"]]),
        Offers(
            assay_pct=np.array([[[a["assay"].get(e, 0.0) for e in elements] for a in offered]]),
            stock_kg=limit("stock_kg", np.inf),
            max_kg=limit("max_kg", np.inf),
            min_kg=limit("min_kg", 0.0),
            increment_kg=limit("increment_kg", 1.0),
            is_offered=np.ones((1, len(offered)), dtype=np.bool_),
        ),
    )
    added = dict(zip(additives, figure.added_kg[0].tolist(), strict=True))
    cost = sum(a["price_per_t"]["amount"] * added[a["additive"]] / 1000 for a in offered)
    predicted = {
        e: v for e, v in zip(elements, figure.predicted_pct[0].tolist(), strict=True) if not np.isnan(v)
    }
    skipped = [e for e, is_skipped in zip(elements, figure.is_skipped[0], strict=True) if is_skipped]
    return {a: kg for a, kg in added.items() if kg > 0}, cost, predicted, skipped


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_golden_case(case: dict[str, Any]) -> None:
    added, cost, predicted, skipped = figure_of(case)
    expected = case["expected"]

    assert added == pytest.approx({a["additive"]: a["added_kg"] for a in expected["additions"]}, abs=1e-6)
    assert cost == pytest.approx(expected["cost"]["amount"], abs=1e-6)
    assert {e: predicted[e] for e in expected["predicted_pct"]} == pytest.approx(
        expected["predicted_pct"], abs=1e-6
    )
    assert skipped == expected["skipped"]
