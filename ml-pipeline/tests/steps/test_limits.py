"""Each limit by itself, at its edge: what it refuses and what it lets through."""

from typing import Any

import numpy as np
import pytest

from ml_pipeline.steps import limits
from ml_pipeline.steps.evaluate import ElementMetrics
from ml_pipeline.steps.outcome import Outcomes

USUAL = ElementMetrics(
    heats=200,
    mae_pct=0.02,
    mae_base_pct=0.02,
    mae_handbook_pct=0.03,
    mae_rolling_pct=0.025,
    mae_constant_pct=0.02,
    bias_pct=0.0,
    coverage_90=0.9,
    interval_width_pct=0.08,
    rolling_width_pct=0.1,
    slope=0.0,
    slope_low=-0.05,
    slope_high=0.05,
    coverage_low=0.85,
    coverage_high=0.94,
)


def manganese(**fields: Any) -> dict[str, dict[str, ElementMetrics]]:
    return {"tapping": {"Mn": USUAL._replace(**fields)}}


def missed_by(sd_pct: float, heats: int = 400) -> dict[str, dict[str, Outcomes]]:
    """Manganese around 0.8 %, predicted with errors of so much."""
    rng = np.random.default_rng(0)
    final = rng.normal(0.8, 0.05, heats)
    predicted = final + rng.normal(0, sd_pct, heats)
    ones = np.ones(heats)
    return {"tapping": {"Mn": Outcomes(predicted, predicted, ones, final, ones, ones)}}


@pytest.mark.parametrize(("share", "refused"), [(0.5, True), (0.9, True), (1.2, False), (3.0, False)])
def test_errors_below_any_spectrometers_are_refused(share: float, refused: bool) -> None:
    said = limits.too_good(missed_by(share * limits.ERROR_FLOOR * 0.8), manganese())

    assert bool(said) is refused
    assert all("smaller than any spectrometer's at 0." in reason for reason in said)


def test_element_that_nobody_adds_may_be_known_well() -> None:
    """What is only passed through is as exact as its first analysis, which may be the same sample."""
    assert limits.too_good(missed_by(0.0), manganese(slope=None)) == []


@pytest.mark.parametrize(("share", "refused"), [(1.01, True), (0.99, False)])
def test_interval_too_wide_to_say_anything_is_refused(share: float, refused: bool) -> None:
    wide = share * limits.WIDTH * USUAL.rolling_width_pct

    said = limits.widths(manganese(interval_width_pct=wide))

    assert bool(said) is refused
    assert all("tapping Mn: the 90 % interval is" in reason for reason in said)


@pytest.mark.parametrize(
    ("slope", "other", "refused"),
    [(0.3, 0.0, True), (-0.3, 0.0, True), (0.3, 0.25, False), (0.22, 0.0, False), (0.1, 0.0, False)],
)
def test_effect_that_is_certainly_another_is_refused_unless_the_other_model_has_it(
    slope: float, other: float, refused: bool
) -> None:
    mine = manganese(slope=slope, slope_low=slope - 0.05, slope_high=slope + 0.05)

    assert bool(limits.marginal_effects(mine, manganese(slope=other))) is refused


def test_heats_older_than_most_of_the_lake_or_than_the_champions_are_refused() -> None:
    may, june = {"tapping": "2026-05-01T00:00:00Z"}, {"tapping": "2026-06-01T00:00:00Z"}

    assert limits.stale({"tapping": 0.2}, june, may) == []
    assert "40% of the lake's heats are newer" in limits.stale({"tapping": 0.4}, june, may)[0]
    assert "the champion until 2026-06-01" in limits.stale({"tapping": 0.2}, may, june)[0]


def test_trees_that_have_grown_out_of_proportion_are_refused() -> None:
    usual = {"tapping.Mn.recovery": "x" * 50_000}

    assert limits.sizes(usual, usual) == []
    assert limits.sizes(usual, None) == []
    assert "tapping.Mn.recovery" in limits.sizes({"tapping.Mn.recovery": "x" * 300_001}, None)[0]
    many = {f"tapping.{e}.recovery": "x" * 50_000 for e in ("C", "Mn", "P", "Si")}
    assert "its trees take 200,000 bytes" in limits.sizes(many, usual)[0]


@pytest.mark.parametrize(
    ("candidate_ms", "champion_ms", "refused"),
    [(9.0, None, False), (11.0, None, True), (2.4, 1.0, False), (2.6, 1.0, True), (11.0, 9.0, True)],
)
def test_slow_answers_are_refused(candidate_ms: float, champion_ms: float | None, refused: bool) -> None:
    assert bool(limits.slow(candidate_ms, champion_ms)) is refused
