"""What oxygen takes from additions, and how one element protects another: the oxygen balance, made linear.

Oxygen to be bound, kg per tonne of steel: dissolved (probe, carbon x oxygen), carried-over slag, air.
Aluminium binds first; what is left is shared by affinity x amount (METALLURGY B6.3 to B6.5). Amounts are the
heat's own needs, aim less first analysis, so the balance is a function of the heat's state; around them it is
made linear, so that the outcome stays affine in the kilograms:

    loss_pct_e = constant_pct_e + sum_p share_ep * added_pct_p,    share_ep <= 0 for p other than e

More silicon leaves less oxygen to manganese: a negative share is protection. Arrays: heats h, elements e, p.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_service.contracts import Heat
from model_service.features import feature_values
from model_service.parameters import Feature, OxygenBalance

Array = NDArray[np.float64]

READINGS = ("oxygen_ppm", "c_pct", "slag_carry_over_kg_t", "slag_feo_pct", "slag_mno_pct")
"""Features that the fields of Readings are, in their order."""
_FEO, _MNO = 16 / 72, 16 / 71  # oxygen in an oxide
_LOW_PPM, _HIGH_PPM = 50.0, 3000.0
_NONE = 1e-9
_LEAST_SLAG = 0.01  # kg/t, of which a share of a power can be taken
_LOGISTIC = 1.702  # a logistic distribution of this steepness is a normal one to 1 %
_ROUNDS = 1  # what is burnt must be added too


class Readings(NamedTuple):
    """What tells of oxygen, each (h,); nan where not measured."""

    oxygen_ppm: Array
    carbon_pct: Array
    carry_over_kg_t: Array
    feo_pct: Array
    mno_pct: Array


class Debit(NamedTuple):
    """Loss to oxygen in wt %: `constant_pct` (h, e), `share` (h, e, p) of what is added; `usual_pct` (h, e)
    is the loss where the heat gets what it needs; `oxygen_kg_t` (h,) what there is to bind."""

    constant_pct: Array
    share: Array
    usual_pct: Array
    oxygen_kg_t: Array


def elements_of(balance: OxygenBalance) -> list[str]:
    """Elements that oxygen takes, in the order of the arrays."""
    return sorted(balance.kg_per_kg)


def oxygen_kg_t(balance: OxygenBalance, readings: Readings) -> Array:
    """Oxygen that additions will bind, kg/t (h,): probe, carbon and what is usual, each by its weight.

    A reading taken at its face would be too high where it is high, and its share of the truth learnt as less.
    """
    carbon = np.where(readings.carbon_pct > 0, readings.carbon_pct, np.nan)
    # The logarithm of the dissolved oxygen, in three ways.
    found = np.array((readings.oxygen_ppm, balance.carbon_oxygen_pct_ppm / carbon, carbon))
    found[2] = balance.usual_ppm
    is_known, sd = ~np.isnan(found), np.array((balance.probe_sd, balance.by_carbon_sd, balance.usual_sd))
    weight = np.where(is_known, (1.0 / sd**2)[:, None], 0.0)
    log_ppm = (weight * np.log(np.where(is_known, found, 1.0))).sum(axis=0) / weight.sum(axis=0)
    ppm = np.minimum(np.maximum(np.exp(log_ppm), _LOW_PPM), _HIGH_PPM)
    usual = np.array((balance.feo_pct, balance.mno_pct, balance.carry_over_kg_t))[:, None]
    of_slag = np.array((readings.feo_pct, readings.mno_pct, readings.carry_over_kg_t))
    feo, mno, slag = np.where(np.isnan(of_slag), usual, of_slag)
    slag = (
        balance.carry_over_kg_t
        * (np.maximum(slag, _LEAST_SLAG) / balance.carry_over_kg_t) ** balance.slag_trust
    )
    from_slag = balance.slag_reacts * slag * (feo * _FEO + mno * _MNO) / 100
    oxygen: Array = ppm / 1000 + from_slag + balance.air_kg_t
    return oxygen


def readings_of(heat: Heat, features: Sequence[Feature]) -> Readings:
    """What one heat tells of oxygen; never outside the range of the station's `features`."""
    limits = {feature.name: (feature.low, feature.high) for feature in features}
    found = []
    for name, value in zip(READINGS, feature_values(heat, READINGS), strict=True):
        low, high = limits.get(name, (-math.inf, math.inf))
        found.append(value if math.isnan(value) else min(max(value, low), high))
    return Readings(*np.array(found)[:, None])


def debit(balance: OxygenBalance, readings: Readings, needed_pct: Array) -> Debit:
    """Return the loss where additions bring `needed_pct` (h, e) into the steel, made linear around them."""
    columns = _columns(balance)
    needed = np.where((needed_pct > _NONE).any(axis=1, keepdims=True), 10 * needed_pct, columns.usual_kg_t)
    oxygen = oxygen_kg_t(balance, readings)
    for_al = (columns.al_kg * balance.al_takes * oxygen)[:, None]
    amount = needed + np.where(columns.is_al & (needed > _NONE), for_al, 0.0)
    for _ in range(_ROUNDS):
        amount = np.where(columns.is_al, amount, needed + _shared(balance, columns, oxygen, amount).loss_kg_t)
    return _around(balance, columns, oxygen, amount)


def debit_of(balance: OxygenBalance, readings: Readings, added_pct: Array) -> Debit:
    """Return the loss where `added_pct` (h, e) is added, made linear around that: exact there."""
    columns = _columns(balance)
    return _around(balance, columns, oxygen_kg_t(balance, readings), 10 * columns.dissolved * added_pct)


class _Columns(NamedTuple):
    """The balance per element (e,), which of them is aluminium, and how much of that oxygen burns."""

    per_oxygen: Array
    affinity: Array
    usual_kg_t: Array
    dissolved: Array
    is_al: NDArray[np.bool_]
    al_kg: float


class _Shared(NamedTuple):
    """How oxygen is shared (h, e): `free` what is bound where nothing holds it back, `capped` where something
    does; `open_share` (h,) of more aluminium still finds oxygen."""

    loss_kg_t: Array
    free: Array
    capped: NDArray[np.bool_]
    pull_share: Array
    per_pull: Array
    total: Array
    open_share: Array


@lru_cache(maxsize=64)
def _columns(balance: OxygenBalance) -> _Columns:
    names = elements_of(balance)
    return _Columns(
        np.array([balance.kg_per_kg[e] for e in names]),
        np.array([balance.affinity.get(e, 0.0) for e in names]),
        np.array([balance.usual_kg_t.get(e, 0.0) for e in names]),
        np.array([balance.dissolved.get(e, 1.0) for e in names]),
        np.array([e == "Al" for e in names]),
        balance.kg_per_kg.get("Al", 1.0),
    )


def _shared(balance: OxygenBalance, columns: _Columns, oxygen: Array, amount: Array) -> _Shared:
    """The balance where `amount` (h, e; kg/t) is dissolved in the steel."""
    is_al, al_kg = columns.is_al, columns.al_kg
    could = balance.al_burnt * amount[:, is_al].sum(axis=1) / al_kg
    by_al, open_share = _by_aluminium(balance, oxygen, could)
    pull = np.where(is_al, 0.0, columns.affinity * amount)
    total = np.maximum(pull.sum(axis=1, keepdims=True), _NONE)
    per_pull = (oxygen - by_al)[:, None] * columns.per_oxygen / total
    free, most = per_pull * pull, balance.most_burnt * amount
    loss = np.where(is_al, (al_kg * by_al)[:, None], np.minimum(free, most))
    return _Shared(loss, free, free > most, pull / total, per_pull, total, open_share)


def _around(balance: OxygenBalance, columns: _Columns, oxygen: Array, amount: Array) -> Debit:
    """The balance made linear where `amount` (h, e; kg/t) is dissolved in the steel."""
    at = _shared(balance, columns, oxygen, amount)
    share = -(at.free / at.total)[:, :, None] * columns.affinity
    # Aluminium that still finds oxygen takes it from the others; beyond its share of it, it stays.
    found = balance.al_burnt / columns.al_kg * at.open_share
    share[:, :, columns.is_al] = -(columns.per_oxygen * at.pull_share * found[:, None])[:, :, None]
    # What the heat does not ask for protects nothing: far from what is usual a straight line would promise
    # more than there is to protect.
    share = np.where(at.capped[:, :, None] | (amount <= _NONE)[:, None, :], 0.0, share)
    open_own = np.minimum(at.per_pull * columns.affinity * (1 - at.pull_share), balance.most_burnt)
    own = np.where(at.capped, balance.most_burnt, open_own)
    diagonal = np.arange(len(columns.is_al))
    share[:, diagonal, diagonal] = np.where(columns.is_al, (balance.al_burnt * at.open_share)[:, None], own)
    constant = (at.loss_kg_t - (share @ amount[:, :, None])[:, :, 0]) / 10
    return Debit(constant, share * columns.dissolved, at.loss_kg_t / 10, oxygen)


def _by_aluminium(balance: OxygenBalance, oxygen: Array, could: Array) -> tuple[Array, Array]:
    """Oxygen that aluminium is expected to bind where it could bind `could` (both kg/t), and the share of
    more aluminium that still finds some: the smaller of `could` and what is there, known to `oxygen_sd`.

    The normal distribution is taken as a logistic one, which has the integral in closed form.
    """
    there = balance.al_takes * oxygen
    scale = balance.oxygen_sd * there / _LOGISTIC
    ahead = (could - there) / scale
    return could - scale * np.logaddexp(0.0, ahead), 1.0 / (
        1.0 + np.exp(np.minimum(np.maximum(ahead, -50.0), 50.0))
    )
