"""Limits beside the windows, what a grade forbids, and margin by the price of a miss."""

import pytest
from making import alloyed, asked, offer, shelf, with_heat
from msgspec.structs import replace

from model_service.contracts import Money, Recommendation, Window
from model_service.model import Bundle, make_bundle
from model_service.parameters import TemperatureModel
from model_service.recommendation import recommend

CARBON_EQUIVALENT = {"C": 1.0, "Mn": 1 / 6, "Cr": 1 / 5, "Mo": 1 / 5, "V": 1 / 5, "Ni": 1 / 15, "Cu": 1 / 15}


def _kilograms(answer: Recommendation) -> dict[str, float]:
    return {addition.additive: addition.added_kg for addition in answer.additions}


def _carbon_equivalent(answer: Recommendation) -> float:
    return sum(CARBON_EQUIVALENT.get(e, 0.0) * found.predicted_pct for e, found in answer.elements.items())


def _cost(answer: Recommendation) -> float:
    assert answer.cost is not None
    return answer.cost.amount


def _inside(answer: Recommendation) -> float:
    product = 1.0
    for estimate in answer.elements.values():
        product *= 1.0 if estimate.probability_inside is None else estimate.probability_inside
    return product


def test_the_carbon_equivalent_is_kept_with_its_confidence_and_told_where_it_binds(bundle: Bundle) -> None:
    free = recommend(bundle, asked())
    limit = round(_carbon_equivalent(free) - 0.005, 4)

    held = recommend(bundle, with_heat(asked(), carbon_equivalent_max=limit + 0.06))
    squeezed = recommend(bundle, with_heat(asked(), carbon_equivalent_max=limit))

    assert _carbon_equivalent(held) < limit + 0.06
    assert "CEV.max" not in [short.limit for short in held.unreached]
    assert [(short.limit, short.unit) for short in squeezed.unreached if short.limit == "CEV.max"] == [
        ("CEV.max", "pct")
    ]


def _with_temperature(bundle: Bundle) -> Bundle:
    tapping = bundle.parameters.stations["tapping"]
    after = TemperatureModel(offset_c=-50.0, sd_c=4.0)
    stations = {**bundle.parameters.stations, "tapping": replace(tapping, temperature=after)}
    return make_bundle(replace(bundle.parameters, stations=stations), bundle.trees.texts)


def test_a_least_temperature_makes_it_choose_what_chills_less(bundle: Bundle) -> None:
    warm = _with_temperature(bundle)
    cold_alloy = offer("cheap", {"Mn": 76.0}, 900.0, 5.0, chill_c_per_kg_t=-6.0)
    warm_alloy = offer("dear", {"Mn": 76.0}, 1200.0, 5.0, chill_c_per_kg_t=-1.0)
    windows = {"Mn": Window(min=0.70, max=1.0)}
    request = with_heat(asked(additives=[cold_alloy, warm_alloy]), windows=windows)

    free = recommend(warm, request)
    held = recommend(warm, with_heat(request, temperature_after_min_c=1575.0))

    assert "dear" not in _kilograms(free)
    assert "dear" in _kilograms(held)
    assert held.temperature is not None
    assert held.temperature.predicted_c > 1575.0
    assert "temperature.min" in [limit.limit for limit in held.limits]
    assert next(limit for limit in held.limits if limit.limit == "temperature.min").unit == "c"


def test_a_heat_too_cold_gets_an_answer_and_is_told(bundle: Bundle) -> None:
    answer = recommend(_with_temperature(bundle), with_heat(asked(), temperature_after_min_c=1640.0))

    assert answer.status == "recommended"
    assert [short.unit for short in answer.unreached if short.limit == "temperature.min"] == ["c"]


def test_what_the_grade_forbids_is_not_recommended(bundle: Bundle) -> None:
    assert "SiMn" in _kilograms(recommend(bundle, asked()))

    answer = recommend(bundle, with_heat(asked(), forbidden_additives=["SiMn"]))

    assert answer.status == "recommended"
    assert "SiMn" not in _kilograms(answer)


def test_microalloys_only_where_the_steel_is_killed(bundle: Bundle) -> None:
    killed = recommend(bundle, alloyed())
    windows = {"V": Window(min=0.03, max=0.06), "C": Window(min=0.2, max=0.4)}
    rimming = recommend(bundle, with_heat(alloyed(), windows=windows))

    assert {"FeV80", "FeV50"} & _kilograms(killed).keys()
    assert not {"FeV80", "FeV50"} & _kilograms(rimming).keys()
    assert "not_killed" in [warning.code for warning in rimming.warnings]
    assert "V.min" in [short.limit for short in rimming.unreached]


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_a_price_of_a_miss_buys_margin_and_never_gives_any_away(bundle: Bundle, confidence: float) -> None:
    request = replace(asked(additives=shelf()), confidence=confidence)
    answers = [
        recommend(
            bundle,
            with_heat(
                request, price_of_a_miss=None if price is None else Money(amount=price, currency="EUR")
            ),
        )
        for price in (None, 100.0, 2_000.0, 20_000.0)
    ]

    inside, costs = [_inside(answer) for answer in answers], [_cost(answer) for answer in answers]
    assert inside[0] < inside[2] < inside[3]
    assert costs[0] < costs[2] < costs[3]
    for price, answer in zip((100.0, 2_000.0, 20_000.0), answers[1:], strict=True):
        for other in answers:
            tolerance = 10.0  # steps of bags
            assert (
                _cost(answer) + price * (1 - _inside(answer))
                <= _cost(other) + price * (1 - _inside(other)) + tolerance
                or _inside(other) < inside[0]
            )


def test_a_price_of_a_miss_in_another_currency_counts_for_nothing(bundle: Bundle) -> None:
    plain = recommend(bundle, asked())

    answer = recommend(bundle, with_heat(asked(), price_of_a_miss=Money(amount=6000.0, currency="USD")))

    assert answer.additions == plain.additions


def test_a_residual_out_of_reach_is_not_diluted_for_more_than_the_miss_costs(bundle: Bundle) -> None:
    """Half a tonne of ferrovanadium was once tipped to thin out copper by a hundredth."""
    copper = {**alloyed().heat.windows, "Cu": Window(max=0.10)}
    chemistry = {**alloyed().heat.chemistry, "Cu": 0.12}
    price = Money(amount=6000.0, currency="EUR")
    usual = recommend(bundle, with_heat(alloyed(), price_of_a_miss=price))

    answer = recommend(
        bundle, with_heat(alloyed(), price_of_a_miss=price, windows=copper, chemistry=chemistry)
    )

    assert "Cu.max" in [limit.limit for limit in answer.unreached]
    assert answer.cost is not None
    assert usual.cost is not None
    assert answer.cost.amount < usual.cost.amount + 6000.0
