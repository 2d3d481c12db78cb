"""The errors of one element over the heats, as the coordinates of an SVG: pure."""

import math
from typing import NamedTuple

import polars as pl

WIDTH, HEIGHT = 760, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 28


class Dot(NamedTuple):
    """A heat: where its error is, and from where to where it would be inside its interval."""

    x: float
    y: float
    covered: bool
    label: str
    top_y: float
    bottom_y: float


class Tick(NamedTuple):
    at: float
    label: str


class Plot(NamedTuple):
    """Coordinates in a box of WIDTH x HEIGHT, and what stands beside the axes."""

    element: str
    dots: list[Dot]
    zero_y: float
    y_ticks: list[Tick]
    x_ticks: list[Tick]


def error_plot(errors: pl.DataFrame, element: str, newest: int = 200) -> Plot | None:
    """Plot predicted minus measured of the `newest` heats; None where there is none.

    Each heat has an interval of its own: nothing is drawn from one heat to the next.
    """
    shown = errors.filter(element=element).tail(newest)
    if shown.is_empty():
        return None
    upper = (shown["predicted_pct"] - shown["low_pct"]).to_list()
    lower = (shown["predicted_pct"] - shown["high_pct"]).to_list()
    values = shown["error_pct"].to_list()
    largest: float = max(map(abs, values + upper + lower))
    step = round_step(largest)
    top = step * max(1, math.ceil(largest / step))
    across = (WIDTH - LEFT - RIGHT) / max(1, shown.height - 1)

    def x(number: int) -> float:
        return round(LEFT + across * number, 1) if shown.height > 1 else (WIDTH + LEFT - RIGHT) / 2

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value + top) / (2 * top)), 1)

    dots = [
        Dot(x(n), y(row["error_pct"]), row["covered"], _label(row), y(upper[n]), y(lower[n]))
        for n, row in enumerate(shown.iter_rows(named=True))
    ]
    ticks = range(-round(top / step), round(top / step) + 1)
    digits = max(0, -math.floor(math.log10(step)))
    times = shown["completed_at"].to_list()
    return Plot(
        element=element,
        dots=dots,
        zero_y=y(0.0),
        y_ticks=[Tick(y(n * step), signed(n * step, digits)) for n in ticks],
        x_ticks=[
            Tick(x(n), f"{times[n]:%d %b %H:%M}") for n in sorted({0, shown.height // 2, shown.height - 1})
        ],
    )


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, the minus as wide as the plus; zero has none."""
    text = f"{value:+.{digits}f}"
    return text.replace("-", "\u2212") if float(text) else text[1:]


def round_step(largest: float) -> float:
    """Return a round step (1, 2 or 5 times a power of ten) that goes two to five times into `largest`."""
    if largest <= 0:
        return 0.01
    power: float = 10.0 ** math.floor(math.log10(largest / 2))
    return next((power * n for n in (5, 2, 1) if largest / (power * n) >= 2), power)


def _label(row: dict[str, float | str]) -> str:
    interval = f"{row['low_pct']:.4f} to {row['high_pct']:.4f}"
    return (
        f"{row['heat_no']}: predicted {row['predicted_pct']:.4f} ({interval}), measured {row['pct']:.4f} wt %"
    )
