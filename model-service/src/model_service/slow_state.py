"""The slow state: what the last heats' residuals say of this one: bias of the station, recoveries, lots."""

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
    lot holds more or less than certified (a share of it), how many times as far as usual the last heats
    scatter (e), how much more of an addition stays (e), and the variance that to know it takes from the
    recovery's (e)."""

    bias_pct: Vector
    residuals: list[int]
    unusable: int
    lots: NDArray[np.float64]
    scatter: Vector
    recovery: Vector
    recovery_told: Vector

    def constant_pct(self, outcome: Outcome) -> Vector:
        """Prediction where nothing is added."""
        constant: Vector = outcome.constant_pct + self.bias_pct
        return constant

    def slope(self, outcome: Outcome) -> NDArray[np.float64]:
        """Effect of a kilogram with what is known of its lot (j, e)."""
        slope: NDArray[np.float64] = outcome.slope + self._more_per_kg(outcome)
        return slope

    def pct(self, outcome: Outcome, added_kg: Sequence[float] | Vector) -> Vector:
        """What is added to the base prediction."""
        kilograms = np.asarray(added_kg, dtype=float)
        pct: Vector = self.bias_pct + kilograms @ self._more_per_kg(outcome)
        return pct

    def _more_per_kg(self, outcome: Outcome) -> NDArray[np.float64]:
        """What lots and recoveries add to the effect of a kilogram (j, e), and at most take from it: all."""
        more = outcome.added_per_kg * (self.lots + self.recovery)
        return np.maximum(more, np.minimum(-outcome.gain_per_kg, 0.0))

    def scattering(self, outcome: Outcome) -> Outcome:
        """The outcome as uncertain as the last heats were, less what they tell of the recovery."""
        square = self.scatter**2
        return outcome._replace(
            variance=square * outcome.variance,
            recovery_variance=square * (outcome.recovery_variance - self.recovery_told),
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
    ordered = sorted(
        [heat for heat in recent_heats if heat.treatment.station == name], key=_completed_at, reverse=True
    )
    bias, by_lot = np.zeros(len(elements)), np.zeros((len(offers), len(elements)))
    recovery, recovery_told = np.zeros((2, len(elements)))
    if not ordered:
        none, usual = [0] * len(elements), np.ones(len(elements))
        return Correction(bias, none, len(recent_heats), by_lot, usual, recovery, recovery_told)
    finished = [_finished(bundle, recent) for recent in ordered]
    of = _constants(station, tuple(elements))
    told = np.concatenate([heat.told_pct for heat in finished]).reshape(len(finished), 2, -1)
    left, sd = told.transpose(1, 2, 0)[:, of.columns]
    counts: list[int] = (left == left).sum(axis=1).tolist()  # nan is not equal to itself
    remembering = [e for e in of.remembering if counts[e]]
    if remembering:
        lots, added = _lots(finished, of.columns[remembering])
        prior = _prior(station, tuple(elements[e] for e in remembering), len(finished))
        found = effects_by(prior, left[remembering], added)
        bias[remembering] = found.bias
        recovery[remembering] = found.recovery
        recovery_told[remembering] = np.minimum(found.recovery_told, of.recovery_variance[remembering])
        share = found.lots + found.recovery[:, None]
        left[remembering] -= found.bias[:, None] + (added @ share[:, :, None])[:, :, 0]
        for j, offer in enumerate(offers):
            if (k := lots.get(_lot(offer))) is not None:
                by_lot[j, remembering] = found.lots[:, k]
    unusable = len(recent_heats) - sum([heat.is_of_use for heat in finished])
    wide = scatter(left, sd, of.usual_scatter, of.scatter_heats)
    return Correction(bias, counts, unusable, by_lot, wide, recovery, recovery_told)


class _Constants(NamedTuple):
    """Of some elements of a station: their columns in what is remembered of a finished heat, places of those
    whose bias is remembered, the usual scatter, how many heats that counts as, the recovery's variance."""

    columns: NDArray[np.intp]
    remembering: list[int]
    usual_scatter: Vector
    scatter_heats: Vector
    recovery_variance: Vector


@lru_cache(maxsize=256)
def _constants(station: StationModel, elements: tuple[str, ...]) -> _Constants:
    slow_states = [station.elements[element].slow_state for element in elements]
    order = _in_order(station)
    return _Constants(
        np.array([order.index(element) for element in elements], dtype=np.intp),
        [e for e, slow in enumerate(slow_states) if slow.prior_heats is not None],
        np.array([slow.usual_scatter for slow in slow_states]),
        np.array([slow.scatter_heats or math.inf for slow in slow_states]),
        np.array([station.elements[element].recovery_sd ** 2 for element in elements]),
    )


@lru_cache(maxsize=256)
def _prior(station: StationModel, elements: tuple[str, ...], heats: int) -> Prior:
    return prior_of(settings_of([station.elements[element].slow_state for element in elements]), heats)


@lru_cache(maxsize=64)
def _in_order(station: StationModel) -> tuple[str, ...]:
    """The order of elements in what is remembered of a finished heat."""
    return tuple(sorted(station.elements))


def settings_of(slow_states: Sequence[SlowState]) -> Settings:
    """The numbers of several elements for `memory.effects`; none of them switched off."""
    sd = np.array([s.residual_sd_pct for s in slow_states])
    return Settings(
        noise_sd=sd,
        bias_sd=sd / np.sqrt([s.prior_heats or np.inf for s in slow_states]),
        half_life=np.array([s.half_life_heats for s in slow_states]),
        lot_sd=np.array([s.lot_sd for s in slow_states]),
        recovery_sd=np.array([s.recovery_sd for s in slow_states]),
        recovery_half_life=np.array([s.recovery_half_life_heats for s in slow_states]),
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


class _Tipped(NamedTuple):
    """Of one lot: additive and lot in one text, which knows its hash; kg per kg of steel; what it holds of
    each element, wt %."""

    lot: str
    share: float
    held_pct: list[float]


class _Finished(NamedTuple):
    """What a finished heat tells every request that it stands in, elements as `_in_order`: result - base
    prediction (wt %, nan where unknown), then what that is expected to scatter by; whether there is one, and
    the lots by which a bias is remembered."""

    told_pct: Vector
    is_of_use: bool
    lots: list[_Tipped]


@lru_cache(maxsize=_REMEMBERED)
def _finished(bundle: Bundle, recent: RecentHeat) -> _Finished:
    """A heat stands in up to thirty requests: what it tells is found out once."""
    station = bundle.parameters.stations[recent.treatment.station]
    of, base, tipped = (
        _deviations(station),
        _base_prediction(bundle, station, recent),
        _tipped(station, recent),
    )
    residual = _residuals(recent.chemistry_after, base, of.elements)
    for e in _guessed(station, recent.heat, of.elements):
        residual[e] = math.nan
    content = np.array([_content_pct(station, recent.heat, e) for e in of.elements])
    added = [sum([lot.share * lot.held_pct[e] for lot in tipped]) for e in range(len(of.elements))]
    sd = usual_sd(of.noise_pct, of.noise_share * content, of.recovery, np.array(added))
    told = [lot for lot in tipped if any(lot.held_pct[e] for e in of.by_lot)]
    return _Finished(np.concatenate((residual, sd)), bool(base), told)


def usual_sd(
    noise_sd_pct: Vector, of_content_pct: Vector, recovery_sd: Vector, added_pct: Vector | float
) -> Vector:
    """Return what a residual is expected to scatter by, by what is known of any heat of the past, wt %;
    `of_content_pct` is the noise that grows with the content."""
    sd: Vector = np.sqrt(noise_sd_pct**2 + of_content_pct**2 + (recovery_sd * added_pct) ** 2)
    return sd


class _Deviations(NamedTuple):
    """Of each of the elements: noise, its share of the content, and sd of the recovery; and places of those
    whose lots or recovery are judged."""

    elements: tuple[str, ...]
    noise_pct: Vector
    noise_share: Vector
    recovery: Vector
    by_lot: list[int]


@lru_cache(maxsize=64)
def _deviations(station: StationModel) -> _Deviations:
    elements = _in_order(station)
    models = [station.elements[element] for element in elements]
    return _Deviations(
        elements,
        np.array([m.noise_sd_pct for m in models]),
        np.array([m.noise_share for m in models]),
        np.array([m.recovery_sd for m in models]),
        [e for e, m in enumerate(models) if _remembers_additions(m.slow_state)],
    )


def _remembers_additions(slow: SlowState) -> bool:
    return slow.prior_heats is not None and (slow.lot_sd > 0 or slow.recovery_sd > 0)


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


def _tipped(station: StationModel, recent: RecentHeat) -> list[_Tipped]:
    mass_kg = 1000.0 * believed_mass_t(station, recent.heat)
    offers = {(offer.additive, offer.lot): offer for offer in reversed(recent.additives)}
    by_name = {offer.additive: offer for offer in reversed(recent.additives)}
    found = dict[str, _Tipped]()
    for addition in recent.additions:
        offer = offers.get((addition.additive, addition.lot)) or by_name.get(addition.additive)
        if offer is None:
            continue
        lot, share = _lot(addition), addition.added_kg / mass_kg
        if lot in found:
            found[lot] = found[lot]._replace(share=found[lot].share + share)
        else:
            held = [offer.assay.get(e, 0.0) for e in _in_order(station)]
            found[lot] = _Tipped(lot, share, [pct if pct >= MAIN_PCT else 0.0 for pct in held])
    return list(found.values())


def _lot(of: Addition | Additive) -> str:
    return f"{of.additive}\n{of.lot or ''}"


def _lots(
    finished: Sequence[_Finished], columns: NDArray[np.intp]
) -> tuple[dict[str, int], NDArray[np.float64]]:
    """Lots by name, and what each brought of each element (e, n, k), wt %; by its newest certificate."""
    shares, held = dict[str, list[float]](), list[list[float]]()
    for i, heat in enumerate(finished):  # newest first
        for lot, share, held_pct in heat.lots:
            if lot not in shares:
                shares[lot] = [0.0] * len(finished)
                held.append(held_pct)
            shares[lot][i] = share
    lots = dict(zip(shares, range(len(held)), strict=True))
    if not lots:
        return lots, np.zeros((len(columns), len(finished), 0))
    return lots, np.array(list(shares.values())).T * np.array(held)[:, columns].T[:, None, :]
