"""What each lot alone says of a result: what the other lots and the other elements of the same heat tell is
taken off first.

Several lots bring an element to a heat, and where one of them is known by now to be a little rich, that is no
news of the others. And what oxygen burns, it burns of several elements at once: where silicon came out low,
manganese will have too. Both only with what was known before the heat, so nothing looks into the future.
"""

import polars as pl

from monitoring.measures.treatments import ROW

CLIPPED_AT = 2.5  # standard deviations: one heat does not make a lot
PASSES = 2  # of lots against one another; more change nothing that matters
LOT = ["additive", "lot", "element"]


def untangled(pairs: pl.DataFrame, standard: pl.DataFrame, beside: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs with `y` and `x` in standard deviations of what is left of the noise.

    `pairs` as `reference.by_lot`, of one plant, with `sd_rel`, the spread of such lots; `standard` as
    `reference.standardised`; `beside` as `reference.beside_frame`.
    """
    y = pl.col("y").clip(-CLIPPED_AT, CLIPPED_AT)
    left = without_other_lots(pairs.with_columns(y))
    rest = rests(left, standard.with_columns(y))
    gone_with = rest.select(ROW, pl.col("element").alias("partner"), pl.col("rest").alias("partner_rest"))
    return (
        left.join(beside, on=["station", "element"], how="left")
        .join(gone_with, on=[ROW, "partner"], how="left")
        .with_columns(
            pl.col("sd").fill_null(1.0),
            (pl.col("own") - (pl.col("slope") * pl.col("partner_rest")).fill_null(0.0)).alias("own"),
        )
        .with_columns((pl.col("own") / pl.col("sd")).alias("y"), (pl.col("x") / pl.col("sd")).alias("x"))
        .select(pairs.columns)
        .sort(ROW, "additive")
    )


def without_other_lots(pairs: pl.DataFrame) -> pl.DataFrame:
    """Add `told`, what the lot's heats before tell that it brings to this one, and `own`, the result without
    what the other lots' tell.
    """
    found = pairs.sort(ROW, "additive").with_columns(pl.col("y").alias("own"))
    xx, xy = pl.col("x") ** 2, pl.col("x") * pl.col("own")
    var = pl.col("sd_rel") ** 2
    for _ in range(PASSES):
        found = (
            found.with_columns(
                (xx.cum_sum().over(LOT) - xx).alias("sxx"), (xy.cum_sum().over(LOT) - xy).alias("sxy")
            )
            .with_columns((pl.col("x") * pl.col("sxy") * var / (1 + pl.col("sxx") * var)).alias("told"))
            .with_columns(
                (pl.col("y") - (pl.col("told").sum().over(ROW, "element") - pl.col("told"))).alias("own")
            )
        )
    return found


def rests(left: pl.DataFrame, standard: pl.DataFrame) -> pl.DataFrame:
    """Return `row`, `station`, `element`, `rest`: each result without what any lot tells of it."""
    told = left.group_by(ROW, "element").agg(pl.col("told").sum())
    return standard.join(told, on=[ROW, "element"], how="left").select(
        ROW, "station", "element", (pl.col("y") - pl.col("told").fill_null(0.0)).alias("rest")
    )
