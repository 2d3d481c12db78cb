"""What comes after the fit: slow state and intervals, on residuals of which the truth is known."""

import msgspec
import numpy as np
import polars as pl
import pytest
from model_service.parameters import ElementModel, SlowState, StationModel
from model_service.priors import prior_parameters

from ml_pipeline.steps import memory
from ml_pipeline.steps.calibration import (
    NORMAL_FACTOR,
    Strays,
    _skew,
    best_slow_state,
    interval_and_skew,
    judge,
    strays,
)
from ml_pipeline.steps.element import Fitted
from ml_pipeline.steps.outcome import lagged

N = 1200
NOISE = 0.005


def model(**changed: object) -> ElementModel:
    prior = prior_parameters().stations["ladle_furnace"].elements["Mn"]
    slow_state = SlowState(residual_sd_pct=NOISE, prior_heats=None)
    known = {"recovery": 1.0, "recovery_sd": 0.0, "noise_sd_pct": NOISE, "slow_state": slow_state}
    return msgspec.structs.replace(prior, **{**known, **changed})


def station() -> StationModel:
    return prior_parameters().stations["ladle_furnace"]


def heats(residual: np.ndarray) -> pl.DataFrame:
    """Heats of .1 % manganese, alternately of two lots, one each 40 min, that came out so far off."""
    n = len(residual)
    times = pl.datetime_range(
        pl.datetime(2025, 1, 1), interval="40m", end=pl.datetime(2026, 1, 1), time_zone="UTC", eager=True
    )[:n]
    lots = [[{"lot": f"SiMn {i % 2}", "kg": 114.0}] for i in range(n)]
    return pl.DataFrame(
        {
            "plant_id": ["a"] * n,
            "grade": ["x"] * n,
            "registered_at": times,
            "completed_at": times.dt.offset_by("40m"),
            "steel_mass_t": [114.0] * n,
            "metallic_kg": [0.0] * n,
            "first.Mn": [0.7] * n,
            "first_sd.Mn": [None] * n,
            "added_kg.Mn": [114.0] * n,
            "reference.Mn": [0.8] * n,
            "low.Mn": [0.7] * n,
            "lots.Mn": lots,
            "final.Mn": 0.8 + residual,
        },
        schema_overrides={"first_sd.Mn": pl.Float64},
    )


def slow_state_for(some: pl.DataFrame) -> SlowState:
    fitted = Fitted(model(), {}, {})
    judges = [judge(fitted, "Mn", some, some.tail(N // 2))]
    return best_slow_state(fitted.model.slow_state, judges, station(), "Mn", some, lagged(some))


def test_residuals_that_wander_switch_the_slow_state_on() -> None:
    rng = np.random.default_rng(1)
    steps = rng.normal(size=N)
    wander = np.zeros(N)
    for i in range(1, N):
        wander[i] = 0.9 * wander[i - 1] + 0.004 * steps[i]
    noise = NOISE * rng.normal(size=N)

    assert slow_state_for(heats(wander + noise)).prior_heats is not None
    assert slow_state_for(heats(noise)).prior_heats is None


def test_a_recovery_that_wanders_is_told_from_a_bias_that_does() -> None:
    """What is added varies, so that a share of it is no constant; judged on the newest half."""
    rng = np.random.default_rng(5)
    fast, slow = np.zeros(N), np.zeros(N)
    for i in range(1, N):
        fast[i] = 0.5 * fast[i - 1] + rng.normal()
        slow[i] = 0.93 * slow[i - 1] + rng.normal()
    kg = rng.uniform(40.0, 1100.0, N)
    added_pct = kg / 1140.0

    def found(residual: np.ndarray) -> SlowState:
        some = heats(residual)
        lots = [[{"lot": "SiMn 0", "kg": float(one)}] for one in kg]
        some = some.with_columns(pl.Series("lots.Mn", lots), pl.Series("added_kg.Mn", kg))
        some = some.with_columns((pl.col("final.Mn") - 0.1 + pl.Series(added_pct)).alias("final.Mn"))
        fitted = Fitted(model(recovery_sd=0.02), {}, {})
        judges = [judge(fitted, "Mn", some, some.tail(N // 2))]
        return best_slow_state(fitted.model.slow_state, judges, station(), "Mn", some, lagged(some))

    noise = 0.001 * rng.normal(size=N)

    assert found(0.02 * fast * added_pct + noise).recovery_sd >= 0.014
    assert found(0.002 * slow + noise).recovery_sd == 0.0
    assert found(noise).recovery_sd == 0.0


def test_a_lot_off_its_certificate_is_told_by_the_heats_own_lot() -> None:
    """Two lots in turn, one 5 % short: judged on the newest half, each heat by what it was given itself."""
    rng = np.random.default_rng(2)
    short = np.where(np.arange(N) % 2 == 1, -0.005, 0.0) + 0.001 * rng.normal(size=N)
    some = heats(short)
    of_lots = SlowState(residual_sd_pct=0.001, lot_sd=0.03)
    lots = memory.lots_of(station(), "Mn", some)

    told = memory.told(short, np.full(N, 0.001), lagged(some), lots, of_lots)

    newest = slice(N // 2 + 1, N)
    assert np.mean(np.abs((short - told.correction_pct)[newest])) < 0.0012
    assert slow_state_for(some).lot_sd > 0


def test_intervals_cover_what_they_say_in_quiet_and_unquiet_times() -> None:
    """Scatter doubles and halves again every 100 heats; judged on heats that set no width."""
    rng = np.random.default_rng(3)
    quiet = np.where(np.arange(3 * N) // 100 % 2 == 0, 1.0, 2.5)
    some = heats(NOISE * quiet * rng.normal(size=3 * N))
    fitted, lags = Fitted(model(), {}, {}), lagged(some)
    known = judge(fitted, "Mn", some, some.slice(N, N))
    slow_state = best_slow_state(fitted.model.slow_state, [known], station(), "Mn", some, lags)
    fresh = judge(fitted, "Mn", some, some.tail(N))

    def covered(state: SlowState) -> list[float]:
        factor, _ = interval_and_skew([strays(known, state, station(), "Mn", some, lags)])
        inside = np.abs(strays(fresh, state, station(), "Mn", some, lags).of_sd) <= factor
        # From the 40th heat of each spell on: those before are still seen beside the spell before.
        settled = np.arange(2 * N, 3 * N) % 100 >= 40
        of = quiet[2 * N :]
        return [float(np.mean(inside)), *(float(np.mean(inside[settled & (of == q)])) for q in (1.0, 2.5))]

    every, calm, rough = covered(slow_state)
    _, calm_without, rough_without = covered(msgspec.structs.replace(slow_state, scatter_heats=None))

    assert every == pytest.approx(0.9, abs=0.02)
    assert calm - rough < 0.75 * (calm_without - rough_without)


@pytest.mark.parametrize("seed", range(5))
def test_strays_as_far_up_as_down_have_no_skew(seed: int) -> None:
    assert abs(_skew(0.3 + np.random.default_rng(seed).normal(size=600))) < 0.1


def test_a_longer_tail_is_seen_on_its_side() -> None:
    strays = np.random.default_rng(1).lognormal(0, 0.5, 2000)

    assert _skew(strays) == pytest.approx(0.37, abs=0.08)
    assert _skew(-strays) == pytest.approx(-_skew(strays))


def test_few_heats_tell_of_no_skew() -> None:
    assert _skew(np.random.default_rng(1).lognormal(0, 1.0, 60)) == 0.0


def test_every_judge_tells_of_the_width_and_only_windows_of_the_skew() -> None:
    """Two folds, the older twice as wide as believed; heats without a window stray further down."""
    rng = np.random.default_rng(4)
    window = np.arange(2000) % 2 == 0
    newer = np.where(window, rng.normal(size=2000), -3 * rng.exponential(size=2000))
    older = 2 * rng.normal(size=2000)
    unknown = np.full(2000, np.nan)

    factor, skew = interval_and_skew([Strays(older, window), Strays(unknown, window)])
    _, of_windows = interval_and_skew([Strays(newer, window)])
    _, of_all = interval_and_skew([Strays(newer, np.full(2000, fill_value=True))])

    assert factor == pytest.approx(2 * NORMAL_FACTOR, rel=0.06)
    assert abs(skew) < 0.1
    assert abs(of_windows) < 0.1 < -of_all
    assert interval_and_skew([]) == (NORMAL_FACTOR, 0.0)


def test_heats_without_a_result_judge_nothing() -> None:
    some = heats(np.zeros(N)).with_columns(
        pl.when(pl.int_range(N) % 3 == 0).then("final.Mn").alias("final.Mn")
    )

    assert judge(Fitted(model(), {}, {}), "Mn", some, some.tail(N // 2)).unseen.sum() == N // 6
