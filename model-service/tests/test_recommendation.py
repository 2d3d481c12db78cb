"""Recommendations: what every answer must hold, over many drawn heats."""

import itertools
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from making import alloyed, asked, offer, recent_heats, shelf, with_heat
from msgspec.structs import replace

from model_service.contracts import Additive, Recommendation, RecommendationRequest, Window
from model_service.documents import encode
from model_service.model import Bundle
from model_service.recommendation import recommend


def _kilograms(answer: Recommendation) -> dict[str, float]:
    return {addition.additive: addition.added_kg for addition in answer.additions}


def _drawn(seed: int) -> RecommendationRequest:
    """A heat with drawn state, windows, stock, steps and smallest amounts."""
    random = np.random.default_rng(seed)
    request = alloyed(confidence=float(random.choice([0.8, 0.95, 0.99])))
    additives = [
        replace(
            additive,
            stock_kg=float(random.choice([0.0, 2000.0, 9000.0, 9000.0])),
            max_kg=None if random.random() < 0.7 else float(random.uniform(100, 3000)),
            min_kg=float(random.choice([0.0, 12.0, 100.0])),
            increment_kg=float(random.choice([0.1, 1.0, 7.0, 25.0])),
        )
        for additive in request.additives
    ]
    windows = {
        element: Window(
            min=None if window.min is None else window.min * random.uniform(0.5, 1.0), max=window.max
        )
        for element, window in request.heat.windows.items()
    }
    return with_heat(
        replace(request, additives=additives),
        windows=windows,
        steel_mass_t=float(random.uniform(60, 200)),
        oxygen_ppm=float(random.uniform(100, 1900)),
    )


@pytest.mark.parametrize("seed", range(40))
def test_amounts_are_whole_increments_within_stock_maximum_and_minimum(grown: Bundle, seed: int) -> None:
    request = _drawn(seed)
    answer = recommend(grown, request)

    assert answer.status == "recommended"
    offers = {additive.additive: additive for additive in request.additives}
    assert sum(_kilograms(answer).values()) > 0
    for name, kilograms in _kilograms(answer).items():
        of = offers[name]
        assert kilograms <= min(of.stock_kg or 0.0, math.inf if of.max_kg is None else of.max_kg) + 1e-9
        assert kilograms >= of.min_kg - 1e-9
        steps = kilograms / of.increment_kg
        assert steps == pytest.approx(round(steps), abs=1e-6)


@pytest.mark.parametrize("seed", range(40))
def test_windows_hold_with_their_confidence_or_it_says_what_stops_them(grown: Bundle, seed: int) -> None:
    request = _drawn(seed)
    answer = recommend(grown, request)
    narrow = {w.where for w in answer.warnings if w.code == "window_narrower_than_noise"}
    unreached = {limit.limit.split(".")[0] for limit in answer.unreached}

    assert all(limit.stopped_by and limit.short_by > 0 for limit in answer.unreached)
    coarse = max(additive.increment_kg for additive in request.additives) > 1.0
    if unreached or coarse:
        return
    for element, estimate in answer.elements.items():
        if estimate.window is not None and f"$.heat.windows.{element}" not in narrow:
            assert estimate.probability_inside is not None
            assert estimate.probability_inside >= request.confidence - 0.01


def test_fine_steps_hold_every_window_with_its_confidence(grown: Bundle) -> None:
    for confidence in (0.6, 0.8, 0.9, 0.95):
        answer = recommend(grown, alloyed(confidence=confidence, additives=shelf_in_steps_of(0.1)))

        assert answer.unreached == []
        for element in ("Mn", "Cr", "Mo", "V", "Si", "P"):
            inside = answer.elements[element].probability_inside
            assert inside is not None
            assert inside >= confidence - 1e-3


def shelf_in_steps_of(increment_kg: float) -> list[Additive]:
    return [replace(additive, increment_kg=increment_kg) for additive in shelf()]


def test_it_is_cheaper_than_the_handbook_where_windows_are_wide(bundle: Bundle) -> None:
    answer = recommend(bundle, asked())

    assert answer.handbook is not None
    assert answer.cost is not None
    assert answer.cost.amount < answer.handbook.cost.amount


def test_rounding_loses_little(grown: Bundle) -> None:
    answer = recommend(grown, alloyed())

    assert answer.cost is not None
    assert answer.continuous_cost is not None
    one_step_each = sum(a.increment_kg * a.price_per_t.amount / 1000 for a in shelf())
    assert -one_step_each < answer.cost.amount - answer.continuous_cost.amount < one_step_each


def test_costs_add_up(grown: Bundle) -> None:
    answer = recommend(grown, alloyed())

    assert answer.cost is not None
    assert answer.cost.amount == pytest.approx(sum(addition.cost.amount for addition in answer.additions))


def test_order_of_additives_does_not_matter(grown: Bundle) -> None:
    request = alloyed()
    answers = [
        _kilograms(recommend(grown, replace(request, additives=list(order))))
        for order in (
            request.additives,
            request.additives[::-1],
            request.additives[7:] + request.additives[:7],
        )
    ]

    assert answers[0] == answers[1] == answers[2]


def test_equal_additives_are_chosen_by_name_and_not_by_place(bundle: Bundle) -> None:
    twins = [offer(name, {"Mn": 66.0, "Si": 17.0}, 1030.0, 5.0) for name in ("b", "a", "c")]
    answers = [
        _kilograms(recommend(bundle, asked(additives=list(order)))) for order in itertools.permutations(twins)
    ]

    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("name", [additive.additive for additive in shelf()])
def test_a_cheaper_price_never_raises_the_continuous_optimum(grown: Bundle, name: str) -> None:
    def optimum(factor: float) -> tuple[float, bool]:
        additives = [
            replace(a, price_per_t=replace(a.price_per_t, amount=a.price_per_t.amount * factor))
            if a.additive == name
            else a
            for a in shelf()
        ]
        answer = recommend(grown, alloyed(additives=additives))
        assert answer.continuous_cost is not None
        return answer.continuous_cost.amount, name in _kilograms(answer)

    costs, is_used = zip(*(optimum(factor) for factor in (1.2, 1.0, 0.7, 0.2)), strict=True)

    assert all(cheaper <= dearer * (1 + 1e-6) for dearer, cheaper in itertools.pairwise(costs))
    assert not is_used[1] or costs[3] < 0.999 * costs[0]  # what is used saves what its price fell by


def test_prices_of_limits_are_what_relief_saves(grown: Bundle) -> None:
    request = alloyed()
    answer = recommend(grown, request)
    price = {limit.limit: limit.price_per_unit for limit in answer.limits}
    relief = 0.0005
    windows = {**request.heat.windows, "Cr": replace(request.heat.windows["Cr"], min=0.90 - relief)}

    relieved = recommend(grown, with_heat(request, windows=windows))

    assert price["Cr.min"] is not None
    assert answer.continuous_cost is not None
    assert relieved.continuous_cost is not None
    saved = answer.continuous_cost.amount - relieved.continuous_cost.amount
    assert saved / relief == pytest.approx(price["Cr.min"].amount, rel=0.02)


def test_stock_that_binds_has_a_price_per_kilogram(grown: Bundle) -> None:
    scarce = [replace(a, stock_kg=500.0) if a.additive == "SiMn" else a for a in shelf()]

    limits = {limit.limit: limit for limit in recommend(grown, alloyed(additives=scarce)).limits}

    assert limits["SiMn.stock_kg"].bound == 500.0
    price = limits["SiMn.stock_kg"].price_per_unit
    assert price is not None
    assert price.amount > 0


def test_a_heat_that_cannot_reach_its_grade_gets_the_nearest_answer_and_what_stops_it(bundle: Bundle) -> None:
    scarce = [replace(a, stock_kg=400.0) for a in asked().additives if a.additive != "FeMnHC"]

    answer = recommend(bundle, asked(additives=scarce))

    assert _kilograms(answer)["SiMn"] == 400.0
    unreached = {limit.limit: limit for limit in answer.unreached}
    assert "SiMn.stock_kg" in unreached["Mn.min"].stopped_by
    assert unreached["Mn.min"].short_by == pytest.approx(0.7 - answer.elements["Mn"].predicted_pct, abs=0.06)


def test_an_element_that_nothing_brings_is_said_to_have_no_source(bundle: Bundle) -> None:
    windows = {**asked().heat.windows, "Nb": Window(min=0.02, max=0.03)}

    unreached = recommend(bundle, with_heat(asked(), windows=windows)).unreached

    assert [(u.limit, u.stopped_by) for u in unreached] == [
        ("Nb.min", ["no additive that is offered contains Nb"])
    ]


def test_an_element_already_too_high_cannot_be_taken_out(bundle: Bundle) -> None:
    chemistry = {**asked().heat.chemistry, "P": 0.06}

    unreached = recommend(bundle, with_heat(asked(), chemistry=chemistry)).unreached

    assert [(u.limit, u.stopped_by) for u in unreached if u.limit == "P.max"] != []


def test_nothing_offered_still_gets_an_answer(bundle: Bundle) -> None:
    answer = recommend(bundle, asked(additives=[]))

    assert (answer.status, answer.additions, answer.cost) == ("recommended", [], None)
    assert {u.limit for u in answer.unreached} == {"C.min", "Mn.min", "Si.min"}


def test_higher_confidence_stays_further_from_the_limit(bundle: Bundle) -> None:
    manganese = [
        recommend(bundle, asked(confidence=confidence)).elements["Mn"].predicted_pct
        for confidence in (0.7, 0.9, 0.99)
    ]

    assert manganese == sorted(manganese)


def test_a_smallest_amount_is_tipped_or_left_out(bundle: Bundle) -> None:
    fussy = [replace(a, min_kg=150.0) if a.additive == "FeSi75" else a for a in asked().additives]

    answer = recommend(bundle, asked(additives=fussy))

    assert _kilograms(answer).get("FeSi75", 150.0) >= 150.0
    assert answer.elements["Si"].probability_inside is not None
    assert answer.elements["Si"].probability_inside > 0.9


def test_two_lots_of_one_additive_are_two_bins(bundle: Bundle) -> None:
    simn = asked().additives[0]
    lots = [replace(simn, lot="a", stock_kg=700.0), replace(simn, lot="b"), *asked().additives[1:]]

    answer = recommend(bundle, asked(additives=lots))

    added = {(a.additive, a.lot): a.added_kg for a in answer.additions if a.additive == "SiMn"}
    assert sum(added.values()) == pytest.approx(_kilograms(recommend(bundle, asked()))["SiMn"], abs=10)
    assert added.get(("SiMn", "a"), 0.0) <= 700.0


def test_recoveries_say_why_they_differ(bundle: Bundle) -> None:
    base = recommend(bundle, asked()).elements["Mn"].base_pct
    request = asked(recent_heats=recent_heats(asked(), 8, {"Mn": base + 0.02}))

    recovery = recommend(bundle, with_heat(request, oxygen_ppm=1500.0)).recoveries["Mn"]

    assert recovery.nominal == 0.9
    said = {reason.rsplit(":", 1)[0]: float(reason.rsplit(":", 1)[1]) for reason in recovery.reasons}
    oxygen = next(what for what in said if what.startswith("oxygen to bind"))
    assert said[oxygen] < 0 < said["last 8 heats"]
    assert recovery.used == pytest.approx(0.9 + sum(said.values()), abs=0.003)


def test_threads_answer_the_same_bytes(grown: Bundle) -> None:
    requests = [_drawn(seed) for seed in range(6)]
    alone = [encode(recommend(grown, request)) for request in requests]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda request: encode(recommend(grown, request)), requests * 4))

    assert together == alone * 4


def test_the_answer_does_not_depend_on_earlier_ones(grown: Bundle) -> None:
    first = encode(recommend(grown, alloyed()))
    for seed in range(5):
        recommend(grown, _drawn(seed))

    assert encode(recommend(grown, alloyed())) == first
