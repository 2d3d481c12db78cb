"""The page of a loop: every shade and line has its name, axes have round figures."""

import re

import pytest

from local_runner.loop_page import page, ticks
from local_runner.story import Moment


def treatment(n: int, version: str | None) -> dict[str, object]:
    return {
        "plant_id": "p", "heat_uid": str(n), "station": "tapping", "treatment_no": 1, "in_window": n % 7 != 0,
        "weighed_cost": 6000.0 + n, "steel_mass_t": 120.0, "currency": "EUR", "model_version": version,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0.0, 3641.0, 11, [0, 500, 1000, 1500, 2000, 2500, 3000, 3500]),
        (93.2, 100.0, 5, [94, 96, 98, 100]),
        (0.0, 2.7, 5, [0, 1, 2]),
        (51.3, 53.9, 5, [52, 53]),
    ],
)
def test_ticks_are_round_figures(low: float, high: float, most: int, expected: list[float]) -> None:
    assert ticks(low, high, most) == pytest.approx(expected)


def test_every_shade_and_every_line_is_explained() -> None:
    heats = [treatment(n, "1" if n < 100 else None if n < 150 else "2") for n in range(300)]
    text = page("story", "", [Moment(60, 1.0, "alarm", "a lot")], heats, [1.0] * 300)

    legend = text[text.index("Who recommended") : text.index("<svg")]
    for name in ("version 1", "version 2", "the handbook rule", "alarms", "what the loop did"):
        assert name in legend
    shades = set(re.findall(r'<rect [^>]*fill="([^"]+)"', text))
    assert len(shades) == 3
    assert all(f"background:{shade}" in legend for shade in shades)


def test_an_answer_of_the_handbook_now_and_then_is_no_shade() -> None:
    heats = [treatment(n, None if n % 50 == 7 else "1") for n in range(300)]

    assert "handbook" not in page("story", "", [], heats, [1.0] * 300)
