"""Does a lot bring what its certificate says? And, over all lots, does an element or everything come
differently?

A lot is tested by itself, from its first heat, at both stations together: `b` is by how much (relative) it
brings more than its certificate says. Honest lots differ too, by the spread in the reference; so while
nothing is wrong `b`'s estimate has the variance of that spread plus that of the estimate. It is looked at
few times, when it has become so and so sure (a group sequential test), and more eagerly for lots that
bring too little: those make heats miss.
"""

import polars as pl

from monitoring.diagnosis.budget import (
    FALSE_ALARMS,
    HEATS,
    LOOK_EVERY,
    SHARES,
    limit,
    looks_of_windows,
    two_sided,
)
from monitoring.diagnosis.looks import beyond
from monitoring.diagnosis.reference import Reference

LOOK_AT = (0.3, 0.7, 1.1, 3.0)  # information of the estimate in units of the lots' own
SPENT_AT = (0.15, 0.3, 0.35, 0.2)  # of the budget of the lot
SPENT_BELOW = 0.75  # of it for too little
WINDOWS = (200, 400, 800)  # treatments, where lots are looked at together


def spreads(reference: Reference) -> pl.DataFrame:
    """Return one row per additive and element that lots are judged by: spread, and the limits of the looks.

    The budget goes to pairs by the square of what their lots tell, so to those of which an alarm can come in
    time; and to a pair's lots equally.
    """
    known = [
        (additive, element, of.sd_rel, of.information, of.lots * HEATS * 2 / reference.heats)
        for additive, elements in reference.lots.items()
        for element, of in elements.items()
    ]
    schema = {
        "additive": pl.String,
        "element": pl.String,
        "sd_rel": pl.Float64,
        "tells": pl.Float64,
        "lots": pl.Float64,
    }
    pairs = pl.DataFrame(known, schema=schema, orient="row")
    total = (pairs["tells"] ** 2).sum()
    budgets = [
        FALSE_ALARMS * SHARES["lot"] * tells**2 / total / max(1.0, lots)
        for tells, lots in pairs.select("tells", "lots").iter_rows()
    ]
    limits = {
        f"{side}_{n}": [two_sided(2 * budget * share * spent) for budget in budgets]
        for n, spent in enumerate(SPENT_AT)
        for side, share in (("below", SPENT_BELOW), ("above", 1 - SPENT_BELOW))
    }
    return pairs.with_columns(pl.Series(name, of, dtype=pl.Float64) for name, of in limits.items())


def lots(pairs: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Look at each lot when it is time; `pairs` as `reference.by_lot` gives them."""
    lot = ["additive", "lot", "element"]
    running = (
        pairs.lazy()
        .join(spreads(reference).lazy(), on=["additive", "element"])
        .sort("row")
        .with_columns(
            (pl.col("x") * pl.col("y")).cum_sum().over(lot).alias("sxy"),
            (pl.col("x") ** 2).cum_sum().over(lot).alias("sxx"),
            pl.col("row").first().over(lot).alias("since"),
        )
        .with_columns((pl.col("sxx") * pl.col("sd_rel") ** 2).alias("known"))
        .with_columns(pl.col("known").shift(1).over(lot).fill_null(0).alias("known_before"))
    )
    looked = []
    for n, at in enumerate(LOOK_AT):
        now = running.filter((pl.col("known") >= at) & (pl.col("known_before") < at))
        estimate = pl.col("sxy") / pl.col("sxx")
        looked.append(
            now.select(
                "row",
                "since",
                "element",
                pl.concat_str("additive", "lot", separator=" ", ignore_nulls=True).alias("subject"),
                estimate.alias("estimate"),
                (pl.col("sd_rel") ** 2 + 1 / pl.col("sxx")).sqrt().alias("sd"),
                pl.when(estimate < 0)
                .then(pl.col(f"below_{n}"))
                .otherwise(pl.col(f"above_{n}"))
                .alias("limit"),
            )
        )
    return beyond(pl.concat(looked), "lot")


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
    known = pairs.join(spreads(reference).select("additive", "element", "sd_rel"), on=["additive", "element"])
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
