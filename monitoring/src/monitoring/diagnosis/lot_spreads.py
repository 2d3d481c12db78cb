"""How far lots differ from their certificates while nothing is wrong.

First by what each lot alone says of the results; then, when what goes together in errors is known, by the
estimates that the lots are judged by, so that neither knows of noise what the other doesn't.
"""

import math

import polars as pl

from monitoring.diagnosis.reference import LotSpread

MATTERS_FROM = 3.0  # standard deviations that an addition brings, for an element to be judged by additions
LEAST_SHARE = 0.02  # of the heats in which it does
LEAST_LOTS = 6  # of an additive, before its lots are judged: by how much lots differ, few of them do not tell
LEAST_SD_REL = 0.005


def spreads_of_lots(pairs: pl.DataFrame, treatments: int) -> dict[str, dict[str, LotSpread]]:
    """Return the spread by additive and element, of `pairs` as `reference.by_lot` with `plant_id`.

    By moments: that of the lots' estimates less what is due to the noise of the heats. An additive of few
    lots is left out: what a model has learnt from three lots is theirs.
    """
    matters = (
        pairs.group_by("additive", "element")
        .agg((pl.col("x") > MATTERS_FROM).sum().alias("n"))
        .filter(pl.col("n") >= LEAST_SHARE * treatments)
    )
    lots = (
        pairs.join(matters, on=["additive", "element"], how="semi")
        .group_by("plant_id", "additive", "element", "lot")
        .agg(
            pl.col("heat").n_unique().alias("heats"),
            (pl.col("x") * pl.col("y")).sum().alias("sxy"),
            (pl.col("x") ** 2).sum().alias("sxx"),
        )
        .filter(pl.col("sxx") > 0)
        .with_columns((pl.col("sxy") / pl.col("sxx")).alias("b"))
    )
    result: dict[str, dict[str, LotSpread]] = {}
    for (additive, element), of in lots.group_by("additive", "element", maintain_order=True):
        told = of.filter(pl.col("sxx") > pl.col("sxx").max() / 20)
        more = told.select((pl.col("b") ** 2 - 1 / pl.col("sxx")).mean()).item()
        if told.height < LEAST_LOTS:
            continue
        sd_rel = math.sqrt(max(LEAST_SD_REL**2, more))
        heats = of.select(pl.col("heats").mean()).item()
        information = told.select(pl.col("sxx").mean()).item()
        result.setdefault(str(additive), {})[str(element)] = LotSpread(of.height, sd_rel, heats, information)
    return {additive: dict(sorted(elements.items())) for additive, elements in sorted(result.items())}


def spreads_as_told(
    of_plants: list[pl.DataFrame], lots: dict[str, dict[str, LotSpread]]
) -> dict[str, dict[str, LotSpread]]:
    """Return the spreads of `lots` again, by the last look at each lot (plant by plant, as
    `told_apart.ToldApart.lots`): by the same estimates that lots are judged by.
    """
    last = pl.concat(
        of.unique(["additive", "lot", "element"], keep="last", maintain_order=True) for of in of_plants
    )
    result: dict[str, dict[str, LotSpread]] = {}
    for additive, elements in lots.items():
        for element, known in elements.items():
            of = last.filter(additive=additive, element=element).with_columns(
                error=pl.col("spread") ** 2 - known.sd_rel**2, weight=pl.col("spread") ** -4
            )
            weight, more = pl.col("weight"), pl.col("estimate") ** 2 - pl.col("error")
            more_var, heats, information = of.select(
                (weight * more).sum() / weight.sum(),
                pl.col("heats").mean(),
                (1 / pl.col("error")).mean().alias("information"),
            ).row(0)
            sd_rel = math.sqrt(max(LEAST_SD_REL**2, more_var))
            result.setdefault(additive, {})[element] = LotSpread(known.lots, sd_rel, heats, information)
    return result
