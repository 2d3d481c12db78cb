"""The slow state: what the last heats say, and what they must not be able to say."""

import numpy as np
import pytest
from making import asked, recent_heats
from msgspec.structs import replace

from model_service.contracts import Addition, ElementEstimate, PredictionRequest, RecentHeat
from model_service.memory import Settings, effects
from model_service.model import Bundle, make_bundle
from model_service.outcome import known_elements, outcome_of
from model_service.parameters import SlowState
from model_service.prediction import predict
from model_service.recommendation import recommend
from model_service.slow_state import Correction

MEASURED = {"Mn": 0.80, "Si": 0.20}


def _manganese(bundle: Bundle, recent: list[RecentHeat]) -> tuple[float, float, float]:
    request = asked()
    answer = predict(
        bundle,
        PredictionRequest(
            heat=request.heat,
            additives=request.additives,
            additions=[Addition(additive="SiMn", added_kg=1345.0)],
            recent_heats=recent,
        ),
    )
    mn = answer.elements["Mn"]
    return mn.base_pct, mn.correction_pct, mn.predicted_pct


def test_without_recent_heats_the_base_is_the_prediction(bundle: Bundle) -> None:
    base, correction, predicted = _manganese(bundle, [])

    assert correction == 0.0
    assert predicted == base


def test_heats_that_came_out_higher_lift_the_prediction_part_of_the_way(bundle: Bundle) -> None:
    base, _, _ = _manganese(bundle, [])
    few = _manganese(bundle, recent_heats(asked(), 2, {"Mn": base + 0.02}))[1]
    many = _manganese(bundle, recent_heats(asked(), 30, {"Mn": base + 0.02}))[1]

    assert 0 < few < many < 0.02


@pytest.mark.parametrize("absurd", [0.0, 7.9, 100.0])
@pytest.mark.parametrize("age", [0, 5])
def test_one_absurd_heat_barely_moves_the_answer(bundle: Bundle, absurd: float, age: int) -> None:
    base, _, _ = _manganese(bundle, [])
    sober = recent_heats(asked(), 10, {"Mn": base + 0.01})
    spoilt = list(sober)
    spoilt[-1 - age] = replace(spoilt[-1 - age], chemistry_after={"Mn": absurd})

    assert _manganese(bundle, spoilt)[2] == pytest.approx(_manganese(bundle, sober)[2], abs=0.002)


def test_an_absurd_heat_alone_is_bounded(bundle: Bundle) -> None:
    _, correction, _ = _manganese(bundle, recent_heats(asked(), 1, {"Mn": 8.0}))

    assert correction == 0.0


def test_the_prediction_made_then_counts_where_this_bundle_made_it(bundle: Bundle) -> None:
    base, _, _ = _manganese(bundle, [])
    result = {"Mn": base + 0.02}
    own = recent_heats(
        asked(), 5, result, base_prediction_pct={"Mn": base + 0.02}, bundle_hash=bundle.bundle_hash
    )
    foreign = recent_heats(asked(), 5, result, base_prediction_pct={"Mn": base + 0.02}, bundle_hash="f" * 64)

    assert _manganese(bundle, own)[1] == pytest.approx(0.0, abs=1e-12)
    assert _manganese(bundle, foreign)[1] == _manganese(bundle, recent_heats(asked(), 5, result))[1] > 0


def test_what_a_guessed_first_analysis_left_tells_nothing(bundle: Bundle) -> None:
    request = asked()
    unknown = replace(request.heat, chemistry={"C": 0.06, "Si": 0.004})
    measured, guessed = (
        _manganese(bundle, recent_heats(request, 10, {"Mn": 1.1}, heat=heat))[1]
        for heat in (request.heat, unknown)
    )

    assert measured > 0.01
    assert guessed == 0.0


def test_order_of_recent_heats_is_their_time_and_not_their_place(bundle: Bundle) -> None:
    base, _, _ = _manganese(bundle, [])
    heats = recent_heats(asked(), 6, {"Mn": base})
    heats[-1] = replace(heats[-1], chemistry_after={"Mn": base + 0.03})

    assert _manganese(bundle, heats[::-1]) == _manganese(bundle, heats)


def test_heats_of_no_use_are_left_out_and_told(bundle: Bundle) -> None:
    request = asked()
    elsewhere = recent_heats(request, 1, {"Mn": 0.5})
    elsewhere = [replace(h, treatment=replace(h.treatment, station="ladle_furnace")) for h in elsewhere]
    unknown = recent_heats(request, 1, {"Mn": 0.5}, additions=[Addition(additive="unheard", added_kg=1.0)])
    typo = recent_heats(request, 1, {"Mn": 0.5}, heat=replace(request.heat, steel_mass_t=4000.0))

    answer = predict(
        bundle,
        PredictionRequest(
            heat=request.heat,
            additives=request.additives,
            additions=[],
            recent_heats=[*elsewhere, *unknown, *typo],
        ),
    )

    assert answer.elements["Mn"].correction_pct == 0.0
    assert [w.text for w in answer.warnings] == [
        "3 recent heats are of another station, or lack an assay or a possible mass"
    ]


def _with_lot(
    lot: str, count: int, mn_pct: float, kg: float = 1345.0, first_hour: int = 0
) -> list[RecentHeat]:
    """Finished heats that got their silicon-manganese from `lot`."""
    request = asked()
    offers = [replace(a, lot=lot) if a.additive == "SiMn" else a for a in request.additives]
    return [
        replace(heat, completed_at=f"2026-01-{first_hour + 1:02d}T{i:02d}:00:00Z")
        for i, heat in enumerate(
            recent_heats(
                request,
                count,
                {"Mn": mn_pct},
                additives=offers,
                additions=[Addition(additive="SiMn", lot=lot, added_kg=kg)],
            )
        )
    ]


def _as_trained(bundle: Bundle) -> Bundle:
    """With the noise that is left after training, and a station that hardly wanders."""
    station = bundle.parameters.stations["tapping"]
    slow = SlowState(residual_sd_pct=0.012, prior_heats=20.0, lot_sd=0.006)
    elements = {**station.elements, "Mn": replace(station.elements["Mn"], slow_state=slow)}
    stations = {"tapping": replace(station, elements=elements)}
    return make_bundle(replace(bundle.parameters, stations=stations), bundle.trees.texts)


def _estimate(bundle: Bundle, lot: str, recent: list[RecentHeat]) -> ElementEstimate:
    request = asked()
    offers = [replace(a, lot=lot) if a.additive == "SiMn" else a for a in request.additives]
    additions = [Addition(additive="SiMn", lot=lot, added_kg=1345.0)]
    answer = predict(
        bundle,
        PredictionRequest(heat=request.heat, additives=offers, additions=additions, recent_heats=recent),
    )
    return answer.elements["Mn"]


def test_a_lot_that_holds_less_than_certified_is_named_and_moves_its_own_slope(bundle: Bundle) -> None:
    bundle = _as_trained(bundle)
    base = _estimate(bundle, "good", []).base_pct
    recent = _with_lot("good", 15, base) + _with_lot("bad", 12, base - 0.04 * 0.74, first_hour=1)

    bad, good = _estimate(bundle, "bad", recent), _estimate(bundle, "good", recent)

    assert [(lot.additive, lot.lot) for lot in bad.lots] == [("SiMn", "bad")]
    assert bad.lots[0].content_change < -0.01
    assert bad.slope_pct_per_kg["SiMn"] < 0.99 * good.slope_pct_per_kg["SiMn"]
    assert bad.correction_pct < -0.6 * 0.04 * 0.74
    assert good.correction_pct > 0.5 * bad.correction_pct
    assert bad.base_pct == good.base_pct == base


def test_a_jump_is_followed_within_a_few_heats(bundle: Bundle) -> None:
    base, _, _ = _manganese(bundle, [])
    steady = recent_heats(asked(), 25, {"Mn": base})
    jumped = [replace(heat, chemistry_after={"Mn": base - 0.08}) for heat in steady[-4:]]

    correction = _manganese(bundle, steady[:-4] + jumped)[1]

    assert -0.08 < correction < -0.05


def test_heats_with_another_result_twice_are_not_taken_for_typing_errors(bundle: Bundle) -> None:
    base, _, _ = _manganese(bundle, [])
    steady = recent_heats(asked(), 25, {"Mn": base})
    once = [*steady[:-1], replace(steady[-1], chemistry_after={"Mn": base - 0.25})]
    thrice = steady[:-3] + [replace(heat, chemistry_after={"Mn": base - 0.25}) for heat in steady[-3:]]

    assert abs(_manganese(bundle, once)[1]) < 0.005
    assert _manganese(bundle, thrice)[1] < -0.08


def test_base_predictions_that_cannot_be_count_for_nothing(bundle: Bundle) -> None:
    impossible = recent_heats(
        asked(), 5, MEASURED, base_prediction_pct={"Mn": -1e308, "Si": 1e200}, bundle_hash=bundle.bundle_hash
    )

    base, correction, predicted = _manganese(bundle, impossible)

    assert correction == 0.0
    assert predicted == base


def _scattering(bundle: Bundle, heats: float | None) -> Bundle:
    tapping = bundle.parameters.stations["tapping"]
    slow_state = SlowState(residual_sd_pct=0.014, prior_heats=None, scatter_heats=heats, usual_scatter=0.8)
    manganese = replace(tapping.elements["Mn"], slow_state=slow_state)
    stations = {"tapping": replace(tapping, elements={**tapping.elements, "Mn": manganese})}
    return make_bundle(replace(bundle.parameters, stations=stations), {})


def _manganese_sd(bundle: Bundle) -> float:
    request = asked()
    additions = [Addition(additive="SiMn", added_kg=1345.0)]
    told = PredictionRequest(heat=request.heat, additives=request.additives, additions=additions)
    return predict(bundle, told).elements["Mn"].sd_pct


def _half_width_after(bundle: Bundle, apart_pct: float, count: int = 30) -> float:
    """Of manganese's interval, where the last results lay so far above and below the prediction in turn."""
    base, _, _ = _manganese(bundle, [])
    heats = [
        replace(heat, chemistry_after={"Mn": base + apart_pct * (-1) ** i})
        for i, heat in enumerate(recent_heats(asked(), count, {"Mn": base}))
    ]
    request = asked()
    additions = [Addition(additive="SiMn", added_kg=1345.0)]
    asked_about = PredictionRequest(
        heat=request.heat, additives=request.additives, additions=additions, recent_heats=heats
    )
    estimate = predict(bundle, asked_about).elements["Mn"]
    assert estimate.sd_pct == pytest.approx(_manganese_sd(bundle))
    return (estimate.interval_pct.high - estimate.interval_pct.low) / 2


def test_intervals_are_as_wide_as_the_last_heats_scatter(bundle: Bundle) -> None:
    steady, moving = _scattering(bundle, None), _scattering(bundle, 20.0)
    usual = _half_width_after(moving, 0.0, count=0)

    assert _half_width_after(steady, 0.03) == _half_width_after(steady, 0.003) == pytest.approx(usual)
    assert (
        _half_width_after(moving, 0.003)
        < usual
        < _half_width_after(moving, 0.03, count=5)
        < _half_width_after(moving, 0.03)
    )


def test_gross_errors_widen_intervals_by_a_bounded_share(bundle: Bundle) -> None:
    moving = _scattering(bundle, 20.0)

    assert _half_width_after(moving, 50.0, count=1) == _half_width_after(moving, 0.5, count=1)
    assert _half_width_after(moving, 50.0, count=1) < 1.25 * _half_width_after(moving, 0.0, count=0)


def test_no_lot_is_believed_further_off_than_one_can_be() -> None:
    """Thirty heats of a lot that came out as if it held nothing, and next to nothing of a second."""
    settings = _settings(noise_sd=0.01, bias_sd=0.004, lot_sd=0.006)
    added = np.zeros((1, 30, 2))
    added[0, :, 0], added[0, ::7, 1] = 1.0, 1e-7

    found = effects(-1.0 * added[:, :, 0], added, settings)

    assert found.lots[0, 0] == pytest.approx(-0.3)
    assert abs(found.lots[0, 1]) < 1e-3


def _settings(
    noise_sd: float,
    bias_sd: float = 0.0,
    lot_sd: float = 0.0,
    recovery_sd: float = 0.0,
    half_life: float = 1.0,
) -> Settings:
    of_one = (noise_sd, bias_sd, 8.0, lot_sd, recovery_sd, half_life)
    return Settings(*(np.array([value]) for value in of_one))


def _wandering(bundle: Bundle, recovery_sd: float = 0.02) -> Bundle:
    """What stays of the manganese wanders, and hardly anything else does."""
    tapping = bundle.parameters.stations["tapping"]
    slow = SlowState(
        residual_sd_pct=0.01,
        prior_heats=20.0,
        lot_sd=0.001,
        recovery_sd=recovery_sd,
        recovery_half_life_heats=4.0,
    )
    manganese = replace(tapping.elements["Mn"], recovery_sd=0.02, slow_state=slow)
    stations = {"tapping": replace(tapping, elements={**tapping.elements, "Mn": manganese})}
    return make_bundle(replace(bundle.parameters, stations=stations), {})


def _manganese_of(bundle: Bundle, kilograms: float, recent: list[RecentHeat]) -> ElementEstimate:
    request = asked()
    told = PredictionRequest(
        heat=request.heat,
        additives=request.additives,
        additions=[Addition(additive="SiMn", added_kg=kilograms)],
        recent_heats=recent,
    )
    return predict(bundle, told).elements["Mn"]


def test_a_recovery_that_fell_lowers_the_slope_more_than_the_constant(bundle: Bundle) -> None:
    wandering, steady = _wandering(bundle), _wandering(bundle, 0.0)
    base = _manganese_of(wandering, 1345.0, []).predicted_pct
    recent = recent_heats(asked(), 6, {"Mn": base - 0.03})

    nothing, usual = (_manganese_of(wandering, kg, recent) for kg in (0.0, 1345.0))

    assert usual.correction_pct < -0.02
    assert abs(nothing.correction_pct) < 0.25 * abs(usual.correction_pct)
    assert (
        usual.slope_pct_per_kg["FeMnHC"]
        < 0.985 * _manganese_of(steady, 0.0, recent).slope_pct_per_kg["FeMnHC"]
    )
    assert _manganese_of(wandering, 1345.0, []).correction_pct == 0.0


def test_what_the_last_heats_tell_of_the_recovery_narrows_the_interval_and_not_the_sd(bundle: Bundle) -> None:
    wandering = _wandering(bundle)
    unknown = _manganese_of(wandering, 1345.0, [])
    recent = recent_heats(asked(), 8, {"Mn": unknown.predicted_pct})

    told, untold = _manganese_of(wandering, 1345.0, recent), _manganese_of(wandering, 0.0, recent)

    assert _half(told) < 0.95 * _half(unknown)
    assert _half(untold) == pytest.approx(_half(_manganese_of(wandering, 0.0, [])))
    assert told.sd_pct == pytest.approx(unknown.sd_pct)


def _half(estimate: ElementEstimate) -> float:
    return (estimate.interval_pct.high - estimate.interval_pct.low) / 2


def test_a_recovery_that_moved_is_named_and_used(bundle: Bundle) -> None:
    wandering = _wandering(bundle)
    base = _manganese_of(wandering, 1345.0, []).predicted_pct
    recent = recent_heats(asked(), 6, {"Mn": base - 0.03})

    usual, fallen = (recommend(wandering, asked(recent_heats=heats)) for heats in ([], recent))

    said = dict(reason.rsplit(": ", 1) for reason in fallen.recoveries["Mn"].reasons)
    assert float(said["recovery in the last 6 heats"]) < -0.02
    assert fallen.recoveries["Mn"].used < usual.recoveries["Mn"].used - 0.02
    kilograms = [sum(a.added_kg for a in answer.additions) for answer in (usual, fallen)]
    assert kilograms[0] < kilograms[1]


@pytest.mark.parametrize("absurd", [0.0, 7.9, 100.0])
def test_one_absurd_heat_barely_moves_a_recovery(bundle: Bundle, absurd: float) -> None:
    wandering = _wandering(bundle)
    base = _manganese_of(wandering, 1345.0, []).predicted_pct
    sober = recent_heats(asked(), 10, {"Mn": base + 0.01})
    spoilt = [*sober[:-1], replace(sober[-1], chemistry_after={"Mn": absurd})]

    sane, moved = (_manganese_of(wandering, 1345.0, heats).predicted_pct for heats in (sober, spoilt))

    assert moved == pytest.approx(sane, abs=0.004)
    assert _manganese_of(wandering, 1345.0, spoilt[::-1]).predicted_pct == moved


def test_however_lots_and_recoveries_fell_more_of_an_additive_never_leaves_less(bundle: Bundle) -> None:
    request, station = asked(), bundle.parameters.stations["tapping"]
    elements = known_elements(station, request.heat)
    outcome = outcome_of(station, bundle.trees, request.heat, request.additives, elements)
    count = len(elements)
    lots, zeros = np.full((len(request.additives), count), -0.3), np.zeros(count)
    lost = Correction(zeros, [0] * count, 0, lots, np.ones(count), zeros - 0.9, zeros)

    diluted = outcome.slope - outcome.gain_per_kg

    assert np.all(lost.slope(outcome) >= diluted - 1e-15)
    assert lost.pct(outcome, [100.0] * len(request.additives)) == pytest.approx(
        np.full(len(request.additives), 100.0) @ (lost.slope(outcome) - outcome.slope)
    )


def test_a_recovery_that_wanders_is_followed_and_its_doubt_is_counted_rightly() -> None:
    """4,000 plants of which the truth is known: the error left has the variance that is said to be left."""
    random, heats, series, sd, half_life = np.random.default_rng(11), 31, 4000, 0.04, 1.5
    keeps = 0.5 ** (1 / half_life)
    recovery = np.zeros((series, heats))
    recovery[:, 0] = sd * random.normal(size=series)
    for i in range(1, heats):
        recovery[:, i] = keeps * recovery[:, i - 1] + sd * np.sqrt(1 - keeps**2) * random.normal(size=series)
    brought = random.uniform(0.1, 0.8, (series, heats))
    residual = recovery * brought + 0.01 * random.normal(size=(series, heats))
    newest_first = slice(heats - 2, None, -1)
    settings = Settings(*(np.repeat(value, series) for value in _settings(0.01, 0.0, 0.0, sd, half_life)))

    found = effects(residual[:, newest_first], brought[:, newest_first, None], settings)

    left = recovery[:, -1] - found.recovery
    assert np.var(left) == pytest.approx(np.mean(sd**2 - found.recovery_told), rel=0.06)
    assert np.var(left) < 0.75 * sd**2
    assert np.mean(left) == pytest.approx(0.0, abs=0.002)


def test_a_recovery_that_wanders_moves_no_other_element() -> None:
    random = np.random.default_rng(12)
    residual, added = 0.01 * random.normal(size=(2, 30)), random.uniform(0.1, 0.8, (2, 30, 2))
    one, other = _settings(0.01, 0.004, 0.006), _settings(0.01, 0.004, 0.006, 0.03)
    both = Settings(*(np.concatenate(pair) for pair in zip(one, other, strict=True)))

    together, alone = effects(residual, added, both), effects(residual[:1], added[:1], one)

    assert together.bias[0] == pytest.approx(alone.bias[0], abs=1e-15)
    assert together.lots[0] == pytest.approx(alone.lots[0], abs=1e-15)
    assert together.recovery[0] == together.recovery_told[0] == 0.0
