"""The predicted outcome, against the equations of `parameters`."""

import math
from itertools import pairwise
from typing import Any

import pytest
from making import alloyed, asked, offer, recent_heats, with_heat
from msgspec.structs import replace

from model_service.contracts import (
    Addition,
    Additive,
    Below,
    ElementEstimate,
    Heat,
    Prediction,
    PredictionRequest,
    RecommendationRequest,
    Window,
)
from model_service.model import Bundle, make_bundle
from model_service.parameters import (
    AssumedFirst,
    ElementModel,
    FirstReading,
    Parameters,
    TemperatureModel,
    UsualFirst,
)
from model_service.prediction import predict
from model_service.recommendation import recommend


def _predict(bundle: Bundle, request: RecommendationRequest, **added_kg: float) -> Prediction:
    return predict(
        bundle,
        PredictionRequest(
            heat=request.heat,
            additives=request.additives,
            additions=[Addition(additive=name, added_kg=kg) for name, kg in added_kg.items()],
            recent_heats=request.recent_heats,
        ),
    )


def test_prediction_is_the_mass_balance(bundle: Bundle) -> None:
    request = with_heat(asked(), treatment=replace(asked().heat.treatment, station="ladle_furnace"))

    mn = _predict(bundle, request, SiMn=1000.0).elements["Mn"]

    slope = (0.99 * 66.0 - 0.80) / (1000 * 119.4)
    assert mn.slope_pct_per_kg["SiMn"] == pytest.approx(slope)
    assert mn.predicted_pct == mn.base_pct == pytest.approx(0.09 + 1000 * slope)
    added = 66.0 / 119.4
    assert mn.sd_pct == pytest.approx(math.hypot(0.010, 0.02 * added))
    assert mn.interval_pct.high - mn.interval_pct.low == pytest.approx(2 * 1.6448536 * mn.sd_pct)


def test_oxygen_lowers_what_stays(bundle: Bundle) -> None:
    low, high = (
        _predict(bundle, with_heat(asked(), oxygen_ppm=ppm), SiMn=1000.0).elements["Si"]
        for ppm in (400.0, 1200.0)
    )

    assert 0.02 < low.predicted_pct - high.predicted_pct < 0.06


def test_silicon_protects_manganese(bundle: Bundle) -> None:
    slope = _predict(bundle, asked(), SiMn=1000.0).elements["Mn"].slope_pct_per_kg

    per_pct_of_silicon = slope["FeSi75"] * 1000 * 119.4 / 75.5
    assert 0.1 < per_pct_of_silicon < 0.4


@pytest.mark.parametrize("name", [a.additive for a in alloyed().additives])
def test_more_of_an_additive_never_predicts_less_of_its_elements(grown: Bundle, name: str) -> None:
    request = with_heat(alloyed(), chemistry={**alloyed().heat.chemistry, "Al": 0.003})
    assay = next(a for a in request.additives if a.additive == name).assay
    answers = [_predict(grown, request, **{name: kg}).elements for kg in (0.0, 1.0, 100.0, 2000.0)]

    brought = [e for e, pct in assay.items() if e in answers[0] and pct > 2 * answers[0][e].predicted_pct + 2]
    assert brought
    for element in brought:
        predicted = [elements[element].predicted_pct for elements in answers]
        assert all(less < more for less, more in pairwise(predicted))


def test_the_slopes_predict_every_edit_exactly(grown: Bundle) -> None:
    request = alloyed(recent_heats=recent_heats(alloyed(), 5, {"Mn": 0.75, "Si": 0.2}))
    before = _predict(grown, request, SiMn=900.0, coke=200.0).elements
    after = _predict(grown, request, SiMn=1000.0, coke=150.0).elements

    for element, estimate in before.items():
        slope = estimate.slope_pct_per_kg
        edited = estimate.predicted_pct + 100.0 * slope["SiMn"] - 50.0 * slope["coke"]
        assert after[element].predicted_pct == pytest.approx(edited, abs=1e-12)


def test_what_is_not_measured_is_not_zero(bundle: Bundle) -> None:
    chemistry = {"C": 0.06, "Mn": None, "Si": Below(below=0.01), "Cr": None}

    answer = _predict(bundle, with_heat(asked(), chemistry=chemistry), SiMn=1000.0)

    assert answer.elements.keys() == {"C", "Mn", "P", "Si"}
    assumed = [remark.where for remark in answer.warnings if remark.code == "first_analysis_assumed"]
    assert assumed == ["$.heat.chemistry.Mn", "$.heat.chemistry.P"]
    measured = _predict(bundle, with_heat(asked(), chemistry={**chemistry, "Mn": 0.0}), SiMn=1000.0)
    assert answer.elements["Mn"].sd_pct == pytest.approx(math.hypot(measured.elements["Mn"].sd_pct, 0.03))


def test_the_lot_that_was_weighed_gives_the_assay(bundle: Bundle) -> None:
    request = with_heat(asked(), treatment=replace(asked().heat.treatment, station="ladle_furnace"))
    lean = offer("SiMn", {"Mn": 60.0, "Si": 17.0}, 1030.0, 5.0, lot="lean")
    rich = offer("SiMn", {"Mn": 70.0, "Si": 17.0}, 1030.0, 5.0, lot="rich")

    def manganese(offers: list[Additive], lot: str) -> float:
        additions = [Addition(additive="SiMn", lot=lot, added_kg=1000.0)]
        asked_for = PredictionRequest(heat=request.heat, additives=offers, additions=additions)
        return predict(bundle, asked_for).elements["Mn"].predicted_pct

    assert manganese([lean, rich], "rich") == manganese([rich, lean], "rich")
    assert manganese([lean, rich], "rich") - manganese([lean, rich], "lean") == pytest.approx(
        0.99 * 10 / 119.4
    )


def test_an_addition_without_an_assay_makes_it_abstain(bundle: Bundle) -> None:
    answer = _predict(bundle, asked(), unheard=100.0)

    assert answer.status == "abstained"
    assert [(r.code, r.where) for r in answer.abstention_reasons] == [
        ("additive_not_offered", "$.additions[0]")
    ]


def test_temperature_falls_by_the_chill(bundle: Bundle) -> None:
    tapping = bundle.parameters.stations["tapping"]
    stations = {"tapping": replace(tapping, temperature=TemperatureModel(offset_c=-40.0, sd_c=6.0))}
    warm = Bundle(replace(bundle.parameters, stations=stations), bundle.trees)

    answer = _predict(warm, asked(), SiMn=1194.0)
    broken = _predict(warm, with_heat(asked(), temperature_c=0.0), SiMn=1194.0)

    assert answer.temperature is not None
    assert answer.temperature.predicted_c == pytest.approx(1650.0 - 40.0 - 15.0)
    assert broken.temperature is None


def test_a_missing_first_analysis_is_that_of_the_grade(bundle: Bundle) -> None:
    of_grade = {"B500B": UsualFirst(pct=0.5, sd_pct=0.03), "C45E": UsualFirst(pct=0.4, sd_pct=0.01)}
    known = _assuming(bundle, AssumedFirst(pct=0.3, sd_pct=0.1, by_grade=of_grade))
    request = asked()
    heat = replace(request.heat, chemistry={"C": 0.06})
    first, other, unknown = (
        _nothing_added(known, replace(heat, grade=grade)) for grade in ("B500B", "C45E", "X")
    )

    assert first.predicted_pct - other.predicted_pct == pytest.approx(0.1, abs=0.002)
    assert first.sd_pct > other.sd_pct > 0.01
    assert unknown.sd_pct > 0.1


def test_a_guess_that_strays_further_than_the_window_is_wide_is_no_answer(bundle: Bundle) -> None:
    vague = _assuming(bundle, AssumedFirst(pct=0.3, sd_pct=0.31))
    request = asked()
    heat = replace(request.heat, chemistry={"C": 0.06, "Si": 0.004})

    answer = recommend(vague, replace(request, heat=heat))

    assert heat.windows["Mn"] == Window(min=0.7, aim=0.8, max=1.0)
    assert answer.status == "abstained"
    assert any("Mn" in reason.text for reason in answer.abstention_reasons)


def test_noise_grows_with_the_content(bundle: Bundle) -> None:
    tapping = bundle.parameters.stations["tapping"]
    manganese = replace(tapping.elements["Mn"], noise_share=0.02)
    noisy = make_bundle(_with_manganese(bundle, manganese), {})
    heat = asked().heat

    quiet, loud = (_nothing_added(b, heat).sd_pct for b in (bundle, noisy))

    assert loud**2 - quiet**2 == pytest.approx((0.02 * 0.8) ** 2)


def test_the_longer_tail_gets_more_of_the_window(bundle: Bundle) -> None:
    narrow = {"Mn": Window(min=0.78, max=0.84)}
    manganese = bundle.parameters.stations["tapping"].elements["Mn"]
    request = with_heat(asked(), windows=narrow)
    low, middle, high = (
        recommend(make_bundle(_with_manganese(bundle, replace(manganese, skew=skew)), {}), request)
        .elements["Mn"]
        .predicted_pct
        for skew in (0.3, 0.0, -0.3)
    )

    assert middle == pytest.approx(0.81, abs=0.004)
    assert 0.78 < low < middle - 0.003
    assert middle + 0.003 < high < 0.84


def test_a_first_analysis_is_believed_beside_what_the_grade_comes_with(bundle: Bundle) -> None:
    manganese = bundle.parameters.stations["tapping"].elements["Mn"]
    usual = FirstReading(pct=0.10, trust=0.75, most_pct=0.01)
    believing = make_bundle(_with_manganese(bundle, replace(manganese, first_readings={"B500B": usual})), {})

    def moved(read_pct: float, **fields: Any) -> float:
        heat = replace(asked().heat, chemistry={**asked().heat.chemistry, "Mn": read_pct}, **fields)
        return _nothing_added(believing, heat).base_pct - _nothing_added(bundle, heat).base_pct

    assert moved(0.08) == pytest.approx(0.005)
    assert moved(0.12) == pytest.approx(-0.005)
    assert moved(0.10) == pytest.approx(0.0)
    assert moved(0.30) == pytest.approx(-0.01)  # no sample errs by so much: it is another heat
    assert moved(0.08, grade="another") == pytest.approx(0.0)


def _with_manganese(bundle: Bundle, manganese: ElementModel) -> Parameters:
    stations = bundle.parameters.stations
    tapping = stations["tapping"]
    changed = replace(tapping, elements={**tapping.elements, "Mn": manganese})
    return replace(bundle.parameters, stations={**stations, "tapping": changed})


def _assuming(bundle: Bundle, assumed: AssumedFirst) -> Bundle:
    manganese = replace(bundle.parameters.stations["tapping"].elements["Mn"], assumed_first=assumed)
    return make_bundle(_with_manganese(bundle, manganese), {})


def _nothing_added(bundle: Bundle, heat: Heat) -> ElementEstimate:
    request = asked()
    asked_about = PredictionRequest(heat=heat, additives=request.additives, additions=[], recent_heats=[])
    return predict(bundle, asked_about).elements["Mn"]


def test_the_intervals_width_follows_from_what_is_told_for_other_kilograms(bundle: Bundle) -> None:
    mass_t = asked().heat.steel_mass_t
    assay = next(offer for offer in asked().additives if offer.additive == "SiMn").assay["Mn"]
    few, many = (_predict(bundle, asked(), SiMn=kg).elements["Mn"].interval_pct for kg in (200.0, 1500.0))

    assert few.half_per_added_pct == many.half_per_added_pct
    half = [few.half_per_added_pct * kg * assay / (1000 * mass_t) for kg in (200.0, 1500.0)]
    fixed_square = ((few.high - few.low) / 2) ** 2 - half[0] ** 2
    assert (many.high - many.low) / 2 == pytest.approx(math.sqrt(fixed_square + half[1] ** 2))
    assert many.high - many.low > few.high - few.low
