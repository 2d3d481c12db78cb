"""Over all lots, does an element, or everything, come differently? Then no lot is to blame, but recovery, the
spectrometer or a scale.
"""

import polars as pl

from monitoring.diagnosis.budget import LOOK_EVERY, limit, looks_of_windows
from monitoring.diagnosis.looks import beyond
from monitoring.diagnosis.reference import Reference, spread_frame

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
    wander = pl.coalesce("element", pl.lit("scale")).replace_strict(
        reference.wander, default=1.0, return_dtype=pl.Float64
    )
    judged = off.lazy().with_columns(
        pl.col("kind").replace_strict(limits, return_dtype=pl.Float64).alias("limit"),
        pl.col("sd") * wander,
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
    """Return every look: `kind`, `element`, `row`, `since`, `estimate`, `sd`."""
    known = pairs.join(spread_frame(reference), on=["additive", "element"])
    sums = (
        known.lazy()
        .with_columns((pl.col("row") // LOOK_EVERY).alias("block"))
        .group_by("block", "additive", "lot", "element")
        .agg(
            (pl.col("x") * pl.col("y")).sum().alias("sxy"),
            (pl.col("x") ** 2).sum().alias("sxx"),
            pl.col("sd_rel").first(),
        )
        .collect()
        .lazy()
    )
    blocks_in_all = (known["row"][-1] if known.height else 0) // LOOK_EVERY
    found = []
    for window in WINDOWS:
        blocks = window // LOOK_EVERY
        lot = (
            sums.with_columns(
                pl.int_ranges(pl.col("block"), pl.col("block") + blocks, dtype=pl.UInt32).alias("end")
            )
            .explode("end")
            .filter(pl.col("end").is_between(blocks - 1, blocks_in_all - 1))
            .group_by("end", "additive", "lot", "element")
            .agg(pl.col("sxy").sum(), pl.col("sxx").sum(), pl.col("sd_rel").first())
            .filter(pl.col("sxx") > 0)
            .with_columns((1 / (pl.col("sd_rel") ** 2 + 1 / pl.col("sxx"))).alias("sure"))
            .with_columns((pl.col("sxy") / pl.col("sxx") * pl.col("sure")).alias("weighted"))
        )
        for kind, by in (("element", ["end", "element"]), ("scale", ["end"])):
            element = (
                pl.col("element") if kind == "element" else pl.lit(None, dtype=pl.String).alias("element")
            )
            found.append(
                lot.group_by(by)
                .agg(pl.col("weighted").sum(), pl.col("sure").sum())
                .select(
                    pl.lit(kind).alias("kind"),
                    element,
                    ((pl.col("end") + 1) * LOOK_EVERY - 1).alias("row"),
                    ((pl.col("end") + 1 - blocks) * LOOK_EVERY).alias("since"),
                    (pl.col("weighted") / pl.col("sure")).alias("estimate"),
                    (1 / pl.col("sure").sqrt()).alias("sd"),
                )
            )
    return pl.concat(found).collect()
