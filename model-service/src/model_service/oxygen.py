"""What oxygen takes from additions, and how one element protects another: the oxygen balance, made linear.

Oxygen to be bound, kg per tonne of steel: dissolved (probe, carbon x oxygen), carried-over slag, air.
Aluminium binds first; what is left is shared by affinity x amount (METALLURGY B6.3 to B6.5). Amounts are the
heat's own needs, aim less first analysis, so the balance is a function of the heat's state; around them it is
made linear, so that the outcome stays affine in the kilograms:

    loss_pct_e = constant_pct_e + sum_p share_ep * added_pct_p,    share_ep <= 0 for p other than e

More silicon leaves less oxygen to manganese: a negative share is protection. Lists go by element e, p. What a
heat has is a float, or an array of as many heats as there are: both are reckoned by the same lines.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from model_service.contracts import Heat
from model_service.features import feature_values
from model_service.parameters import Feature, OxygenBalance

Amount = Any
"""A float of one heat, or an array of several heats."""

READINGS = ("oxygen_ppm", "c_pct", "slag_carry_over_kg_t", "slag_feo_pct", "slag_mno_pct")
"""Features that the fields of Readings are, in their order."""
_FEO, _MNO = 16 / 72, 16 / 71  # oxygen in an oxide
_LOW, _HIGH = math.log(50.0), math.log(3000.0)  # ppm
_NONE = 1e-9
_LEAST_SLAG = 0.01  # kg/t, of which a share of a power can be taken
_LOGISTIC = 1.702  # a logistic distribution of this steepness is a normal one to 1 %
_FURTHEST = 50.0  # beyond it an exponential is 0 or without end
_ROUNDS = 1  # what is burnt must be added too


class Readings(NamedTuple):
    """What tells of oxygen; nan where not measured."""

    oxygen_ppm: Amount
    carbon_pct: Amount
    carry_over_kg_t: Amount
    feo_pct: Amount
    mno_pct: Amount


class Debit(NamedTuple):
    """Loss to oxygen in wt %: `constant_pct` (e), `share` (e, p) of what is added; `usual_pct` (e) is the
    loss where the heat gets what it needs; `oxygen_kg_t` what there is to bind."""

    constant_pct: list[Amount]
    share: list[list[Amount]]
    usual_pct: list[Amount]
    oxygen_kg_t: Amount


def elements_of(balance: OxygenBalance) -> list[str]:
    """Elements that oxygen takes, in the order of the lists."""
    return sorted(balance.kg_per_kg)


def oxygen_kg_t(balance: OxygenBalance, readings: Readings) -> Amount:
    """Oxygen that additions will bind, kg/t: probe, carbon and what is usual, each by its weight.

    A reading taken at its face would be too high where it is high, and its share of the truth learnt as less.
    """
    of = _spelt_for(readings)
    carbon = of.where(readings.carbon_pct > 0, readings.carbon_pct, math.nan)
    # The logarithm of the dissolved oxygen, in three ways.
    sure = 1.0 / balance.usual_sd**2
    log_ppm = sure * math.log(balance.usual_ppm)
    for ppm, sd in (
        (readings.oxygen_ppm, balance.probe_sd),
        (balance.carbon_oxygen_pct_ppm / carbon, balance.by_carbon_sd),
    ):
        weight = of.where(ppm > 0, 1.0 / sd**2, 0.0)
        log_ppm = log_ppm + weight * of.log(of.where(ppm > 0, ppm, 1.0))
        sure = sure + weight
    ppm = of.exp(of.minimum(of.maximum(log_ppm / sure, _LOW), _HIGH))
    feo = of.where(readings.feo_pct >= 0, readings.feo_pct, balance.feo_pct)
    mno = of.where(readings.mno_pct >= 0, readings.mno_pct, balance.mno_pct)
    usual = balance.carry_over_kg_t
    slag = of.where(readings.carry_over_kg_t >= 0, readings.carry_over_kg_t, usual)
    slag = usual * (of.maximum(slag, _LEAST_SLAG) / usual) ** balance.slag_trust
    return ppm / 1000 + balance.slag_reacts * slag * (feo * _FEO + mno * _MNO) / 100 + balance.air_kg_t


def readings_of(heat: Heat, features: Sequence[Feature]) -> Readings:
    """What one heat tells of oxygen; never outside the range of the station's `features`."""
    limits = {feature.name: feature for feature in features if feature.name in READINGS}
    found = feature_values(heat, READINGS)
    for i, name in enumerate(READINGS):
        if name in limits and not math.isnan(found[i]):
            found[i] = min(max(found[i], limits[name].low), limits[name].high)
    return Readings(*found)


def debit(balance: OxygenBalance, readings: Readings, needed_pct: Sequence[Amount]) -> Debit:
    """Return the loss where additions bring `needed_pct` (e) into the steel, made linear around them."""
    of, binders, oxygen = _spelt_for(readings), _binders(balance), oxygen_kg_t(balance, readings)
    most = 0.0
    for needed in needed_pct:
        most = of.maximum(most, needed)
    wanted = [
        of.where(most > _NONE, 10 * needed, binder.usual_kg_t)
        for binder, needed in zip(binders, needed_pct, strict=True)
    ]
    amount = [
        kg + of.where(kg > _NONE, binder.per_oxygen * balance.al_takes * oxygen, 0.0) if binder.is_al else kg
        for binder, kg in zip(binders, wanted, strict=True)
    ]
    for _ in range(_ROUNDS):
        lost = _shared(of, balance, binders, oxygen, amount).loss_kg_t
        amount = [
            kg if binder.is_al else needed + loss
            for binder, needed, kg, loss in zip(binders, wanted, amount, lost, strict=True)
        ]
    return _around(of, balance, binders, oxygen, amount)


def debit_of(balance: OxygenBalance, readings: Readings, added_pct: Sequence[Amount]) -> Debit:
    """Return the loss where `added_pct` (e) is added, made linear around that: exact there."""
    binders = _binders(balance)
    amount = [10 * binder.dissolved * added for binder, added in zip(binders, added_pct, strict=True)]
    return _around(_spelt_for(readings), balance, binders, oxygen_kg_t(balance, readings), amount)


class _Spelt(NamedTuple):
    """What is spelt differently for floats and for arrays."""

    where: Callable[[Any, Amount, Amount], Amount]
    minimum: Callable[[Amount, Amount], Amount]
    maximum: Callable[[Amount, Amount], Amount]
    log: Callable[[Amount], Amount]
    log1p: Callable[[Amount], Amount]
    exp: Callable[[Amount], Amount]


_FLOATS = _Spelt(lambda is_so, a, b: a if is_so else b, min, max, math.log, math.log1p, math.exp)
_ARRAYS = _Spelt(np.where, np.minimum, np.maximum, np.log, np.log1p, np.exp)


def _spelt_for(readings: Readings) -> _Spelt:
    return _FLOATS if isinstance(readings.oxygen_ppm, float) else _ARRAYS


class _Binder(NamedTuple):
    """One element of the balance, as `parameters.OxygenBalance` has it."""

    is_al: bool
    per_oxygen: float
    affinity: float
    usual_kg_t: float
    dissolved: float


class _Shared(NamedTuple):
    """How oxygen is shared (e): what is bound where nothing holds it back (`free`), whether something does
    (`is_capped`), the element's share of what pulls, and what it gets for each kg/t of that; `pull` of all,
    and `open_share` of more aluminium still finds oxygen."""

    loss_kg_t: list[Amount]
    free: list[Amount]
    is_capped: list[Any]
    pull_share: list[Amount]
    per_pull: list[Amount]
    pull: Amount
    open_share: Amount


@lru_cache(maxsize=64)
def _binders(balance: OxygenBalance) -> list[_Binder]:
    return [
        _Binder(
            e == "Al",
            balance.kg_per_kg[e],
            # Aluminium has its share before the others divide theirs.
            0.0 if e == "Al" else balance.affinity.get(e, 0.0),
            balance.usual_kg_t.get(e, 0.0),
            balance.dissolved.get(e, 1.0),
        )
        for e in elements_of(balance)
    ]


def _shared(
    of: _Spelt, balance: OxygenBalance, binders: Sequence[_Binder], oxygen: Amount, amount: Sequence[Amount]
) -> _Shared:
    """The balance where `amount` (e; kg/t) is dissolved in the steel."""
    could = 0.0 * oxygen
    for binder, kg in zip(binders, amount, strict=True):
        if binder.is_al:
            could = balance.al_burnt * kg / binder.per_oxygen
    by_al, open_share = _by_aluminium(of, balance, oxygen, could)
    pull = [binder.affinity * kg for binder, kg in zip(binders, amount, strict=True)]
    total = of.maximum(sum(pull), _NONE)
    left = (oxygen - by_al) / total
    per_pull = [left * binder.per_oxygen for binder in binders]
    free = [per * pulls for per, pulls in zip(per_pull, pull, strict=True)]
    most = [balance.most_burnt * kg for kg in amount]
    return _Shared(
        [
            binder.per_oxygen * by_al if binder.is_al else of.minimum(loss, at_most)
            for binder, loss, at_most in zip(binders, free, most, strict=True)
        ],
        free,
        [loss > at_most for loss, at_most in zip(free, most, strict=True)],
        [pulls / total for pulls in pull],
        per_pull,
        total,
        open_share,
    )


def _around(
    of: _Spelt, balance: OxygenBalance, binders: Sequence[_Binder], oxygen: Amount, amount: Sequence[Amount]
) -> Debit:
    """The balance made linear where `amount` (e; kg/t) is dissolved in the steel."""
    at = _shared(of, balance, binders, oxygen, amount)
    # What the heat does not ask for protects nothing: far from what is usual a straight line would promise
    # more than there is to protect.
    pulls = [of.where(kg > _NONE, b.affinity, 0.0) for b, kg in zip(binders, amount, strict=True)]
    pulled = sum([pull * kg for pull, kg in zip(pulls, amount, strict=True)])
    protects = [pull * b.dissolved for pull, b in zip(pulls, binders, strict=True)]
    al = next((p for p, b in enumerate(binders) if b.is_al), None)
    constant, share = [], []
    for e, (binder, kg) in enumerate(zip(binders, amount, strict=True)):
        kept = of.where(at.is_capped[e], 0.0, at.free[e] / at.pull)
        row = [-kept * protection for protection in protects]
        rest = at.loss_kg_t[e] + kept * (pulled - pulls[e] * kg)
        own = of.minimum(at.per_pull[e] * binder.affinity * (1 - at.pull_share[e]), balance.most_burnt)
        own = of.where(at.is_capped[e], balance.most_burnt, own)
        if e == al:
            own = balance.al_burnt * at.open_share
        elif al is not None:
            # Aluminium that still finds oxygen takes it from the others; beyond its share of it, it stays.
            found = balance.al_burnt / binders[al].per_oxygen * at.open_share
            taken = of.where(at.is_capped[e], 0.0, binder.per_oxygen * at.pull_share[e] * found)
            taken = of.where(amount[al] > _NONE, taken, 0.0)
            row[al] = -taken * binders[al].dissolved
            rest = rest + taken * amount[al]
        row[e] = own * binder.dissolved
        constant.append((rest - own * kg) / 10)
        share.append(row)
    return Debit(constant, share, [loss / 10 for loss in at.loss_kg_t], oxygen)


def _by_aluminium(of: _Spelt, balance: OxygenBalance, oxygen: Amount, could: Amount) -> tuple[Amount, Amount]:
    """Oxygen that aluminium is expected to bind where it could bind `could` (both kg/t), and the share of
    more aluminium that still finds some: the smaller of `could` and what is there, known to `oxygen_sd`.

    The normal distribution is taken as a logistic one, which has the integral in closed form.
    """
    there = of.maximum(balance.al_takes * oxygen, _NONE)
    scale = balance.oxygen_sd * there / _LOGISTIC
    ahead = (could - there) / scale
    falling = of.exp(-of.minimum(abs(ahead), _FURTHEST))
    open_share = of.where(ahead > 0, falling, 1.0) / (1.0 + falling)
    return could - scale * (of.maximum(ahead, 0.0) + of.log1p(falling)), open_share
