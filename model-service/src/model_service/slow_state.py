"""The slow state: what the last heats' residuals say about this one (bias of the station, lots)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_service.contracts import Addition, Additive, Analysis, Below, RecentHeat
from model_service.model import Bundle
from model_service.outcome import Outcome, Vector, known_elements, outcome_of
from model_service.parameters import SlowState, StationModel

MOST_KG_PER_T = 300.0  # more additives than that are a typing error, or another steel
_GROSS_ERROR_SD = (
    6.0  # a residual further than this from the median of the others is a typing or sampling error
)


class Correction(NamedTuple):
    """Correction per element (wt %), the residuals behind each, and how many heats were of no use."""

    pct: Vector
    residuals: list[int]
    unusable: int


def slow_state(
    bundle: Bundle,
    station: StationModel,
    recent_heats: Sequence[RecentHeat],
    elements: Sequence[str],
    name: str,
) -> Correction:
    """Return the correction for station `name` from its last heats: result - base prediction.

    The base prediction made then is used where this bundle made it; else the heat is predicted again.
    """
    if not recent_heats:
        return Correction(np.zeros(len(elements)), [0] * len(elements), 0)
    ordered = sorted(
        (heat for heat in recent_heats if heat.treatment.station == name),
        key=lambda heat: heat.completed_at,
        reverse=True,
    )
    predicted = [_base_prediction(bundle, station, recent, elements) for recent in ordered]
    rows = [
        [_residual(recent.chemistry_after.get(e), base.get(e)) for e in elements]
        for recent, base in zip(ordered, predicted, strict=True)
    ]
    residuals = np.array(rows, dtype=float).reshape(len(rows), len(elements))
    unusable = len(recent_heats) - sum(1 for base in predicted if base)
    settings = [station.elements[element].slow_state for element in elements]
    return Correction(
        _shrunk_mean(residuals, settings), np.sum(~np.isnan(residuals), axis=0).tolist(), unusable
    )


def offers_of(additions: Sequence[Addition], offers: Sequence[Additive]) -> list[Additive] | None:
    """Return the offer behind each addition (same lot if there is one), or None where one is not offered."""
    by_lot = {(offer.additive, offer.lot): offer for offer in reversed(offers)}
    by_name = {offer.additive: offer for offer in reversed(offers)}
    found = [
        by_lot.get((addition.additive, addition.lot)) or by_name.get(addition.additive)
        for addition in additions
    ]
    return None if None in found else [offer for offer in found if offer is not None]


def base_pct(outcome: Outcome, added_kg: Sequence[float]) -> Vector:
    """Return the base prediction (wt %) for the kilograms."""
    result: Vector = outcome.constant_pct + np.asarray(added_kg, dtype=float) @ outcome.slope
    return result


def _base_prediction(
    bundle: Bundle, station: StationModel, recent: RecentHeat, elements: Sequence[str]
) -> dict[str, float]:
    if recent.bundle_hash == bundle.bundle_hash and recent.base_prediction_pct is not None:
        return recent.base_prediction_pct
    mass = station.steel_mass_t
    offers = offers_of(recent.additions, recent.additives)
    mass_t, added_kg = recent.heat.steel_mass_t, [addition.added_kg for addition in recent.additions]
    if offers is None or not mass.low <= mass_t <= mass.high or sum(added_kg) > MOST_KG_PER_T * mass_t:
        return {}
    known = [element for element in known_elements(station, recent.heat) if element in elements]
    outcome = outcome_of(station, bundle.trees, recent.heat, offers, known)
    predicted = base_pct(outcome, added_kg)
    return dict(zip(known, predicted.tolist(), strict=True))


def _residual(result: Analysis, base: float | None) -> float:
    """Return result - base, nan where one is missing or the result is under the detection limit."""
    return math.nan if result is None or base is None or isinstance(result, Below) else result - base


def _shrunk_mean(residuals: NDArray[np.float64], settings: Sequence[SlowState]) -> Vector:
    """Return the shrunk, clipped, exponentially weighted mean of each column; rows newest first."""
    sd = np.array([s.residual_sd_pct for s in settings])
    clip = np.array([s.clip_sd for s in settings]) * sd
    prior = np.array([np.inf if s.prior_heats is None else s.prior_heats for s in settings])
    weights = 0.5 ** (np.arange(len(residuals))[:, None] / np.array([s.half_life_heats for s in settings]))

    ordered = np.sort(residuals, axis=0)  # nan goes last
    count = len(residuals) - np.sum(np.isnan(residuals), axis=0)
    columns, middle = np.arange(residuals.shape[1]), np.maximum(count - 1, 0)
    medians = (ordered[middle // 2, columns] + ordered[(middle + 1) // 2, columns]) / 2
    medians = np.where(count > 2, medians, 0.0)

    with np.errstate(invalid="ignore"):
        good = np.abs(residuals - medians) <= _GROSS_ERROR_SD * sd
    kept = np.where(good, np.clip(residuals, -clip, clip), 0.0)
    weights = np.where(good, weights, 0.0)
    total = weights.sum(axis=0) + prior
    mean: Vector = np.where(total > 0, (weights * kept).sum(axis=0) / np.maximum(total, 1e-12), 0.0)
    return mean
