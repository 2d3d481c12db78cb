"""What is said to have changed since the last heat."""

from making import asked, offer, recent_heats, with_heat
from msgspec.structs import replace

from model_service.contracts import RecommendationRequest
from model_service.model import Bundle
from model_service.recommendation import recommend


def _said(bundle: Bundle, request: RecommendationRequest) -> dict[str, str]:
    return {change.code: change.text for change in recommend(bundle, request).changes}


def test_nothing_to_say_without_a_heat_before_or_where_all_is_as_it_was(bundle: Bundle) -> None:
    same = asked(recent_heats=recent_heats(asked(), 3, {"Mn": 0.8}))

    assert _said(bundle, asked()) == _said(bundle, same) == {}


def test_grade_readings_lots_prices_and_offers_are_compared_with_the_newest_heat(bundle: Bundle) -> None:
    old = recent_heats(with_heat(asked(), grade="older"), 1, {"Mn": 0.8}, completed_at="2025-12-31T00:00:00Z")
    recent = [*recent_heats(asked(), 2, {"Mn": 0.8}), *old]
    kept = [a for a in asked().additives if a.additive != "coke"]
    silicomanganese = replace(kept[0], lot="SM-2", price_per_t=replace(kept[0].price_per_t, amount=1200.0))
    offers = [silicomanganese, *kept[1:], offer("FeV80", {"V": 80.0}, 21500.0, 5.0)]

    said = _said(
        bundle, with_heat(asked(additives=offers, recent_heats=recent), grade="C45E", oxygen_ppm=400.0)
    )

    assert said == {
        "grade_changed": "grade C45E after B500B",
        "oxygen_ppm_changed": "dissolved oxygen 400 ppm after 812",
        "lot_changed": "SiMn: lot SM-2 after unnamed",
        "price_changed": "SiMn: 1200 EUR/t after 1030",
        "additive_new": "FeV80 is offered again",
        "additive_gone": "coke is not offered any more",
    }
