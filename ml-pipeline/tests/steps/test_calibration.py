import numpy as np
import pytest

from ml_pipeline.steps.calibration import _skew


@pytest.mark.parametrize("seed", range(5))
def test_strays_as_far_up_as_down_have_no_skew(seed: int) -> None:
    assert abs(_skew(0.3 + np.random.default_rng(seed).normal(size=600))) < 0.1


def test_a_longer_tail_is_seen_on_its_side() -> None:
    strays = np.random.default_rng(1).lognormal(0, 0.5, 2000)

    assert _skew(strays) == pytest.approx(0.37, abs=0.08)
    assert _skew(-strays) == pytest.approx(-_skew(strays))


def test_few_heats_tell_of_no_skew() -> None:
    assert _skew(np.random.default_rng(1).lognormal(0, 1.0, 60)) == 0.0
