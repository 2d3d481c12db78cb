"""The slow state of every prepared heat: `model_service.memory`, one element of many heats at a time."""

from typing import NamedTuple

import numpy as np
import polars as pl
from model_service.memory import effects, scatter
from model_service.parameters import SlowState, StationModel
from model_service.slow_state import settings_of
from numpy.typing import NDArray

from ml_pipeline.steps.columns import Vector, column

CHUNK = 1000


class Lots(NamedTuple):
    """What each heat's lots brought of one element, wt % (heat, place); `code` is the lot, -1 for none."""

    code: NDArray[np.int64]
    added_pct: NDArray[np.float64]


def lots_of(station: StationModel, element: str, heats: pl.DataFrame) -> Lots:
    """The lots of `element` in every heat, with the mass believed as the model believes it."""
    name = f"lots.{element}"
    if name not in heats.columns:
        return Lots(np.full((heats.height, 1), -1), np.zeros((heats.height, 1)))
    mass = station.steel_mass_t
    believed = mass.nominal + mass.trust * (column(heats, "steel_mass_t") - mass.nominal)
    records = heats.select(name).with_row_index("row").explode(name).drop_nulls(name).unnest(name)
    records = records.with_columns(
        code=pl.col("lot").rank("dense").cast(pl.Int64), place=pl.int_range(pl.len()).over("row")
    )
    places = int(records["place"].max() or 0) + 1  # type: ignore[arg-type]
    code = np.full((heats.height, places), -1, dtype=np.int64)
    added = np.zeros((heats.height, places))
    row, place = records["row"].to_numpy(), records["place"].to_numpy()
    code[row, place] = records["code"].to_numpy()
    added[row, place] = records["kg"].to_numpy() / (10 * believed[row])
    return Lots(code, added)


class Told(NamedTuple):
    """What the last heats say of each: correction of its base prediction (wt %), the variance that this takes
    from its recovery, and how many times as far as usual they scatter."""

    correction_pct: Vector
    recovery_told: Vector
    scatter: Vector


def told(residual: Vector, sd: Vector, lags: NDArray[np.intp], lots: Lots, slow_state: SlowState) -> Told:
    """What the Model Service adds to the base prediction of each heat, and by what it widens its interval,
    given the heats of `lags`; `sd` is what each residual was expected to scatter by. Raises ValueError where
    `lots` are not of the same heats."""
    if len(lags) != len(lots.code):
        raise ValueError(f"{len(lots.code)} heats have lots, {len(lags)} are asked for")
    found = Told(np.zeros(len(lags)), np.zeros(len(lags)), np.ones(len(lags)))
    looking_back = np.flatnonzero((lags >= 0).any(axis=1))
    for start in range(0, len(looking_back), CHUNK):
        rows = looking_back[start : start + CHUNK]
        past = lags[rows]
        left = np.where(past >= 0, residual[past], np.nan)
        if slow_state.prior_heats is not None:
            found.correction_pct[rows], found.recovery_told[rows] = _correct(
                left, rows, past, lots, slow_state
            )
        if slow_state.scatter_heats is not None:
            usual = np.full(len(rows), slow_state.usual_scatter)
            sure = np.full(len(rows), slow_state.scatter_heats)
            found.scatter[rows] = scatter(left, sd[past], usual, sure)
    return found


def _correct(
    known: Vector, rows: NDArray[np.intp], past: NDArray[np.intp], lots: Lots, slow_state: SlowState
) -> tuple[Vector, Vector]:
    """Correction of some heats, and the variance of their recovery that is told; takes out of `known`, the
    residuals of their past, what it explains."""
    code = np.concatenate(
        [lots.code[rows], np.where(past[:, :, None] >= 0, lots.code[past], -1).reshape(len(rows), -1)],
        axis=1,
    )
    slots = _slots(code)
    places = lots.code.shape[1]
    added = np.zeros((len(rows), past.shape[1], int(slots.max()) + 1))
    b, n, p = np.nonzero((past[:, :, None] >= 0) & (lots.code[past] >= 0))
    np.add.at(
        added,
        (b, n, slots[:, places:].reshape(len(rows), -1, places)[b, n, p]),
        lots.added_pct[past[b, n], p],
    )
    found = effects(known, added, settings_of([slow_state] * len(rows)))
    share = found.lots + found.recovery[:, None]
    known -= found.bias[:, None] + (added @ share[:, :, None])[:, :, 0]
    by_lot = np.take_along_axis(share, slots[:, :places], axis=1) * lots.added_pct[rows]
    return found.bias + by_lot.sum(axis=1), found.recovery_told


def _slots(code: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the different codes of each row from 0."""
    order = np.argsort(code, axis=1, kind="stable")
    ordered = np.take_along_axis(code, order, axis=1)
    new = np.concatenate(
        [np.zeros((len(code), 1), dtype=np.int64), (np.diff(ordered, axis=1) != 0).astype(np.int64)], axis=1
    )
    slots = np.empty_like(code)
    np.put_along_axis(slots, order, np.cumsum(new, axis=1), axis=1)
    return slots
