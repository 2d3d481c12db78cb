"""The error of one element over all heats, model version by model version, as the coordinates of an SVG:
pure.

Drawn by the server: the page runs no script, and a report that is mailed shows the same picture.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import polars as pl

from monitoring.dashboard.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Tick, round_step
from monitoring.measures.cells import joined

BLOCKS = 60  # points of a line
LEAST_IN_BLOCK = 5
LABEL_WIDTH = 80  # a narrower band has its label where the pointer is


class Line(NamedTuple):
    """`segments`: points of polylines; none of them goes on over a pause or a change of the model."""

    station: str
    segments: list[str]
    dots: list[tuple[float, float, str]]


class Band(NamedTuple):
    """From where to where a model version predicted; every other one is shaded."""

    x: float
    width: float
    label: str
    shaded: bool

    @property
    def is_labelled(self) -> bool:
        return self.width >= LABEL_WIDTH


class History(NamedTuple):
    element: str
    lines: list[Line]
    bands: list[Band]
    y_ticks: list[Tick]
    x_ticks: list[Tick]


def blocks_of(cells: pl.DataFrame) -> pl.DataFrame:
    """Return mean absolute error, bias and coverage of blocks of heats in a row, per station and element:
    some `BLOCKS` of each. Small, whatever the number of heats.
    """
    return joined(cells, pl.max_horizontal(pl.col("n").sum() / BLOCKS, pl.lit(LEAST_IN_BLOCK)).ceil())


def history_plot(blocks: pl.DataFrame, element: str, versions: Mapping[str, str]) -> History | None:
    """Plot the mean absolute error over time; None where there are not two blocks of any station. `versions`
    of models by bundle hash: one without is named by its hash."""
    shown = blocks.filter(element=element)
    shown = shown.filter(pl.len().over("station") >= 2)
    if shown.is_empty():
        return None
    shown = shown.with_columns(
        pl.col("since").dt.epoch("ms").alias("since_ms"), pl.col("completed_at").dt.epoch("ms").alias("at_ms")
    )
    begin, end = int(shown["since_ms"].sort()[0]), int(shown["at_ms"].sort()[-1])
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
        segments, dots = dict[int, list[str]](), []
        for row in of.iter_rows(named=True):
            place = x((row["since_ms"] + row["at_ms"]) // 2), y(row["mae_pct"])
            segments.setdefault(row["run"], []).append(f"{place[0]},{place[1]}")
            dots.append((*place, _label(row, versions)))
        lines.append(Line(str(station), [" ".join(one) for one in segments.values()], dots))
    digits = max(0, -math.floor(math.log10(step)))
    marked = sorted({begin, (begin + end) // 2, end})
    return History(
        element,
        sorted(lines, key=lambda line: line.station, reverse=True),
        _bands(shown.sort("since_ms"), x, versions),
        [Tick(y(n * step), f"{n * step:.{digits}f}") for n in range(round(top / step) + 1)],
        [Tick(x(at), f"{datetime.fromtimestamp(at / 1000, UTC):%d %b %H:%M}") for at in marked],
    )


def versions_of(counts: pl.DataFrame) -> dict[str, str]:
    """Return the version of each bundle, where one is told."""
    told = counts.drop_nulls(["weighed_bundle_hash", "model_version"])
    often = told.group_by("weighed_bundle_hash", "model_version").agg(pl.col("heats").sum()).sort("heats")
    return dict(often.select("weighed_bundle_hash", "model_version").iter_rows())


def model_name(bundle_hash: str | None, versions: Mapping[str, str]) -> str:
    """Name a model as people know it."""
    if not bundle_hash:
        return "no model"
    return f"version {versions[bundle_hash]}" if bundle_hash in versions else f"model {bundle_hash[:8]}"


def _label(row: dict[str, Any], versions: Mapping[str, str]) -> str:
    return (
        f"{row['n']} heats to {row['completed_at']:%Y-%m-%d %H:%M}, "
        f"{model_name(row['weighed_bundle_hash'], versions)}: mean absolute error {row['mae_pct']:.4f}, "
        f"bias {row['bias_pct']:+.4f} wt %, {100 * row['coverage_90']:.0f} % in interval"
    )


def _bands(ordered: pl.DataFrame, x: Callable[[int], float], versions: Mapping[str, str]) -> list[Band]:
    """A model's band goes on until the next one's begins, over pauses too."""
    runs = (
        ordered.with_columns(pl.col("weighed_bundle_hash").rle_id().alias("model"))
        .group_by("model", maintain_order=True)
        .agg(pl.col("since_ms").first(), pl.col("at_ms").max(), pl.col("weighed_bundle_hash").first())
    )
    begins = [x(at) for at in runs["since_ms"]]
    ends = [*begins[1:], x(int(ordered["at_ms"].sort()[-1]))]
    return [
        Band(begin, round(max(0.0, end - begin), 1), model_name(bundle_hash, versions), n % 2 == 1)
        for n, (begin, end, bundle_hash) in enumerate(
            zip(begins, ends, runs["weighed_bundle_hash"], strict=True)
        )
    ]
