"""The error of one element over all heats, model version by model version, as the coordinates of an SVG:
pure.

Drawn by the server: the page runs no script, and a report that is mailed shows the same picture.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import polars as pl

from monitoring.dashboard.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Tick, round_step

BLOCKS = 60  # points of a line
LEAST_IN_BLOCK = 5


class Line(NamedTuple):
    station: str
    points: str
    dots: list[tuple[float, float, str]]


class Band(NamedTuple):
    """From where to where a model version predicted; every other one is shaded."""

    x: float
    width: float
    label: str
    shaded: bool


class History(NamedTuple):
    element: str
    lines: list[Line]
    bands: list[Band]
    y_ticks: list[Tick]
    x_ticks: list[Tick]


def blocks_of(errors: pl.DataFrame) -> pl.DataFrame:
    """Return mean absolute error, bias and coverage of blocks of heats in a row, per station and element:
    at most `BLOCKS` of each. Small, whatever the number of heats.
    """
    chart = ["station", "element"]
    size = pl.max_horizontal(pl.len().over(chart) / BLOCKS, pl.lit(LEAST_IN_BLOCK)).ceil()
    return (
        errors.lazy()
        .select("completed_at", "station", "element", "error_pct", "covered", "weighed_bundle_hash")
        .with_columns((pl.int_range(pl.len()).over(chart) // size).cast(pl.UInt32).alias("block"))
        .group_by(*chart, "block")
        .agg(
            pl.col("completed_at").max(),
            pl.len().alias("n"),
            pl.col("error_pct").abs().mean().alias("mae_pct"),
            pl.col("error_pct").mean().alias("bias_pct"),
            pl.col("covered").mean().alias("coverage_90"),
            pl.col("weighed_bundle_hash").last(),
        )
        .sort(*chart, "block")
        .collect()
    )


def history_plot(blocks: pl.DataFrame, element: str) -> History | None:
    """Plot the mean absolute error over time; None where there are not two blocks of any station."""
    shown = blocks.filter(element=element)
    shown = shown.filter(pl.len().over("station") >= 2)
    if shown.is_empty():
        return None
    at_ms = shown["completed_at"].dt.epoch("ms")
    shown = shown.with_columns(at_ms.alias("at_ms"))
    begin, end = int(at_ms.sort()[0]), int(at_ms.sort()[-1])
    largest = float(shown["mae_pct"].sort()[-1])
    step = round_step(largest)
    top = step * max(1, math.ceil(largest / step))
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(at: int) -> float:
        return round(LEFT + across * (at - begin) / max(1, end - begin), 1)

    def y(value: float) -> float:
        return round(TOP + down * (1 - value / top), 1)

    lines = []
    for (station,), of in shown.group_by("station", maintain_order=True):
        dots = [
            (
                x(row["at_ms"]),
                y(row["mae_pct"]),
                f"{row['n']} heats to {row['completed_at']:%Y-%m-%d %H:%M}: "
                f"mean absolute error {row['mae_pct']:.4f}, "
                f"bias {row['bias_pct']:+.4f} wt %, {100 * row['coverage_90']:.0f} % in interval",
            )
            for row in of.iter_rows(named=True)
        ]
        lines.append(Line(str(station), " ".join(f"{a},{b}" for a, b, _ in dots), dots))
    digits = max(0, -math.floor(math.log10(step)))
    ordered = shown.sort("at_ms")
    marked = sorted({begin, (begin + end) // 2, end})
    return History(
        element,
        sorted(lines, key=lambda line: line.station, reverse=True),
        _bands(ordered, x),
        [Tick(y(n * step), f"{n * step:.{digits}f}") for n in range(round(top / step) + 1)],
        [Tick(x(at), f"{datetime.fromtimestamp(at / 1000, UTC):%d %b %H:%M}") for at in marked],
    )


def _bands(ordered: pl.DataFrame, x: Callable[[int], float]) -> list[Band]:
    runs = (
        ordered.with_columns(pl.col("weighed_bundle_hash").fill_null("no model").rle_id().alias("run"))
        .group_by("run", maintain_order=True)
        .agg(pl.col("at_ms").last(), pl.col("weighed_bundle_hash").first())
    )
    bands, left = [], float(LEFT)
    for n, (_, at, bundle_hash) in enumerate(runs.iter_rows()):
        right = x(at)
        bands.append(
            Band(left, round(max(0.0, right - left), 1), (bundle_hash or "no model")[:8], n % 2 == 1)
        )
        left = right
    return bands
