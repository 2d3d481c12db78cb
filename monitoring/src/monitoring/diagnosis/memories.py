"""What a station's last heats lost of an element, the next ones will lose too: how much of it, and how long.

Errors of neighbouring heats hang together, because an alloy that dissolves badly does so for some heats.
Fifteen heats of a lot then tell less of the lot than fifteen that have nothing to do with one another; who
does not know that is too sure of every lot. It shows in products of the errors of heats that lie `k` apart,
each over what was added in both: what fades with `k` is memory (of Gauss and Markov), what lasts is the lot.
"""

import polars as pl

from monitoring.diagnosis.reference import Memory

NEAR, FAR = (1, 2, 3), range(8, 21)  # heats apart
LONGEST = 0.9  # of what was lost, kept from heat to heat
SURE = 3.0  # standard deviations that a memory is above none


def memories(errors: pl.DataFrame) -> dict[str, dict[str, Memory]]:
    """Return the memories that can be seen, by station and element. `errors`: a row per treatment and element
    that something was added of, with `plant_id`, `station`, `place` (which heat of the station it is), and
    `y` and `x` as `reference.by_lot` has them, `x` of all lots together.
    """
    lasting = _products(errors, FAR).select("station", "element", lasting=pl.col("xxyy") / pl.col("xx"))
    near = pl.concat(
        _products(errors, [k])
        .join(lasting, on=["station", "element"])
        .select(
            "station",
            "element",
            pl.col("xx"),
            k=pl.lit(k),
            c=pl.col("xxyy") / pl.col("xx") - pl.col("lasting"),
        )
        for k in NEAR
    )
    found: dict[str, dict[str, Memory]] = {}
    for (station,), of in near.sort("station", "element", "k").group_by("station", maintain_order=True):
        kept = _kept(of)
        power = pl.lit(kept) ** pl.col("k")
        fitted = (
            of.group_by("element", maintain_order=True)
            .agg(
                (pl.col("xx") * power * pl.col("c")).sum().alias("both"),
                (pl.col("xx") * power**2).sum().alias("of"),
            )
            .filter(pl.col("both") > SURE * pl.col("of").sqrt())
        )
        found[str(station)] = {
            element: Memory((both / of_all) ** 0.5, kept) for element, both, of_all in fitted.iter_rows()
        }
    return found


def _products(errors: pl.DataFrame, apart: range | list[int]) -> pl.DataFrame:
    """Sums over pairs of heats so far apart: of the errors' products `xxyy`, and of the squares `xx` that
    makes what is 1 / (standard error)^2.
    """
    keys = ["plant_id", "station", "element", "place"]
    xx = pl.col("x") * pl.col("x_then")
    then = errors.select(*keys, pl.col("x").alias("x_then"), pl.col("y").alias("y_then"))
    return (
        pl.concat(
            errors.join(then.with_columns(pl.col("place") + k), on=keys)
            .group_by("station", "element")
            .agg((xx * pl.col("y") * pl.col("y_then")).sum().alias("xxyy"), (xx**2).sum().alias("xx"))
            for k in apart
        )
        .group_by("station", "element")
        .agg(pl.col("xxyy", "xx").sum())
        .filter(pl.col("xx") > 0)
    )


def _kept(near: pl.DataFrame) -> float:
    """What is left after a heat: one figure of a station's elements together, by least squares of what heats
    share on what those one nearer share.
    """
    steps = (
        near.sort("k").with_columns(pl.col("c").shift(1).over("element").alias("nearer")).drop_nulls("nearer")
    )
    nearer = pl.col("nearer").clip(0.0)
    both, squares = steps.select(
        (pl.col("xx") * nearer * pl.col("c")).sum().alias("both"),
        (pl.col("xx") * nearer**2).sum().alias("squares"),
    ).row(0)
    return min(max(both / squares, 0.0), LONGEST) if squares else 0.0
