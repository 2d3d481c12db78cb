"""When the model says nothing, and when it only warns."""

from typing import Any

import pytest
from making import asked, offer, with_heat
from msgspec.structs import replace

from model_service.contracts import RecommendationRequest, Window
from model_service.model import Bundle
from model_service.recommendation import recommend


def _heat(**fields: Any) -> RecommendationRequest:
    return with_heat(asked(), **fields)


def _station(name: str) -> RecommendationRequest:
    return _heat(treatment=replace(asked().heat.treatment, station=name))


def _chemistry(**values: float | None) -> RecommendationRequest:
    return _heat(chemistry={**asked().heat.chemistry, **values})


def _windows(**windows: Window) -> RecommendationRequest:
    return _heat(windows={**asked().heat.windows, **windows})


def _offers(**fields: Any) -> RecommendationRequest:
    first, *others = asked().additives
    return asked(additives=[replace(first, **fields), *others])


DOLLARS = replace(asked().additives[0].price_per_t, currency="USD")
ASTRONOMICAL = replace(asked().additives[0].price_per_t, amount=1e300)


@pytest.mark.parametrize(
    ("request_", "code", "where"),
    [
        (_station("converter"), "station_not_modelled", "$.heat.treatment.station"),
        (_heat(steel_mass_t=2000.0), "outside_training_range", "$.heat.steel_mass_t"),
        (_heat(steel_mass_t=1e-9), "outside_training_range", "$.heat.steel_mass_t"),
        (_heat(oxygen_ppm=2900.0), "outside_training_range", "$.heat.oxygen_ppm"),
        (_chemistry(C=4.2), "outside_training_range", "$.heat.chemistry.C"),
        (_chemistry(C=60.0, Mn=60.0), "chemistry_contradictory", "$.heat.chemistry"),
        (_heat(windows={}), "no_windows", "$.heat.windows"),
        (_heat(windows={"Mn": Window(aim=0.8)}), "no_windows", "$.heat.windows"),
        (_windows(Mn=Window(min=0.9, max=0.8)), "window_contradictory", "$.heat.windows.Mn"),
        (_windows(Mn=Window(min=0.7, aim=0.9, max=0.8)), "window_contradictory", "$.heat.windows.Mn"),
        (_windows(W=Window(min=0.1)), "element_not_modelled", "$.heat.windows.W"),
        (_chemistry(C=None), "not_measured", "$.heat.chemistry.C"),
        (_heat(windows={"W": Window(max=1.0)}), "nothing_to_judge", "$.heat.windows"),
        (_offers(assay={"Mn": 80.0, "Si": 40.0}), "assay_contradictory", "$.additives[0].assay"),
        (_offers(price_per_t=DOLLARS), "currencies_differ", "$.additives"),
        (_offers(price_per_t=ASTRONOMICAL), "price_impossible", "$.additives[0].price_per_t.amount"),
        (_offers(increment_kg=1e-300), "increment_impossible", "$.additives[0].increment_kg"),
        (asked(additives=asked().additives[:1] * 2), "additive_twice", "$.additives[1]"),
    ],
)
def test_it_abstains_with_the_reason_and_the_place(
    bundle: Bundle, request_: RecommendationRequest, code: str, where: str
) -> None:
    answer = recommend(bundle, request_)

    assert answer.status == "abstained"
    assert (code, where) in [(reason.code, reason.where) for reason in answer.abstention_reasons]
    assert all(reason.text for reason in answer.abstention_reasons)
    assert (answer.additions, answer.elements, answer.cost) == ([], {}, None)


def test_an_abstention_still_carries_the_handbook(bundle: Bundle) -> None:
    assert recommend(bundle, _heat(oxygen_ppm=2900.0)).handbook is not None


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"temperature_c": 0.0}, "$.heat.temperature_c"),
        ({"temperature_c": 1805.0}, "$.heat.temperature_c"),
        ({"oxygen_ppm": 9999.0}, "$.heat.oxygen_ppm"),
        ({"oxygen_ppm": 0.0}, "$.heat.oxygen_ppm"),
    ],
)
def test_a_reading_that_cannot_be_counts_as_missing(bundle: Bundle, fields: Any, where: str) -> None:
    answer = recommend(bundle, _heat(**fields))
    missing = recommend(bundle, _heat(**dict.fromkeys(fields)))

    assert answer.status == "recommended"
    assert ("reading_impossible", where) in [(w.code, w.where) for w in answer.warnings]
    assert answer.additions == missing.additions


def test_a_missing_reading_is_told_and_replaced(bundle: Bundle) -> None:
    answer = recommend(bundle, _heat(oxygen_ppm=None))

    assert [w.text for w in answer.warnings if w.code == "reading_missing"] == [
        "oxygen not measured; the usual 800 ppm is taken"
    ]


def test_a_reading_a_little_outside_training_is_taken_at_the_edge(bundle: Bundle) -> None:
    answer = recommend(bundle, _heat(oxygen_ppm=2100.0))
    edge = recommend(bundle, _heat(oxygen_ppm=2000.0))

    assert answer.additions == edge.additions
    assert "reading_at_edge" in [w.code for w in answer.warnings]


def test_an_element_only_limited_above_and_not_known_is_told(bundle: Bundle) -> None:
    answer = recommend(bundle, _windows(W=Window(max=0.1)))

    assert answer.status == "recommended"
    assert ("element_not_judged", "$.heat.windows.W") in [(w.code, w.where) for w in answer.warnings]


@pytest.mark.parametrize(
    "request_",
    [
        _offers(stock_kg=1e308),
        _offers(min_kg=1e308),
        _offers(max_kg=5e-324),
        _offers(increment_kg=1e308),
        _offers(chill_c_per_kg_t=1e308),
        _offers(metallic_yield=0.0),
        _offers(assay={}),
        _offers(assay={"Mn": 5e-324}),
        _heat(features={"anything": 1e308}),
        asked(confidence=1 - 1e-16),
        asked(confidence=0.5 + 1e-15),
        _windows(Mn=Window(min=0.8, max=0.8)),
        _windows(Mn=Window(min=0.0, max=0.0)),
        _windows(Mn=Window(min=100.0, max=100.0)),
        asked(additives=[offer(f"free {i}", {"Mn": 50.0}, 0.0, 1.0) for i in range(64)]),
    ],
)
def test_odd_but_valid_numbers_get_an_answer(bundle: Bundle, request_: RecommendationRequest) -> None:
    answer = recommend(bundle, request_)

    assert answer.status in ("recommended", "abstained")
    assert all(0 < a.added_kg < 50_000 for a in answer.additions)
