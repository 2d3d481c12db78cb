"""From sd to probabilities."""

import pytest

from model_service.confidence import margin_sd, probability_inside, stretch
from model_service.contracts import Window


@pytest.mark.parametrize("confidence", [0.6, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("width_sd", [6.0, 8.0, 20.0, 1000.0])
def test_the_margin_gives_the_confidence(confidence: float, width_sd: float) -> None:
    window = Window(min=1.0, max=1.0 + width_sd / 100)

    inside = probability_inside(window, 1.0 + margin_sd(width_sd, confidence) / 100, 0.01)

    assert inside == pytest.approx(confidence, abs=1e-4)


def test_a_window_too_narrow_leaves_its_middle() -> None:
    assert margin_sd(1.0, 0.95) == pytest.approx(0.45)


def test_one_limit_is_one_tail() -> None:
    assert probability_inside(Window(min=1.0), 1.0, 0.01) == pytest.approx(0.5)
    assert probability_inside(Window(max=1.0), 0.9, 0.01) == pytest.approx(1.0)
    assert probability_inside(Window(), 0.9, 0.01) == 1.0


@pytest.mark.parametrize("confidence", [0.5 + 1e-16, 1 - 1e-16, 1 - 1e-9])
def test_extreme_confidence_has_a_margin(confidence: float) -> None:
    assert 0 <= margin_sd(float("inf"), confidence) < 10


def test_conformal_factors_stretch_the_normal() -> None:
    assert stretch(1.6448536269514722, 0.9) == pytest.approx(1.0)
    assert stretch(2 * 1.6448536269514722, 0.9) == pytest.approx(2.0)
