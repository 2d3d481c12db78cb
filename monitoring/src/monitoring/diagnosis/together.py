"""Over all lots, does an element, or everything, come differently than before? Then no lot is to blame, but
recovery, the spectrometer or a scale.
"""

import polars as pl

from monitoring.diagnosis.budget import LOOK_EVERY, as_sure_as, limit, looks_of_windows
from monitoring.diagnosis.looks import beyond
from monitoring.diagnosis.reference import Reference, spread_frame
from monitoring.diagnosis.untangled import LOT

WINDOWS = (200, 400, 800)  # treatments


def together(pairs: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Look every `LOOK_EVERY` treatments whether the lots of the last windows are off together: those of an
    element (recovery or spectrometer), and all (scale). Lots count by how surely each tells.
    """
    off = off_together(pairs, reference)
    elements = off.filter(kind="element")["element"].n_unique()
    limits = {
        "element": limit("element", looks_of_windows(elements, len(WINDOWS))),
        "scale": limit("scale", looks_of_windows(1, len(WINDOWS))),
    }
    # How far they wander by themselves is known from as many windows as there were in training.
    sure = [
        (kind, window, as_sure_as(at, reference.heats / window))
        for kind, at in limits.items()
        for window in WINDOWS
    ]
    wander = pl.coalesce("element", pl.lit("scale")).replace_strict(
        reference.wander, default=1.0, return_dtype=pl.Float64
    )
    judged = (
        off.lazy()
        .with_columns(pl.col("sd") * wander, (pl.col("row") + 1 - pl.col("since")).alias("window"))
        .join(pl.LazyFrame(sure, ["kind", "window", "limit"], orient="row"), on=["kind", "window"])
    )
    return pl.concat([beyond(judged.filter(kind=kind), kind) for kind in limits])


def wander(pairs: pl.DataFrame, reference: Reference) -> dict[str, float]:
    """Return, from heats where nothing is wrong, how much further lots are off together than they should
    be by chance: the root mean square in standard deviations, and 1 at least.
    """
    off = off_together(pairs, reference).with_columns(pl.coalesce("element", pl.lit("scale")).alias("of"))
    figures = (
        off.group_by("of").agg((pl.col("estimate") / pl.col("sd")).pow(2).mean().sqrt().clip(1.0)).sort("of")
    )
    return dict(figures.iter_rows())


def off_together(pairs: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Return every look: `kind`, `element`, `row`, `since`, `estimate`, by how much more than in all heats
    before its window the lots bring, and `sd`. There must have been as many heats before as are in it: a
    model that is a little off from its first heat on is no instrument that has changed.
    """
    known = pairs.join(spread_frame(reference), on=["additive", "element"])
    sums = (
        known.lazy()
        .with_columns((pl.col("row") // LOOK_EVERY).cast(pl.Int64).alias("block"))
        .group_by("block", *LOT)
        .agg(
            (pl.col("x") * pl.col("y")).sum().alias("sxy"),
            (pl.col("x") ** 2).sum().alias("sxx"),
            pl.col("sd_rel").first(),
        )
        .sort("block")
        .collect()
        .lazy()
    )
    blocks_in_all = (known["row"][-1] if known.height else 0) // LOOK_EVERY
    found = []
    for window in WINDOWS:
        blocks = window // LOOK_EVERY
        ends = pl.int_ranges(pl.col("block"), pl.col("block") + blocks).alias("end")
        lot = (
            sums.with_columns(ends)
            .explode("end")
            .filter(pl.col("end").is_between(2 * blocks - 1, blocks_in_all - 1))
            .group_by("end", *LOT)
            .agg(pl.col("sxy").sum(), pl.col("sxx").sum(), pl.col("sd_rel").first())
        )
        for kind, by in (("element", ["element"]), ("scale", [])):
            now = _told(lot).group_by("end", *by).agg(pl.col("weighted").sum(), pl.col("sure").sum())
            found.append(
                now.with_columns((pl.col("end") - blocks).alias("before"))
                .sort("before")
                .join_asof(
                    _before(sums, by),
                    left_on="before",
                    right_on="block",
                    by=by or None,
                    suffix="_before",
                    check_sortedness=False,
                )
                .drop_nulls("sure_before")
                .select(
                    pl.lit(kind).alias("kind"),
                    pl.col("element") if by else pl.lit(None, dtype=pl.String).alias("element"),
                    ((pl.col("end") + 1) * LOOK_EVERY - 1).alias("row"),
                    ((pl.col("end") + 1 - blocks) * LOOK_EVERY).alias("since"),
                    (
                        pl.col("weighted") / pl.col("sure")
                        - pl.col("weighted_before") / pl.col("sure_before")
                    ).alias("estimate"),
                    (1 / pl.col("sure") + 1 / pl.col("sure_before")).sqrt().alias("sd"),
                )
            )
    return pl.concat(found).collect()


def _told(sums: pl.LazyFrame) -> pl.LazyFrame:
    """How surely each lot tells, by the spread of such lots and what its heats tell; and its estimate by
    that weight.
    """
    return (
        sums.filter(pl.col("sxx") > 0)
        .with_columns((1 / (pl.col("sd_rel") ** 2 + 1 / pl.col("sxx"))).alias("sure"))
        .with_columns((pl.col("sxy") / pl.col("sxx") * pl.col("sure")).alias("weighted"))
    )


def _before(sums: pl.LazyFrame, by: list[str]) -> pl.LazyFrame:
    """The same of all heats up to and with a block, every lot once: summed up by what each block adds."""
    figures = pl.col("sure", "weighted")
    told = _told(sums.with_columns(pl.col("sxy", "sxx").cum_sum().over(LOT)))
    added = told.with_columns(figures - figures.shift(1, fill_value=0.0).over(LOT))
    of_blocks = added.group_by("block", *by).agg(figures.sum()).sort("block")
    return of_blocks.with_columns(figures.cum_sum().over(by) if by else figures.cum_sum())
