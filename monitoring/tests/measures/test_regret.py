"""What a bias costs, on heats where the answer can be worked out by hand."""

from typing import Any

import pytest

from monitoring.measures.regret import regrets
from tests.diagnosis.plants import ASSAYS, Trouble, rows

HEATS = 240  # 80 of each grade
MN_EUR = 1000.0 / ASSAYS["FeMn"]["Mn"]  # 1 wt % in a tonne, by the cheapest additive


def promised(too_much_pct: float, *, min_above_pct: float | None = None) -> Trouble:
    """A model that promises so much more Mn than is measured, and a window that begins so far above the
    result."""

    def change(row: dict[str, Any]) -> None:
        row["currency"] = "EUR"
        measured = {one["element"]: one["pct"] for one in row["samples"][0]["chemistry"]}
        for one in row["weighed_predicted"]:
            one["predicted_pct"] = measured[one["element"]] + too_much_pct * (one["element"] == "Mn")
        least = 0.0 if min_above_pct is None else measured["Mn"] + min_above_pct
        row["windows"] = [{"element": "Mn", "min_pct": least, "aim_pct": None, "max_pct": 9.0}]

    return Trouble(change=change)


def test_a_model_that_is_right_on_average_costs_nothing() -> None:
    found = regrets(rows(HEATS, promised(0.0)), price_per_miss_per_t=50.0)

    assert sum(one.heats for one in found) == 2 * HEATS
    assert all(one.per_t == pytest.approx(0.0, abs=1e-9) for one in found)


def test_a_model_that_promises_too_little_has_too_much_added() -> None:
    found = regrets(rows(HEATS, promised(-0.05)), price_per_miss_per_t=50.0)

    assert all(one.per_t == one.additives_per_t == pytest.approx(0.05 * MN_EUR, rel=0.02) for one in found)


def test_a_model_that_promises_too_much_saves_additions_and_pays_for_misses() -> None:
    found = regrets(rows(HEATS, promised(0.05, min_above_pct=0.02)), price_per_miss_per_t=50.0)

    assert all(one.additives_per_t == pytest.approx(-0.05 * MN_EUR, rel=0.02) for one in found)
    assert all(one.per_t - one.additives_per_t == pytest.approx(50.0) for one in found)
    assert all(one.sd >= 50.0 / one.heats for one in found)


def test_a_miss_that_the_bias_does_not_explain_is_not_charged_to_it() -> None:
    found = regrets(rows(HEATS, promised(0.05, min_above_pct=0.2)), price_per_miss_per_t=50.0)

    assert all(one.per_t == one.additives_per_t for one in found)
