"""Over all lots, does an element, or everything, come differently than before? Then no lot is to blame, but
recovery, the spectrometer or a scale.

A spectrometer that reads 1.5 % high shows in the results of what was added, and in nothing else: the first
sample reads high too. It is told from a lot by the lots that were in use before and after, and by the other
lots that bring the element; and from a scale by the other elements. Only elements are looked at of which that
much would show.
"""

import polars as pl

from monitoring.diagnosis.budget import TREATMENTS, as_sure_as, limit
from monitoring.diagnosis.looks import beyond
from monitoring.diagnosis.reference import Reference
from monitoring.diagnosis.told_apart import CHANGE_EVERY, CHANGES_AGO

MATTERS_REL = 0.015
SHOWS_FROM = 3.0  # standard deviations that it makes, in the longest look
WANDERS = 200  # treatments over which what wanders by itself is another


def together(changes: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Look at each change whose element is judged; `changes` as `told_apart.ToldApart.changes`."""
    elements = sum(name not in ("lot", "scale") for name in reference.wander)
    looks = len(CHANGES_AGO) * TREATMENTS / CHANGE_EVERY
    judged = pl.DataFrame(
        [
            (name, factor, as_sure_as(at, reference.heats / WANDERS))
            for name, factor in reference.wander.items()
            if name != "lot"
            for at in [limit("scale", looks) if name == "scale" else limit("element", looks * elements)]
        ],
        {"of": pl.String, "factor": pl.Float64, "limit": pl.Float64},
        orient="row",
    )
    found = (
        changes.lazy()
        .with_columns(pl.coalesce("element", "kind").alias("of"))
        .join(judged.lazy(), on="of")
        .with_columns(pl.col("sd") * pl.col("factor"))
    )
    return pl.concat([beyond(found.filter(kind=kind), kind) for kind in ("element", "scale")])


def wander(of_plants: list[pl.DataFrame]) -> dict[str, float]:
    """Return, from the changes of heats where nothing is wrong, how much further than by chance everything
    ("scale") and each element that can be judged seems to change: the root mean square in standard
    deviations, and 1 at least.
    """
    z = pl.col("estimate") / pl.col("sd")
    figures = (
        pl.concat(of_plants)
        .with_columns(
            pl.coalesce("element", "kind").alias("of"), (pl.col("row") + 1 - pl.col("since")).alias("ago")
        )
        .group_by("of")
        .agg(
            z.pow(2).mean().sqrt().clip(1.0).alias("factor"),
            pl.col("sd").filter(pl.col("ago") == pl.col("ago").max()).median(),
        )
        .filter(pl.col("sd") * pl.col("factor") * SHOWS_FROM <= MATTERS_REL)
        .sort("of")
    )
    return dict(figures.select("of", "factor").iter_rows())
