import msgspec
import numpy as np
import pytest
from model_service.parameters import ElementModel
from model_service.priors import prior_element

from ml_pipeline.steps.outcome import Terms
from ml_pipeline.steps.physics import Physics, fit

NO_FEATURES = np.zeros(0)


def prior(station: str = "ladle_furnace", element: str = "Mn") -> ElementModel:
    found = prior_element(station, element)
    assert found is not None
    return found


def terms(
    n: int, recovery: float, offset: float = 0.0, spread: float = 0.4, noise: float = 0.005, seed: int = 0
) -> Terms:
    rng = np.random.default_rng(seed)
    added = 0.15 * np.clip(rng.normal(1, spread, n), 0, None)
    first = rng.normal(0.6, 0.05, n)
    final = first + recovery * added + offset + rng.normal(0, noise, n)
    return Terms(first, first, np.zeros(n), final, added, *[np.zeros(n)] * 6)


def run(known: Terms, model: ElementModel) -> Physics:
    return fit(known, np.zeros((len(known.first_pct), 0)), model, NO_FEATURES)


def test_recovery_and_offset_are_found_where_additions_vary() -> None:
    fitted = run(terms(1000, 0.95, offset=0.012), prior())

    assert fitted.recovery == pytest.approx(0.95, abs=0.015)
    assert fitted.offset_pct == pytest.approx(0.012, abs=0.003)
    assert fitted.noise_sd_pct == pytest.approx(0.005, rel=0.3)


def test_wrong_prior_is_learnt_back_within_2000_heats() -> None:
    wrong = msgspec.structs.replace(prior(), recovery=0.7)

    assert run(terms(2000, 0.97), wrong).recovery == pytest.approx(0.97, abs=0.04)


def test_few_heats_stay_near_the_prior() -> None:
    fitted = run(terms(5, 0.6, noise=0.05), prior())

    assert abs(fitted.recovery - prior().recovery) < 0.05


def test_gross_errors_hardly_move_the_recovery() -> None:
    known = terms(500, 0.97)
    final = known.final_pct.copy()
    final[::20] += 0.5

    fitted = run(known._replace(final_pct=final), prior())

    assert fitted.recovery == pytest.approx(0.97, abs=0.03)
    assert np.all(fitted.weight[::20] < 0.2)


def test_recovery_is_never_negative() -> None:
    vague = msgspec.structs.replace(prior(), recovery_sd=5.0)

    assert run(terms(500, -0.4), vague).recovery == 0.0


def test_noise_that_grows_with_the_content_is_told_from_noise_that_does_not() -> None:
    """A fifth of the heats are of a grade with much of it."""
    plain, rng = terms(2000, 0.97, noise=0.002), np.random.default_rng(3)
    content = np.where(np.arange(2000) % 5 == 0, 1.5, 0.05)
    final = plain.final_pct + 0.01 * content * rng.normal(size=2000)

    fitted = run(plain._replace(final_pct=final, reference_pct=content), prior())

    assert fitted.noise_sd_pct == pytest.approx(0.003, abs=0.0015)
    assert fitted.noise_share == pytest.approx(0.01, rel=0.15)


def test_analyses_that_agree_to_the_digit_do_not_widen_the_grade_that_is_alloyed() -> None:
    """Most heats have a trace that the spectrometer reads alike twice, step by step; few are alloyed."""
    rng, n = np.random.default_rng(4), 1500
    alloyed = np.arange(n) % 20 == 0
    content = np.where(alloyed, 0.17, rng.uniform(0.01, 0.03, n))
    added = np.where(alloyed, 0.0735, 0.0)
    first = np.round(content - added, 3)
    apart = np.where(alloyed, rng.normal(0, 0.0014, n), 0.001 * rng.choice([0, 0, 0, 0, 1, -1], n))
    known = Terms(first, first, np.zeros(n), first + 0.99 * added + apart, added, content, *[np.zeros(n)] * 5)

    fitted = run(known, prior(element="Mo"))

    sd = np.sqrt(
        fitted.noise_sd_pct**2 + (fitted.noise_share * 0.17) ** 2 + (fitted.recovery_sd * 0.0735) ** 2
    )
    assert fitted.noise_sd_pct == pytest.approx(0.0006, abs=0.0002)
    assert sd == pytest.approx(0.0014, rel=0.35)


def test_level_decides_where_operators_bend_the_slope() -> None:
    """Additions that follow an unseen need: the slope within heats is near 0, the steel's recovery is not."""
    rng = np.random.default_rng(1)
    need = rng.normal(0, 0.05, 800)
    first = np.full(800, 0.1)
    final = 1.32 + rng.normal(0, 0.02, 800)
    added = (1.32 - 0.1) / 0.92 * (1 + need)
    known = Terms(first, first, np.zeros(800), final, added, *[np.zeros(800)] * 6)

    assert run(known, prior("tapping")).recovery == pytest.approx(0.92, abs=0.02)


def test_what_oxygen_takes_is_told_from_what_never_dissolves() -> None:
    """Half of the balance's loss, in a plant whose prior has all of it."""
    rng = np.random.default_rng(2)
    plain = terms(2000, 0.97)
    burnt = 0.03 * rng.lognormal(0, 0.4, 2000)
    known = plain._replace(
        final_pct=plain.final_pct - 0.5 * burnt, usual_burnt_pct=burnt, really_burnt_pct=burnt
    )

    fitted = run(known, prior("tapping"))

    assert fitted.debit == pytest.approx(0.5, abs=0.1)
    assert fitted.recovery == pytest.approx(0.97, abs=0.02)
