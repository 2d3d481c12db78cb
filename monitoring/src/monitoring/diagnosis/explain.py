"""What one thing would explain the surprises of the last heats best?

Every alarm stands for an explanation with a pattern: which results it would move, in which proportion. The
explanations compete on the same results: the one that takes away most of their squares, less the price of
its free figures, is named. So a lot that is low is not called a scale, and a new practice not a lot,
whichever test saw it first.
"""

import math
from typing import NamedTuple

import polars as pl

from monitoring.measures.treatments import ROW

PRICE_OF_A_FIGURE = 1.0  # times the logarithm of the number of results (Schwarz)
PRICE_OF_ALL = 2.5  # times that of one lot: where a lot tells most of the results, all lots look like it
LEAST_OF_AN_OFFSET = 8.0  # what an element of a grade must take away to belong to a changed practice


class Explanation(NamedTuple):
    """`cause`: lot, element, scale, practice or an input's name; `effect` in the cause's own measure:
    relative for lots, elements and scale. `gain`: half the squares taken away, less the price.
    """

    cause: str
    subject: str | None
    station: str | None
    elements: list[str]
    grades: list[str]
    effect: float
    gain: float


def explain(
    standard: pl.DataFrame, pairs: pl.DataFrame, inputs: dict[str, pl.DataFrame]
) -> list[Explanation]:
    """Return the explanations of the results in `standard` (as `reference.standardised`), the best first.

    `pairs` as `reference.by_lot`, of the same treatments; `inputs`: readings that have drifted, by name, with
    `row` and `value`.
    """
    if standard.is_empty():
        return []
    price = PRICE_OF_A_FIGURE * math.log(standard.height)
    found = [*_lots(pairs, price), *_together(pairs, price), *_practices(standard, price)]
    for name, readings in inputs.items():
        found += _input(standard, name, readings, price)
    return sorted((one for one in found if one.gain > 0), key=lambda one: -one.gain)


def _lots(pairs: pl.DataFrame, price: float) -> list[Explanation]:
    """One lot brings so much more of one element."""
    figures = _fitted(pairs, ["additive", "lot", "element"])
    return [
        Explanation(
            "lot",
            " ".join(part for part in (row["additive"], row["lot"]) if part),
            None,
            [row["element"]],
            [],
            row["effect"],
            row["squares"] / 2 - price,
        )
        for row in figures.iter_rows(named=True)
    ]


def _together(pairs: pl.DataFrame, price: float) -> list[Explanation]:
    """An element comes differently from every alloy, or every element does."""
    price_of_all = PRICE_OF_ALL * price
    heats = pairs.group_by(ROW, "station", "element").agg(pl.col("x").sum(), pl.col("y").first())
    elements = [
        Explanation(
            "element",
            None,
            None,
            [row["element"]],
            [],
            row["effect"],
            row["squares"] / 2 - price_of_all,
        )
        for row in _fitted(heats, ["element"]).iter_rows(named=True)
    ]
    every = _fitted(heats.with_columns(pl.lit("all").alias("all")), ["all"])
    moved = (
        heats.group_by("element")
        .agg((pl.col("x") ** 2).sum().alias("x"))
        .sort("x", descending=True)["element"]
    )
    scale = [
        Explanation(
            "scale",
            None,
            None,
            moved.head(4).to_list(),
            [],
            row["effect"],
            row["squares"] / 2 - price_of_all,
        )
        for row in every.iter_rows(named=True)
    ]
    return elements + scale


def _practices(standard: pl.DataFrame, price: float) -> list[Explanation]:
    """At one station results of some grades are off, each element of each grade by its own amount."""
    offsets = (
        standard.group_by("station", "grade", "element")
        .agg((pl.col("y").sum() ** 2 / pl.len()).alias("squares"), pl.col("y").mean().alias("effect"))
        .filter(pl.col("squares") / 2 > price + LEAST_OF_AN_OFFSET)
    )
    return [
        Explanation(
            "practice",
            None,
            str(station),
            of.group_by("element")
            .agg(pl.col("squares").sum())
            .sort("squares", descending=True)["element"]
            .to_list(),
            sorted(of["grade"].unique()),
            float(of.sort("squares")["effect"][-1]),
            float(of["squares"].sum()) / 2 - price * of.height,
        )
        for (station,), of in offsets.group_by("station")
    ]


def _input(standard: pl.DataFrame, name: str, readings: pl.DataFrame, price: float) -> list[Explanation]:
    """Results go with a reading that has drifted, each element of each station by its own slope."""
    joined = standard.join(readings.drop_nulls("value").rename({"value": "x"}), on=ROW)
    slopes = _fitted(joined, ["station", "element"]).filter(pl.col("squares") / 2 > price)
    if slopes.is_empty():
        return []
    return [
        Explanation(
            name,
            None,
            None,
            slopes.sort("squares", descending=True)["element"].unique(maintain_order=True).to_list(),
            [],
            float(slopes.sort("squares")["effect"][-1]),
            float(slopes["squares"].sum()) / 2 - price * slopes.height,
        )
    ]


def _fitted(frame: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Least squares of y on x through 0: `effect`, and `squares` that it takes away."""
    return (
        frame.group_by(by)
        .agg((pl.col("x") * pl.col("y")).sum().alias("sxy"), (pl.col("x") ** 2).sum().alias("sxx"))
        .filter(pl.col("sxx") > 0)
        .with_columns(
            (pl.col("sxy") / pl.col("sxx")).alias("effect"),
            (pl.col("sxy") ** 2 / pl.col("sxx")).alias("squares"),
        )
    )
