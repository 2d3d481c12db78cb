"""The figures, each on heats where the answer can be seen."""

from typing import Any

import polars as pl
import pytest

from monitoring.measures.summary import Summary, assess, merged, summarise
from monitoring.measures.treatments import of_the_bus
from tests.generator import completed
from tests.lake_rows import as_rows, heat


def summary(*heats: dict[str, Any]) -> Summary:
    return summarise(assess(as_rows(heats)))


def decided(number: int, **added_kg: float) -> dict[str, Any]:
    """A heat where SiMn 1000, FeSi75 80 were recommended (increments 5 kg) and `added_kg` was decided."""
    data = completed(number)
    data["y"]["additions"] = [
        {"additive": "SiMn", "lot": "SM-118", "added_kg": 1000.0},
        {"additive": "FeSi75", "lot": "FS-260", "added_kg": 80.0},
    ]
    data["y_prime"]["decision"]["additions"] = [
        {"additive": additive, "lot": None, "added_kg": kg} for additive, kg in added_kg.items()
    ]
    return data


def test_nothing_collected_gives_no_figures() -> None:
    assert summary() == Summary()


class TestPredictionError:
    def test_is_predicted_minus_measured_of_the_final_sample(self) -> None:
        mn = summary(heat(1, Mn=0.786), heat(2, Mn=0.746)).elements["Mn"]

        assert mn.n == 2
        assert mn.bias_pct == pytest.approx((-0.01 + 0.03) / 2)
        assert mn.mae_pct == pytest.approx((0.01 + 0.03) / 2)

    def test_covers_what_lies_in_the_interval(self) -> None:
        heats = [heat(n, Mn=pct) for n, pct in enumerate([0.7431, 0.776, 0.8089, 0.81], start=1)]

        assert summary(*heats).elements["Mn"].coverage_90 == 0.75

    def test_leaves_out_what_was_not_measured_or_not_predicted(self) -> None:
        found = summary(heat(1, C=0.19, Si={"below": 0.005}, Mn=None, Cu=0.2)).elements

        assert {element: error.n for element, error in found.items()} == {"C": 1}

    def test_takes_the_last_final_sample(self) -> None:
        data = heat(1, Mn=0.776)
        final = data["x_prime"]["samples"][0]
        data["x_prime"]["samples"] = [
            final | {"sample_id": "S3", "sampled_at": "2026-03-02T06:12:00Z", "chemistry": {"Mn": 0.75}},
            final,
            final | {"sample_id": "S4", "sampled_at": "2026-03-02T06:20:00Z", "is_final": False},
        ]

        assert summary(data).elements["Mn"].bias_pct == pytest.approx(0.026)

    def test_counts_the_revision_in_force_only(self) -> None:
        found = summary(heat(1, Mn=0.5), heat(1, revision=3, Mn=0.776), heat(1, revision=2, Mn=0.6))

        assert found.heats == 1
        assert found.elements["Mn"].mae_pct == pytest.approx(0.0)


class TestInWindow:
    @pytest.mark.parametrize(
        ("chemistry", "rate"),
        [
            ({"C": 0.19, "Si": 0.2, "Mn": 0.8, "P": 0.02, "Cu": 0.2}, 1.0),
            ({"C": 0.17, "Si": 0.35, "Mn": 0.7, "P": 0.04, "Cu": 0.55}, 1.0),  # the ends belong to the window
            ({"C": 0.19, "Si": 0.2, "Mn": 0.69, "P": 0.02, "Cu": 0.2}, 0.0),
            ({"C": 0.19, "Si": 0.2, "Mn": 0.8, "P": 0.041, "Cu": 0.2}, 0.0),
            ({"C": 0.19, "Mn": None}, 1.0),  # judged by what was measured
            ({"P": {"below": 0.002}}, 1.0),
            ({"Mn": {"below": 0.002}}, 0.0),
            ({"P": {"below": 0.05}}, None),  # may be on either side
            ({"V": 0.1}, None),  # has no window
        ],
    )
    def test_is_every_element_with_a_window_jointly(
        self, chemistry: dict[str, Any], rate: float | None
    ) -> None:
        found = summary(heat(1, **chemistry))

        assert found.in_window_rate == rate
        assert found.in_window_n == (rate is not None)

    def test_an_aim_without_bounds_is_no_window(self) -> None:
        data = heat(1, Mn=0.1)
        data["x"]["heat"]["windows"] = {"Mn": {"aim": 0.8}}

        assert summary(data).in_window_n == 0


class TestCost:
    def test_is_the_cost_of_all_over_the_mass_of_all(self) -> None:
        small, large = completed(1), completed(2)
        for data, mass_t, kg in ((small, 100.0, 1000.0), (large, 300.0, 0.0)):
            data["x"]["heat"]["steel_mass_t"] = mass_t
            data["y_prime"]["weighed"] = [data["y_prime"]["weighed"][0] | {"added_kg": kg}]
        cost = summary(small, large).cost_per_t

        assert cost is not None
        assert cost.amount == pytest.approx(1030 / 400)
        assert cost.currency == "EUR"

    def test_leaves_out_heats_whose_cost_is_not_known(self) -> None:
        known, unknown = completed(1), completed(2)
        unknown["y_prime"]["weighed"] = []

        assert summary(known, unknown).cost_per_t == summary(known).cost_per_t
        assert summary(unknown).cost_per_t is None


class TestOverrides:
    @pytest.mark.parametrize(
        ("added_kg", "rate"),
        [
            ({"SiMn": 1000, "FeSi75": 80}, 0.0),
            ({"SiMn": 1020, "FeSi75": 85}, 0.0),  # 2 %, one increment
            ({"SiMn": 1021, "FeSi75": 80}, 1.0),
            ({"SiMn": 1000, "FeSi75": 74}, 1.0),
            ({"SiMn": 1000}, 1.0),
            ({"SiMn": 1000, "FeSi75": 80, "coke": 1}, 0.0),
            ({"SiMn": 1000, "FeSi75": 80, "coke": 2}, 1.0),
        ],
    )
    def test_differ_by_more_than_the_increment_or_two_percent(
        self, added_kg: dict[str, float], rate: float
    ) -> None:
        found = summary(decided(1, **added_kg))

        assert (found.override_rate, found.decided_n) == (rate, 1)

    def test_count_only_what_was_shown_in_time(self) -> None:
        late, unseen, undecided, of_another = (decided(n, SiMn=1) for n in range(1, 5))
        late["y_prime"]["decision"]["shown_at"] = "2026-03-02T06:03:01Z"
        unseen["y_prime"]["decision"]["shown_at"] = None
        undecided["y_prime"]["decision"] = None
        of_another["y_prime"]["decision"]["recommendation_id"] = "0190f2c4-7a11-7c55-8a55-2b7d5a1fffff"
        found = summary(late, unseen, undecided, of_another)

        assert (found.override_rate, found.decided_n) == (None, 0)

    def test_lots_of_one_additive_count_together(self) -> None:
        data = decided(1, SiMn=400, FeSi75=80)
        data["y_prime"]["decision"]["additions"].append(
            {"additive": "SiMn", "lot": "SM-2", "added_kg": 600.0}
        )

        assert summary(data).override_rate == 0.0


def test_fallback_is_the_share_of_recommendations_by_the_handbook() -> None:
    model, handbook, none = completed(1), completed(2), completed(3)
    handbook["y"]["source"] = "handbook"
    none["y"] = None

    assert summary(model, handbook, none).fallback_rate == 0.5


def test_imported_rows_and_other_plants_are_not_ours() -> None:
    rows = as_rows([completed(number) for number in range(1, 5)]).with_columns(
        origin=pl.when(pl.col("stream_seq") == 1).then(pl.lit("import")).otherwise("origin"),
        plant_id=pl.when(pl.col("stream_seq") == 2).then(pl.lit("other")).otherwise("plant_id"),
    )

    assert summarise(assess(of_the_bus(rows))).heats == 3
    assert summarise(assess(of_the_bus(rows, "demo"))).heats == 2


def test_judging_in_parts_gives_the_same_as_at_once() -> None:
    heats = [completed(number) for number in (1, 2, 3, 4)]
    corrected = [heat(2, revision=2, Mn=0.6), completed(5)]
    parts = merged(assess(as_rows(heats)), assess(as_rows(corrected)))
    at_once = assess(as_rows([*heats, *corrected]))

    assert parts.errors.equals(at_once.errors)
    assert summarise(parts) == summarise(at_once)
