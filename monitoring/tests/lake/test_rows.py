"""From event to row."""

import json
from copy import deepcopy
from typing import Any

import pytest

from monitoring.lake.tables import delta_schema
from tests.generator import EXAMPLES, WHOLE, completed
from tests.lake_rows import as_row, as_rows


def example(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((EXAMPLES / "valid" / f"{name}.json").read_text())
    return data


@pytest.mark.parametrize("path", sorted((EXAMPLES / "valid").glob("*.json")), ids=lambda path: path.stem)
def test_each_example_makes_a_row_with_every_column_of_the_table(path: Any) -> None:
    data = json.loads(path.read_text())

    assert set(as_row(data)) == {field.name for field in delta_schema("heats").fields}
    assert as_rows([data]).collect().height == 1


def test_what_was_sent_is_in_the_row() -> None:
    row = as_row(WHOLE)

    assert (row["origin"], row["stream"], row["stream_seq"]) == ("bus", "PRODUCT then", 1)
    assert row["steel_mass_t"] == 119.4
    assert {"element": "Si", "pct": None, "below_pct": 0.005} in row["chemistry"]
    assert {"element": "V", "pct": None, "below_pct": None} in row["chemistry"]
    assert {"element": "P", "min_pct": None, "aim_pct": None, "max_pct": 0.04} in row["windows"]
    assert row["model_version"] == "3"
    assert row["recommended_cost"] == 1612.87
    assert row["handbook_cost"] == 1664.37
    assert row["handbook"][0]["added_kg"] == 1425.0
    assert [one["element"] for one in row["weighed_predicted"]] == ["C", "Si", "Mn"]
    assert row["weighed_bundle_hash"] == "ab" * 32


def test_the_handbooks_recommendation_predicts_nothing_and_is_the_handbooks() -> None:
    data = example("handbook-answered")
    row = as_row(data)

    assert row["recommendation_source"] == "handbook"
    assert row["recommended_predicted"] == []
    assert [one["added_kg"] for one in row["handbook"]] == [one["added_kg"] for one in data["y"]["additions"]]


def test_without_a_decision_its_columns_are_empty() -> None:
    row = as_row(example("nobody-decided"))

    assert row["decision_id"] is row["decided_at"] is row["shown_at"] is None
    assert row["decided"] == []


def test_a_later_revision_replaces_the_earlier_one_of_the_same_id() -> None:
    data = completed(1)
    weighed, samples = data["y_prime"]["weighed"], data["x_prime"]["samples"]
    weighed.append(weighed[0] | {"revision": 3, "added_kg": 1})
    weighed.append(weighed[0] | {"revision": 2, "added_kg": 2})
    samples.append(samples[0] | {"revision": samples[0]["revision"] + 1, "chemistry": {"Mn": 0.5}})
    row = as_row(data)

    assert [one["added_kg"] for one in row["weighed"]] == [1, 79.0, 147.0]
    assert [one["chemistry"] for one in row["samples"]] == [
        [{"element": "Mn", "pct": 0.5, "below_pct": None}]
    ]


def test_a_decision_keeps_the_recommendation_that_it_was_made_on() -> None:
    data = completed(1)
    data["y_prime"]["decision"]["recommendation_id"] = "0190f2c4-7a11-7c55-8a55-2b7d5a1fffff"
    row = as_row(data)

    assert row["decided_recommendation_id"] == "0190f2c4-7a11-7c55-8a55-2b7d5a1fffff"
    assert row["recommendation_id"] != row["decided_recommendation_id"]
    assert row["shown_at"] is not None


class TestWeighedCost:
    def test_is_kilograms_times_the_price_of_the_heat(self) -> None:
        row = as_row(completed(1))

        assert row["weighed_cost"] == pytest.approx(1427 * 1.03 + 79 * 1.6 + 147 * 0.47)
        assert row["currency"] == "EUR"

    def test_takes_the_price_of_the_lot_that_was_tipped(self) -> None:
        data = completed(1)
        dearer = deepcopy(data["x"]["additives"][0]) | {"lot": "SM-119"}
        dearer["price_per_t"]["amount"] = 2000.0
        data["x"]["additives"].append(dearer)
        data["y_prime"]["weighed"] = [data["y_prime"]["weighed"][0] | {"lot": "SM-119", "added_kg": 1000}]

        assert as_row(data)["weighed_cost"] == 2000.0

    def test_is_not_known_where_a_price_is_missing(self) -> None:
        data = completed(1)
        data["y_prime"]["weighed"][2]["additive"] = "something else"

        assert as_row(data)["weighed_cost"] is None

    def test_is_not_known_across_currencies(self) -> None:
        data = completed(1)
        for additive in data["x"]["additives"]:
            additive["price_per_t"]["currency"] = "USD"

        assert as_row(data)["weighed_cost"] is None
        assert as_row(data)["currency"] == "EUR"

    def test_of_nothing_is_zero_only_where_nothing_was_decided(self) -> None:
        missing, nothing = completed(1), completed(2)
        missing["y_prime"]["weighed"] = nothing["y_prime"]["weighed"] = []
        nothing["y_prime"]["decision"]["additions"] = []

        assert as_row(missing)["weighed_cost"] is None
        assert as_row(nothing)["weighed_cost"] == 0.0
