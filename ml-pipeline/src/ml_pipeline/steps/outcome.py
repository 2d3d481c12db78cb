"""What a model predicts for many prepared heats at once: the equations of `model_service.parameters`,
column-wise.

The Model Service evaluates one heat at a time; a test holds both to the same numbers.
"""

from collections.abc import Mapping
from typing import NamedTuple

import lightgbm
import numpy as np
import polars as pl
from model_service import oxygen
from model_service.parameters import (
    AssumedFirst,
    ElementModel,
    FirstReading,
    OxygenBalance,
    StationModel,
)
from model_service.slow_state import usual_sd
from numpy.typing import NDArray

from ml_pipeline.steps import memory
from ml_pipeline.steps.columns import Vector, column

RECENT_HEATS = 30
CHUNK = 50_000
_AS_READ = FirstReading(pct=0.0, trust=1.0, most_pct=0.0)


class Terms(NamedTuple):
    """One element of prepared heats, wt %: nan where not measured.

    `first_pct` is what the first analysis is believed to say, `read_pct` what was read (or assumed);
    `first_sd_pct` is what the first analysis is not known by; `reference_pct` the aim, else the first
    analysis; `diluted_pct` what the additions' metal takes away; `burnt_pct` + `own_share` x added is
    what the oxygen balance takes as the service reckons it, made linear around what the heat needs,
    `usual_burnt_pct` of a heat that gets that; `really_burnt_pct` is the balance where it was: to be
    learnt from.
    """

    first_pct: Vector
    read_pct: Vector
    first_sd_pct: Vector
    final_pct: Vector
    added_pct: Vector
    reference_pct: Vector
    diluted_pct: Vector
    burnt_pct: Vector
    own_share: Vector
    usual_burnt_pct: Vector
    really_burnt_pct: Vector


class Outcomes(NamedTuple):
    """Predictions for what was added, wt %: `base_pct` without the slow state, `predicted_pct` with it; nan
    where unknown."""

    base_pct: Vector
    predicted_pct: Vector
    sd_pct: Vector
    final_pct: Vector
    added_pct: Vector
    recovery: Vector


def terms(station: StationModel, element: str, model: ElementModel, heats: pl.DataFrame) -> Terms:
    """First, final and added wt % with the mass believed as the model believes it, and the usual first
    analysis where none is."""
    mass = station.steel_mass_t
    believed = mass.nominal + mass.trust * (column(heats, "steel_mass_t") - mass.nominal)
    first, first_sd = column(heats, f"first.{element}"), np.nan_to_num(column(heats, f"first_sd.{element}"))
    if model.assumed_first is not None:
        unknown = np.isnan(first)
        usual_pct, usual_sd = _usual_first(model.assumed_first, heats)
        first, first_sd = np.where(unknown, usual_pct, first), np.where(unknown, usual_sd, first_sd)
    reference = column(heats, f"reference.{element}")
    reference = np.where(np.isnan(reference), first, reference)
    return Terms(
        _believed_first(model, heats, first, first_sd),
        first,
        first_sd,
        column(heats, f"final.{element}"),
        _added_pct(heats, element, believed),
        reference,
        column(heats, "metallic_kg") * reference / (1000 * believed),
        *_by_oxygen(station, element, heats, believed),
    )


def _usual_first(assumed: AssumedFirst, heats: pl.DataFrame) -> tuple[Vector, Vector]:
    """As `model_service.outcome.assumed_first`."""
    grades = heats["grade"].to_list()
    usual = [assumed.by_grade.get(grade, assumed) for grade in grades]
    return np.array([u.pct for u in usual]), np.array([u.sd_pct for u in usual])


def _believed_first(model: ElementModel, heats: pl.DataFrame, read_pct: Vector, sd_pct: Vector) -> Vector:
    """As `model_service.outcome.believed_first`."""
    if not model.first_readings:
        return read_pct
    usual = [model.first_readings.get(grade, _AS_READ) for grade in heats["grade"].to_list()]
    pct, trust, most = np.array([(u.pct, u.trust, u.most_pct) for u in usual]).T
    towards = np.clip((1.0 - trust) * (pct - read_pct), -most, most)
    believed: Vector = np.where(sd_pct > 0, read_pct, read_pct + towards)
    return believed


def _added_pct(heats: pl.DataFrame, element: str, believed_t: Vector) -> Vector:
    added: Vector = np.nan_to_num(column(heats, f"added_kg.{element}")) / (10 * believed_t)
    return added


def _by_oxygen(
    station: StationModel, element: str, heats: pl.DataFrame, believed_t: Vector
) -> tuple[Vector, Vector, Vector, Vector]:
    """What the balance takes of `element` besides its own share of what is added, that share, the loss of a
    heat that gets what it needs, and the loss with what it really got."""
    nothing = np.zeros(heats.height)
    if station.oxygen is None or element not in station.oxygen.kg_per_kg:
        return nothing, nothing, nothing, nothing
    # The balance takes kilobytes a heat: some at a time.
    parts = [
        _balance(
            station.oxygen, station, element, heats.slice(start, CHUNK), believed_t[start : start + CHUNK]
        )
        for start in range(0, max(heats.height, 1), CHUNK)
    ]
    burnt, own, usual, really = (np.concatenate(values) for values in zip(*parts, strict=True))
    return burnt, own, usual, really


def _balance(
    balance: OxygenBalance, station: StationModel, element: str, heats: pl.DataFrame, believed_t: Vector
) -> tuple[Vector, Vector, Vector, Vector]:
    binders = oxygen.elements_of(balance)
    needed = [
        np.maximum(_middle_pct(heats, e) - np.nan_to_num(column(heats, f"first.{e}")), 0.0) for e in binders
    ]
    seen = {feature.name: (feature.low, feature.high) for feature in station.features}
    readings = oxygen.Readings(
        *(np.clip(column(heats, f"f.{name}"), *seen.get(name, (None, None))) for name in oxygen.READINGS)
    )
    lost = oxygen.debit(balance, readings, [np.nan_to_num(pct) for pct in needed])
    added = [_added_pct(heats, binder, believed_t) for binder in binders]
    really = oxygen.debit_of(balance, readings, added)
    own = binders.index(element)
    burnt = lost.constant_pct[own]
    for p, pct in enumerate(added):
        if p != own:
            burnt = burnt + lost.share[own][p] * pct
    return burnt, lost.share[own][own], lost.usual_pct[own], really.usual_pct[own]


def _middle_pct(heats: pl.DataFrame, element: str) -> Vector:
    """As `model_service.outcome.middle_pct`."""
    middle = (column(heats, f"low.{element}") + column(heats, f"high.{element}")) / 2
    return np.where(np.isnan(middle), column(heats, f"aim.{element}"), middle)


def feature_matrix(station: StationModel, heats: pl.DataFrame) -> NDArray[np.float64]:
    """Heats x features: the default where missing, never outside the training range (as
    `model_service.state`)."""
    if not station.features:
        return np.zeros((heats.height, 0))
    columns = []
    for feature in station.features:
        values = column(heats, f"f.{feature.name}")
        columns.append(
            np.where(np.isnan(values), feature.default, np.clip(values, feature.low, feature.high))
        )
    matrix: NDArray[np.float64] = np.column_stack(columns)
    return matrix


def tree_outputs(text: str | None, cap: float, matrix: NDArray[np.float64]) -> Vector:
    """Capped corrections of one tree model; zeros without one."""
    if text is None:
        return np.zeros(len(matrix))
    booster = lightgbm.Booster(model_str=text)
    raw = np.asarray(booster.predict(matrix, num_threads=1), dtype=np.float64)
    capped: Vector = np.clip(raw, -cap, cap)
    return capped


def predict(
    station: StationModel,
    element: str,
    trees: Mapping[str, str],
    heats: pl.DataFrame,
    *,
    lags: NDArray[np.intp] | None = None,
) -> Outcomes:
    """Predict one element of every heat; `heats` are all of the station, in any order, so that the slow
    state has its past."""
    model = station.elements[element]
    known = terms(station, element, model, heats)
    matrix = feature_matrix(station, heats)
    recovery = np.full(heats.height, model.recovery)
    offset = np.full(heats.height, model.offset_pct)
    for i, feature in enumerate(station.features):
        recovery = recovery + model.recovery_slopes.get(feature.name, 0.0) * (matrix[:, i] - feature.default)
        offset = offset + model.offset_slopes.get(feature.name, 0.0) * (matrix[:, i] - feature.default)
    recovery = np.maximum(
        recovery + tree_outputs(trees.get(model.recovery_tree or ""), model.recovery_cap, matrix), 0.0
    )
    offset = offset + tree_outputs(trees.get(model.offset_tree or ""), model.offset_cap_pct, matrix)
    gained = np.maximum(recovery - model.debit * known.own_share, 0.0) * known.added_pct
    base = known.first_pct + gained - model.debit * known.burnt_pct - known.diluted_pct + offset
    slow_state = model.slow_state
    if slow_state.prior_heats is None and slow_state.scatter_heats is None:
        return Outcomes(base, base, sd_pct(model, known), known.final_pct, known.added_pct, recovery)
    lags = lagged(heats) if lags is None else lags
    residual = residual_pct(station, element, heats, known.final_pct - base)
    lots = memory.lots_of(station, element, heats)
    told = memory.told(residual, residual_sd_pct(model, known, lots), lags, lots, slow_state)
    predicted = base + told.correction_pct
    sd = sd_pct(model, known, told.recovery_told)
    return Outcomes(base, predicted, sd * told.scatter, known.final_pct, known.added_pct, recovery)


def residual_sd_pct(model: ElementModel, known: Terms, lots: memory.Lots) -> Vector:
    """What each residual is expected to scatter by, as the Model Service reckons it of heats of the past."""
    noise, recovery_sd = np.array(model.noise_sd_pct), np.array(model.recovery_sd)
    of_content = model.noise_share * np.nan_to_num(known.reference_pct)
    return usual_sd(noise, of_content, recovery_sd, lots.added_pct.sum(axis=1))


def residual_pct(station: StationModel, element: str, heats: pl.DataFrame, error: Vector) -> Vector:
    """Errors of the base prediction that the Model Service would learn from: not of heats with a mass that
    cannot be, nor with a first analysis that is a mere guess."""
    mass, allowed = column(heats, "steel_mass_t"), station.steel_mass_t
    is_of_use = (mass >= allowed.low) & (mass <= allowed.high)
    model = station.elements[element]
    if model.assumed_first is not None:
        unknown = np.isnan(column(heats, f"first.{element}"))
        _, usual_sd = _usual_first(model.assumed_first, heats)
        is_of_use &= ~(unknown & (usual_sd > model.slow_state.residual_sd_pct))
    residual: Vector = np.where(is_of_use, error, np.nan)
    return residual


def sd_pct(model: ElementModel, known: Terms, recovery_told: Vector | float = 0.0) -> Vector:
    """Standard deviation of each heat's result, as `model_service.outcome`, where so much of the recovery's
    variance is told by the last heats."""
    of_recovery = np.maximum(model.recovery_sd**2 - recovery_told, 0.0) * known.added_pct**2
    of_debit = model.debit_sd * known.usual_burnt_pct
    noise = model.noise_sd_pct**2 + (model.noise_share * known.reference_pct) ** 2
    sd: Vector = np.sqrt(noise + of_recovery + of_debit**2 + known.first_sd_pct**2)
    return sd


def lagged(heats: pl.DataFrame) -> NDArray[np.intp]:
    """Heats x 30: row numbers of the plant's last heats that were complete when each was registered, newest
    first; -1 for none."""
    result = np.full((heats.height, RECENT_HEATS), -1, dtype=np.intp)
    rows = heats.select("plant_id", "completed_at", "registered_at").with_row_index("row")
    for _, plant in rows.group_by("plant_id", maintain_order=True):
        done = plant.sort("completed_at", maintain_order=True)
        position = (
            done["completed_at"]
            .search_sorted(plant["registered_at"], side="right")
            .to_numpy()
            .astype(np.intp)
        )
        order, target = done["row"].to_numpy().astype(np.intp), plant["row"].to_numpy().astype(np.intp)
        for age in range(RECENT_HEATS):
            at = position - 1 - age
            result[target, age] = np.where(at >= 0, order[np.maximum(at, 0)], -1)
    # A treatment that took no time is no past of itself.
    result[result == np.arange(heats.height)[:, None]] = -1
    return result


class Near(NamedTuple):
    """Heats with those that their slow state looks back on: `lags` among them, `wanted` which were meant."""

    heats: pl.DataFrame
    lags: NDArray[np.intp]
    wanted: NDArray[np.bool_]


def with_past(heats: pl.DataFrame, lags: NDArray[np.intp], wanted: NDArray[np.bool_]) -> Near:
    """The `wanted` heats and their past, in their order: all that a prediction of them asks for, however many
    heats there are. Those of the past are without a past of their own."""
    looked_at = np.zeros(heats.height, dtype=bool)
    of_wanted = lags[wanted]
    looked_at[of_wanted[of_wanted >= 0]] = True
    rows = np.flatnonzero(looked_at | wanted)
    place = np.full(heats.height + 1, -1, dtype=np.intp)  # the last is what the lag -1 finds
    place[rows] = np.arange(len(rows))
    meant = wanted[rows]
    near = np.where(meant[:, None], place[lags[rows]], -1)
    return Near(heats[rows], near, meant)


def predict_wanted(station: StationModel, element: str, trees: Mapping[str, str], near: Near) -> Outcomes:
    """`predict` of the heats that are wanted."""
    seen = predict(station, element, trees, near.heats, lags=near.lags)
    return Outcomes(*(values[near.wanted] for values in seen))


def measured(values: Vector) -> Vector:
    """Without what is not known."""
    known: Vector = values[~np.isnan(values)]
    return known
