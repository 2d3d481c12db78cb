"""The plot's coordinates."""

import pytest

from monitoring.dashboard.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, error_plot, signed
from monitoring.measures.summary import assess
from tests.lake_rows import as_rows, heat


def test_dots_lie_inside_the_axes_and_zero_in_their_middle() -> None:
    errors = assess(as_rows([heat(n, Mn=0.776 + (n - 2) * 0.05) for n in (1, 2, 3)])).errors
    plot = error_plot(errors, "Mn")

    assert plot is not None
    assert [dot.covered for dot in plot.dots] == [False, True, False]
    assert all(LEFT <= dot.x <= WIDTH - RIGHT and TOP <= dot.y <= HEIGHT - BOTTOM for dot in plot.dots)
    assert plot.dots[1].y == plot.zero_y == (TOP + HEIGHT - BOTTOM) / 2
    assert plot.dots[0].y < plot.zero_y < plot.dots[2].y  # predicted too much is above
    assert [tick.label for tick in plot.y_ticks] == [
        "−0.06",
        "−0.04",
        "−0.02",
        "0.00",
        "+0.02",
        "+0.04",
        "+0.06",
    ]


def test_only_the_newest_heats_are_shown() -> None:
    errors = assess(as_rows([heat(n, Mn=0.776) for n in range(1, 6)])).errors
    plot = error_plot(errors, "Mn", newest=2)

    assert plot is not None
    assert [dot.label[:8] for dot in plot.dots] == ["26-00004", "26-00005"]


def test_one_heat_can_be_shown() -> None:
    plot = error_plot(assess(as_rows([heat(1, Mn=0.776)])).errors, "Mn")

    assert plot is not None
    assert LEFT < plot.dots[0].x < WIDTH - RIGHT


def test_without_errors_there_is_no_plot() -> None:
    assert error_plot(assess(as_rows([])).errors, "Mn") is None


@pytest.mark.parametrize(("value", "text"), [(0.01, "+0.010"), (-0.01, "−0.010"), (-0.0001, "0.000")])
def test_signs(value: float, text: str) -> None:
    assert signed(value, 3) == text
