"""The slow state: what the last heats' residuals say about this one, bias of the station and lots."""

import math
from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_service.contracts import Addition, Additive, Below, Chemistry, Heat, RecentHeat
from model_service.features import measured_pct
from model_service.memory import Prior, Settings, effects_by, prior_of, scatter
from model_service.model import Bundle
from model_service.outcome import Outcome, Vector, aim_pct, assumed_first, known_elements, outcome_of
from model_service.parameters import SlowState, StationModel
from model_service.state import believed_mass_t

MOST_KG_PER_T = 300.0  # more additives than that are a typing error, or another steel
_MOST_PCT = 100.0
_REMEMBERED = 1024  # heats
_completed_at = attrgetter("completed_at")
MAIN_PCT = 1.0  # a lot is only judged by elements of which it holds so much, wt %


class Correction(NamedTuple):
    """Bias per element (wt %), residuals behind each, heats of no use, per offer and element (j, e) what its
    lot holds more or less than certified (a share of it), and how many times as far as usual the last heats
    scatter (e)."""

    bias_pct: Vector
    residuals: list[int]
    unusable: int
    lots: NDArray[np.float64]
    scatter: Vector

    def constant_pct(self, outcome: Outcome) -> Vector:
        """Prediction where nothing is added."""
        constant: Vector = outcome.constant_pct + self.bias_pct
        return constant

    def slope(self, outcome: Outcome) -> NDArray[np.float64]:
        """Effect of a kilogram with what is known of its lot (j, e)."""
        slope: NDArray[np.float64] = outcome.slope + outcome.added_per_kg * self.lots
        return slope

    def pct(self, outcome: Outcome, added_kg: Sequence[float] | Vector) -> Vector:
        """What is added to the base prediction."""
        kilograms = np.asarray(added_kg, dtype=float)
        pct: Vector = self.bias_pct + kilograms @ (outcome.added_per_kg * self.lots)
        return pct

    def scattering(self, outcome: Outcome) -> Outcome:
        """The outcome as uncertain as the last heats were."""
        square = self.scatter**2
        return outcome._replace(
            variance=square * outcome.variance, recovery_variance=square * outcome.recovery_variance
        )


def slow_state(
    bundle: Bundle,
    station: StationModel,
    recent_heats: Sequence[RecentHeat],
    elements: Sequence[str],
    name: str,
    offers: Sequence[Additive],
) -> Correction:
    """Return the correction for station `name` from its last heats: result - base prediction.

    The base prediction made then is used where this bundle made it; else the heat is predicted again.
    """
    none = np.zeros((len(offers), len(elements)))
    nothing = Correction(np.zeros(len(elements)), [0] * len(elements), 0, none, np.ones(len(elements)))
    if not recent_heats:
        return nothing
    ordered = sorted(
        [heat for heat in recent_heats if heat.treatment.station == name], key=_completed_at, reverse=True
    )
    if not ordered:
        return nothing._replace(unusable=len(recent_heats))
    finished = [_finished(bundle, recent) for recent in ordered]
    columns = _columns(station, tuple(elements))
    told = np.concatenate([heat.told_pct for heat in finished]).reshape(len(finished), 2, -1)
    left, sd = told.transpose(1, 2, 0)[:, columns]
    counts: list[int] = (~np.isnan(left)).sum(axis=1).tolist()
    nothing = nothing._replace(
        residuals=counts, unusable=len(recent_heats) - sum(heat.is_of_use for heat in finished)
    )
    remembering = [
        e
        for e, element in enumerate(elements)
        if counts[e] and station.elements[element].slow_state.prior_heats is not None
    ]
    bias, by_lot = nothing.bias_pct, nothing.lots
    if remembering:
        lots, added = _lots(finished, columns[remembering])
        prior = _prior(station, tuple(elements[e] for e in remembering), len(finished))
        found = effects_by(prior, left[remembering], added)
        bias[remembering] = found.bias
        left[remembering] -= found.bias[:, None] + (added @ found.lots[:, :, None])[:, :, 0]
        known = [(j, k) for j, o in enumerate(offers) if (k := lots.get(_lot(o))) is not None]
        if known:
            rows, which = zip(*known, strict=True)
            by_lot[np.array(rows)[:, None], remembering] = found.lots.T[list(which)]
    return nothing._replace(scatter=scatter(left, sd, *_usual_scatter(station, tuple(elements))))


@lru_cache(maxsize=256)
def _prior(station: StationModel, elements: tuple[str, ...], heats: int) -> Prior:
    return prior_of(settings_of([station.elements[element].slow_state for element in elements]), heats)


@lru_cache(maxsize=256)
def _usual_scatter(station: StationModel, elements: tuple[str, ...]) -> tuple[Vector, Vector]:
    """Usual scatter of each element, and how many heats it counts as."""
    slow_states = [station.elements[element].slow_state for element in elements]
    usual = np.array([s.usual_scatter for s in slow_states])
    return usual, np.array([s.scatter_heats or math.inf for s in slow_states])


@lru_cache(maxsize=64)
def _in_order(station: StationModel) -> tuple[str, ...]:
    """The order of elements in what is remembered of a finished heat."""
    return tuple(sorted(station.elements))


@lru_cache(maxsize=256)
def _columns(station: StationModel, elements: tuple[str, ...]) -> NDArray[np.intp]:
    """Where elements stand in what is remembered of a finished heat."""
    column = {element: i for i, element in enumerate(_in_order(station))}
    return np.array([column[element] for element in elements], dtype=np.intp)


def settings_of(slow_states: Sequence[SlowState]) -> Settings:
    """The numbers of several elements for `memory.effects`; none of them switched off."""
    sd = np.array([s.residual_sd_pct for s in slow_states])
    return Settings(
        noise_sd=sd,
        bias_sd=sd / np.sqrt([s.prior_heats or np.inf for s in slow_states]),
        half_life=np.array([s.half_life_heats for s in slow_states]),
        lot_sd=np.array([s.lot_sd for s in slow_states]),
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


def base_pct(outcome: Outcome, added_kg: Sequence[float] | Vector) -> Vector:
    """Return the base prediction (wt %) for the kilograms."""
    result: Vector = outcome.constant_pct + np.asarray(added_kg, dtype=float) @ outcome.slope
    return result


_Lot = str
"""Additive and lot in one text, which knows its hash."""


class _Finished(NamedTuple):
    """What a finished heat tells every request that it stands in, elements as `_in_order`: result - base
    prediction (wt %, nan where unknown), then what that is expected to scatter by; whether there is one, and
    of each lot its assay and kg per kg."""

    told_pct: Vector
    is_of_use: bool
    lots: dict[_Lot, list[float]]
    shares: list[float]


@lru_cache(maxsize=_REMEMBERED)
def _finished(bundle: Bundle, recent: RecentHeat) -> _Finished:
    """A heat stands in up to thirty requests: what it tells is found out once."""
    station = bundle.parameters.stations[recent.treatment.station]
    elements, base = _in_order(station), _base_prediction(bundle, station, recent)
    lots, shares = _tipped(station, recent)
    residual = np.array(_residuals(recent.chemistry_after, base, elements))
    residual[_guessed(station, recent.heat, elements)] = math.nan
    of = _deviations(station)
    content = np.array([_content_pct(station, recent.heat, e) for e in elements])
    added = np.array(shares) @ np.array(list(lots.values())).reshape(len(shares), -1) if lots else 0.0
    sd = usual_sd(of.noise_pct, of.noise_share * content, of.recovery, added)
    return _Finished(np.concatenate((residual, sd)), bool(base), lots, shares)


def usual_sd(
    noise_sd_pct: Vector, of_content_pct: Vector, recovery_sd: Vector, added_pct: Vector | float
) -> Vector:
    """Return what a residual is expected to scatter by, by what is known of any heat of the past, wt %;
    `of_content_pct` is the noise that grows with the content."""
    sd: Vector = np.sqrt(noise_sd_pct**2 + of_content_pct**2 + (recovery_sd * added_pct) ** 2)
    return sd


class _Deviations(NamedTuple):
    """Of each element: noise, its share of the content, and sd of the recovery."""

    noise_pct: Vector
    noise_share: Vector
    recovery: Vector


@lru_cache(maxsize=64)
def _deviations(station: StationModel) -> _Deviations:
    models = [station.elements[element] for element in _in_order(station)]
    return _Deviations(
        np.array([m.noise_sd_pct for m in models]),
        np.array([m.noise_share for m in models]),
        np.array([m.recovery_sd for m in models]),
    )


def _content_pct(station: StationModel, heat: Heat, element: str) -> float:
    """Return about what the steel holds: the aim, else the first analysis; 0 where neither is known."""
    aim = aim_pct(heat.windows.get(element))
    if aim is not None:
        return aim
    first = measured_pct(heat.chemistry.get(element))
    if first is not None:
        return first
    usual = assumed_first(station.elements[element], heat.grade)
    return 0.0 if usual is None else usual.pct


def _base_prediction(bundle: Bundle, station: StationModel, recent: RecentHeat) -> dict[str, float]:
    if recent.bundle_hash == bundle.bundle_hash and recent.base_prediction_pct is not None:
        return recent.base_prediction_pct
    mass = station.steel_mass_t
    offers = offers_of(recent.additions, recent.additives)
    mass_t, added_kg = recent.heat.steel_mass_t, [addition.added_kg for addition in recent.additions]
    if offers is None or not mass.low <= mass_t <= mass.high or sum(added_kg) > MOST_KG_PER_T * mass_t:
        return {}
    known = known_elements(station, recent.heat)
    predicted = base_pct(outcome_of(station, bundle.trees, recent.heat, offers, known), added_kg)
    return dict(zip(known, predicted.tolist(), strict=True))


def _residuals(after: Chemistry, base: dict[str, float], elements: Sequence[str]) -> list[float]:
    """Return result - base of each element; nan where one is missing, the result is below detection, or a
    base prediction from outside cannot be."""
    return [
        math.nan
        if (result := after.get(e)) is None
        or isinstance(result, Below)
        or (predicted := base.get(e)) is None
        or not abs(predicted) <= _MOST_PCT
        else result - predicted
        for e in elements
    ]


def _guessed(station: StationModel, heat: Heat, elements: Sequence[str]) -> list[int]:
    """Return places of the elements whose first analysis was not measured and strays more than results do:
    what the result then lies off is the guess, and tells nothing of the next heat."""
    return [
        i
        for i, e in enumerate(elements)
        if heat.chemistry.get(e) is None
        and (usual := assumed_first(station.elements[e], heat.grade)) is not None
        and usual.sd_pct > station.elements[e].slow_state.residual_sd_pct
    ]


def _tipped(station: StationModel, recent: RecentHeat) -> tuple[dict[_Lot, list[float]], list[float]]:
    mass_kg = 1000.0 * believed_mass_t(station, recent.heat)
    offers = {(offer.additive, offer.lot): offer for offer in reversed(recent.additives)}
    by_name = {offer.additive: offer for offer in reversed(recent.additives)}
    assays, shares = dict[_Lot, list[float]](), dict[_Lot, float]()
    for addition in recent.additions:
        offer = offers.get((addition.additive, addition.lot)) or by_name.get(addition.additive)
        if offer is None:
            continue
        key = _lot(addition)
        shares[key] = shares.get(key, 0.0) + addition.added_kg / mass_kg
        if key not in assays:
            held = [offer.assay.get(e, 0.0) for e in _in_order(station)]
            assays[key] = [pct if pct >= MAIN_PCT else 0.0 for pct in held]
    return assays, list(shares.values())


def _lot(of: Addition | Additive) -> _Lot:
    return f"{of.additive}\n{of.lot or ''}"


def _lots(
    finished: Sequence[_Finished], columns: NDArray[np.intp]
) -> tuple[dict[_Lot, int], NDArray[np.float64]]:
    """Lots by name, and what each brought of each element (e, n, k), wt %; by its newest certificate."""
    newest: dict[_Lot, list[float]] = {}
    for heat in reversed(finished):
        newest.update(heat.lots)
    lots = dict(zip(newest, range(len(newest)), strict=True))
    tipped = np.zeros((len(finished), len(lots)))
    heats = np.repeat(np.arange(len(finished)), [len(heat.shares) for heat in finished])
    which = [lots[key] for heat in finished for key in heat.lots]
    tipped[heats, which] = [share for heat in finished for share in heat.shares]
    held = np.array(list(newest.values())).reshape(len(lots), -1)[:, columns]
    return lots, tipped * held.T[:, None, :]
