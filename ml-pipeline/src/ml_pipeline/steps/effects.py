"""Marginal effect: does the prediction know what a kilogram does? The first thing to judge a model by.

Operators close the loop, so a small error may hide a wrong effect. Where the effect of an additive is right,
the residual knows nothing of how much of its element was added: its slope on that is near 0 beside the
recovery, which is the physical slope. The pairs are chosen by the data: the additives that bring a tenth or
more of what is added of an element.
"""

from typing import NamedTuple

import numpy as np
import polars as pl
from model_service.parameters import StationModel

from ml_pipeline.steps.columns import Vector, column
from ml_pipeline.steps.outcome import Outcomes

MIN_HEATS = 30
LEAST_SHARE = 0.1
LEAST_OF_FINAL = 0.02
"""Share of the final content under which a whole heat's addition says nothing of a slope."""
WITHIN = 0.2
Z95 = 1.959964
CHUNK_HEATS = 20_000
"""Heats in memory at once with all their certificates."""
COLUMNS = ("weighed", "decided", "additives")
"""Of the lake, besides the keys, that `brought` reads."""
_KEYS = ["plant_id", "heat_uid", "treatment_no"]


class Effect(NamedTuple):
    """One pair. `slope` of the residual on what the additive brought, as a share of the recovery, with its 95
    % interval; `is_right` where all of that lies within 20 %. `share` of all that was added of the element.
    """

    additive: str
    element: str
    heats: int
    share: float
    slope: float
    low: float
    high: float
    is_right: bool


def brought(rows: pl.DataFrame) -> pl.DataFrame:
    """What each additive brought of each element, by certificate: plant_id, heat_uid, treatment_no, additive,
    element, kg. From rows of the lake: weighed, or decided where nothing was weighed; where a lot is not
    among the offers, the additive's first certificate stands for it.
    """
    parts = (_brought(rows.slice(start, CHUNK_HEATS)) for start in range(0, max(rows.height, 1), CHUNK_HEATS))
    return pl.concat(parts).sort(*_KEYS, "additive", "element")


def _brought(rows: pl.DataFrame) -> pl.DataFrame:
    by_lot = ["additive", "lot"]
    amounts = (pl.struct(pl.element().struct.field(*by_lot, "added_kg")) for _ in range(2))
    weighed, decided = (
        pl.col(name).list.eval(amount) for name, amount in zip(("weighed", "decided"), amounts, strict=True)
    )
    tipped = rows.select(
        *_KEYS, of=pl.when(pl.col("weighed").list.len() > 0).then(weighed).otherwise(decided)
    )
    tipped = tipped.explode("of").drop_nulls("of").unnest("of")
    offers = rows.select(*_KEYS, "additives").explode("additives").drop_nulls("additives").unnest("additives")
    offers = offers.select(*_KEYS, *by_lot, "assay")
    first = offers.unique([*_KEYS, "additive"], keep="first").select(*_KEYS, "additive", usual="assay")
    exact = tipped.join(offers, on=[*_KEYS, *by_lot], how="left", nulls_equal=True)
    found = exact.join(first, on=[*_KEYS, "additive"], how="left").select(
        *_KEYS, "additive", "added_kg", assay=pl.coalesce("assay", "usual")
    )
    assayed = found.explode("assay").drop_nulls("assay").unnest("assay").filter(pl.col("pct") > 0)
    kg = (pl.col("added_kg") * pl.col("pct") / 100).sum()
    return assayed.group_by(*_KEYS, "additive", "element").agg(kg=kg)


def effects(
    station: StationModel, outcomes: dict[str, Outcomes], heats: pl.DataFrame, sources: pl.DataFrame
) -> list[Effect]:
    """The pairs of a station on the judged `heats`, in whose order `outcomes` are; `sources` as from
    `brought`.
    """
    mass = station.steel_mass_t
    believed_t = mass.nominal + mass.trust * (column(heats, "steel_mass_t") - mass.nominal)
    order = heats.select(_KEYS)
    here = sources.join(order, on=_KEYS, how="semi")
    found = []
    for (element,), of_element in here.group_by("element", maintain_order=True):
        seen = outcomes.get(str(element))
        if seen is None:
            continue
        total = float(of_element["kg"].to_numpy().sum())
        for (additive,), some in of_element.group_by("additive", maintain_order=True):
            share = float(some["kg"].to_numpy().sum()) / total
            kg = order.join(some, on=_KEYS, how="left", maintain_order="left")["kg"].fill_null(0.0).to_numpy()
            added_pct = kg / (10 * believed_t)
            is_in = added_pct > 0
            if share < LEAST_SHARE or is_in.sum() < MIN_HEATS:
                continue
            if np.median(added_pct[is_in]) < LEAST_OF_FINAL * np.nanmedian(seen.final_pct[is_in]):
                continue
            slope = residual_slope(seen.final_pct - seen.base_pct, added_pct)
            if slope is not None:
                recovery = max(float(np.mean(seen.recovery)), 1e-6)
                middle, half = slope[0] / recovery, Z95 * slope[1] / recovery
                low, high = middle - half, middle + half
                is_right = low >= -WITHIN and high <= WITHIN
                heats_in = int((is_in & ~np.isnan(seen.final_pct)).sum())
                found.append(
                    Effect(str(additive), str(element), heats_in, share, middle, low, high, is_right)
                )
    return sorted(found, key=lambda effect: (effect.element, -effect.share))


def residual_slope(residual: Vector, added_pct: Vector) -> tuple[float, float] | None:
    """Slope of the residual on what was added and its standard error (robust to unequal variances); None
    where nothing varies."""
    known = ~np.isnan(residual)
    y, a = residual[known], added_pct[known]
    if len(y) < MIN_HEATS:
        return None
    limit = 4 * 1.4826 * np.median(np.abs(y - np.median(y)))
    kept = np.abs(y - np.median(y)) <= max(limit, 1e-9)
    y, a = y[kept], a[kept] - np.mean(a[kept])
    if len(y) < MIN_HEATS or np.sum(a**2) < 1e-12:
        return None
    slope = float(a @ y / (a @ a))
    rest = y - np.mean(y) - slope * a
    return slope, float(np.sqrt(np.sum(a**2 * rest**2)) / (a @ a))
