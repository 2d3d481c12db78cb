"""Hard limits hold whoever recommends; an override is a difference that a scale did not make."""

from backend.recommendations.limits import broken_limits, differences
from backend.shapes import Addition, Additive, PricePerT

PRICE = PricePerT.model_validate({"amount": 1000.0, "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z"})


def offer(name: str = "SiMn", stock_kg: float | None = 500.0, max_kg: float | None = 400.0) -> Additive:
    return Additive(
        additive=name,
        assay={"Mn": 66.0},
        price_per_t=PRICE,
        stock_kg=stock_kg,
        max_kg=max_kg,
        increment_kg=5.0,
    )


def kg(added_kg: float, name: str = "SiMn") -> Addition:
    return Addition(additive=name, added_kg=added_kg)


class TestBrokenLimits:
    def test_within_all_limits_nothing_is_broken(self) -> None:
        assert broken_limits([kg(400.0)], [offer()], 120.0) == []

    def test_the_kilograms_of_one_additive_count_together(self) -> None:
        assert broken_limits([kg(250.0), kg(250.0)], [offer()], 120.0) == [
            "SiMn 500 kg is more than 400 kg per treatment"
        ]

    def test_stock_is_a_limit(self) -> None:
        assert broken_limits([kg(350.0)], [offer(stock_kg=300.0)], 120.0) == [
            "SiMn 350 kg is more than the 300 kg in stock"
        ]

    def test_what_is_not_offered_cannot_be_added(self) -> None:
        assert broken_limits([kg(1.0, "gold")], [offer()], 120.0) == [
            "gold is not among what can be added: SiMn"
        ]

    def test_more_than_a_ladle_can_take_is_not_plausible(self) -> None:
        unlimited = offer(stock_kg=None, max_kg=None)

        assert broken_limits([kg(18_001.0)], [unlimited], 120.0) == [
            "18001 kg in 120 t of steel is more than 150 kg per tonne"
        ]

    def test_a_ladle_that_cannot_be_is_not_plausible(self) -> None:
        assert broken_limits([], [offer()], 0.119) == ["0.119 t of steel is not between 1 and 500 t"]
        assert broken_limits([], [offer()], 119_400.0) == ["119400 t of steel is not between 1 and 500 t"]


class TestDifferences:
    def test_a_bag_or_two_percent_is_no_override(self) -> None:
        assert differences([kg(1005.0)], [kg(1000.0)], [offer()]) == []
        assert differences([kg(1020.0)], [kg(1000.0)], [offer()]) == []

    def test_more_than_that_is_one(self) -> None:
        assert differences([kg(1025.0)], [kg(1000.0)], [offer()]) == ["SiMn"]

    def test_an_additive_left_out_or_added_is_one(self) -> None:
        assert differences([kg(10.0, "coke")], [kg(10.0)], [offer(), offer("coke")]) == ["coke", "SiMn"]
