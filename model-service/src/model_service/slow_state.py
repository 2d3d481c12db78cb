"""The slow state: what the last heats' residuals say about this one (bias of the station, effect of the lots)."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model_service.contracts import Addition, Additive, Below, RecentHeat
from model_service.model import Bundle
from model_service.outcome import Outcome, Vector, known_elements, outcome_of
from model_service.parameters import SlowState, StationModel

_GROSS_ERROR_SD = (
    6.0  # a residual further than this from the median of the others is a typing or sampling error
)


class Correction(NamedTuple):
    """Correction per element (wt %), the number of residuals behind each, and how many heats were of no use."""

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
    """Return the correction for station `name`, from the residuals (result - base prediction) of its last heats.

    The base prediction made then is used where this bundle made it; else the heat is predicted again.
    """
    residuals: dict[str, list[tuple[int, float]]] = {element: [] for element in elements}
    ordered = sorted(
        (heat for heat in recent_heats if heat.treatment.station == name), key=lambda heat: heat.completed_at
    )
    unusable = len(recent_heats) - len(ordered)
    for age, recent in enumerate(reversed(ordered)):
        base_pct = _base_prediction(bundle, station, recent, elements)
        unusable += base_pct is None
        for element in elements if base_pct else ():
            result = recent.chemistry_after.get(element)
            if result is None or isinstance(result, Below) or element not in base_pct:
                continue
            residuals[element].append((age, result - base_pct[element]))
    return Correction(
        np.array([_shrunk_mean(residuals[e], station.elements[e].slow_state) for e in elements], dtype=float),
        [len(residuals[e]) for e in elements],
        unusable,
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
) -> dict[str, float] | None:
    if recent.bundle_hash == bundle.bundle_hash and recent.base_prediction_pct is not None:
        return recent.base_prediction_pct
    mass = station.steel_mass_t
    offers = offers_of(recent.additions, recent.additives)
    if offers is None or not mass.low <= recent.heat.steel_mass_t <= mass.high:
        return None
    known = [element for element in known_elements(station, recent.heat) if element in elements]
    outcome = outcome_of(station, bundle.trees, recent.heat, offers, known)
    predicted = base_pct(outcome, [addition.added_kg for addition in recent.additions])
    return dict(zip(known, predicted.tolist(), strict=True))


def _shrunk_mean(residuals: Sequence[tuple[int, float]], settings: SlowState) -> float:
    if not residuals or settings.prior_heats is None:
        return 0.0
    sd = settings.residual_sd_pct
    middle = statistics.median(residual for _, residual in residuals) if len(residuals) > 2 else 0.0
    total, weights = 0.0, settings.prior_heats
    for age, residual in residuals:
        if abs(residual - middle) > _GROSS_ERROR_SD * sd:
            continue
        weight = 0.5 ** (age / settings.half_life_heats)
        total += weight * min(max(residual, -settings.clip_sd * sd), settings.clip_sd * sd)
        weights += weight
    return total / weights if weights > 0 else 0.0
