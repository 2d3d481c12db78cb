"""What the last heats' residuals say of the next: a bias and a recovery that wander, and lots that are not
as certified.

A Gaussian process in closed form. Residual of heat i (0 the newest) of one element, a_i = sum_k added_ik:

    r_i = bias_i + recovery_i * a_i + sum_k lot_k * added_ik + jump (newest heats, if one is seen) + noise_i
    cov(bias_i, bias_j) = bias_sd^2 * 2^(-|i - j| / half_life),   lot_k ~ N(0, lot_sd^2) of its certificate
    cov(recovery_i, recovery_j) = recovery_sd^2 * 2^(-|i - j| / recovery_half_life)

Robust: it is solved twice, the second time with a heat far from all others counted less, or not at all. Fast:
where the newest heats together lie off, they get a bias of their own, and a lot that looks worse than its
prior allows gets a wider one. Arrays: series b (elements of one heat, or heats of one element), heats n,
lots k.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_HUBER = 2.0  # sd beyond which a heat counts less
_ABSURD = 6.0  # sd beyond which one heat alone counts for nothing
_NOTHING = 1e8  # noise variance of a heat that does not count, in noise variances
_JUMP, _JUMP_SD, _CLIP = (
    3.0,
    2.5,
    3.0,
)  # sd of a mean that is a jump; its prior sd; one heat's largest share in it
_JUMP_HEATS = range(2, 13)
_LOT = 2.5  # sd by which a lot must lie off before its prior is widened
_MOST_LOT = 0.3  # share of its certificate by which a lot is believed to be off, at most
_MOST_APART = 4.0  # sd; a gross error tells no more of the scatter


class Settings(NamedTuple):
    """Per series (b,): sd of the noise and of the bias (wt %), the bias' half-life in heats, sd of lots
    (share of the certificate) and of the recovery (share of what is added), the recovery's half-life."""

    noise_sd: Array
    bias_sd: Array
    half_life: Array
    lot_sd: Array
    recovery_sd: Array
    recovery_half_life: Array


class Effects(NamedTuple):
    """Bias of the next heat (b,), wt %, and of each lot (b, k), share of its certificate; how much more of an
    addition stays (b,), and the variance that this takes from the recovery."""

    bias: Array
    lots: Array
    recovery: Array
    recovery_told: Array


class Prior(NamedTuple):
    """What is believed before any residual of so many heats n, per series b; of recoveries None where none
    wanders."""

    sd: Array
    noise: Array
    wander: Array
    to_next: Array
    lot_variance: Array
    recovers: Array | None
    recovers_to_next: Array


def effects(residual: Array, added: Array, settings: Settings) -> Effects:
    """Return what `residual` (b, n; newest first; nan where unknown) tells, with `added` (b, n, k) wt %."""
    return effects_by(prior_of(settings, residual.shape[1]), residual, added)


def prior_of(settings: Settings, heats: int) -> Prior:
    """Return the covariances that follow from the settings alone."""
    fading = (0.5 ** (1.0 / settings.half_life))[:, None] ** np.arange(heats + 1)
    keeping = (0.5 ** (1.0 / settings.recovery_half_life))[:, None] ** np.arange(heats + 1)
    bias_variance, recovery_variance = settings.bias_sd[:, None] ** 2, settings.recovery_sd[:, None] ** 2
    return Prior(
        sd=settings.noise_sd[:, None],
        noise=settings.noise_sd[:, None] ** 2,
        wander=(bias_variance * fading)[:, _apart(heats)],
        to_next=bias_variance * fading[:, 1:],
        lot_variance=settings.lot_sd[:, None] ** 2,
        recovers=(recovery_variance * keeping)[:, _apart(heats)] if settings.recovery_sd.any() else None,
        recovers_to_next=recovery_variance * keeping[:, 1:],
    )


def effects_by(prior: Prior, residual: Array, added: Array) -> Effects:
    """As `effects`, for who keeps the prior."""
    known, sd, wander, unsteady = ~np.isnan(residual), prior.sd, prior.wander, None
    if prior.recovers is not None:
        brought = added.sum(axis=2)
        unsteady = prior.recovers[:, :1, 0] * brought**2
        sd, wander = np.sqrt(prior.noise + unsteady), wander + _outer(prior.recovers, brought)
    for absurd in _absurd(residual, known, sd):
        known[absurd] = False
    found = np.where(known, residual, 0.0)
    noise = np.where(known, prior.noise, prior.noise * _NOTHING)
    to_next, lot_variance = prior.to_next, prior.lot_variance

    of_lots = _of_lots(added, lot_variance)
    weight = _solved(wander + of_lots, noise, found[:, None])[:, 0]
    off = np.where(known, noise * weight / prior.sd, 0.0)
    newest, apart = _jump(off, known), np.abs(off)
    level: Array | float = 0.0
    if newest is not None:
        level = ((off * newest).sum(axis=1) / np.maximum(newest.sum(axis=1), 1))[:, None] * newest
        apart = np.abs(off - level)
        step = (_JUMP_SD * prior.sd) ** 2 * newest
        wander, to_next = wander + step[:, :, None] * newest[:, None, :], to_next + step
    if unsteady is not None:  # a recovery that wanders would explain a gross error
        apart = np.maximum(apart, np.where(unsteady > 0, np.abs(found - level * prior.sd) / sd, 0.0))
    noise = noise * np.where(apart > _ABSURD, _NOTHING, np.maximum(apart / _HUBER, 1.0) ** 2)
    hiding = noise if unsteady is None else noise + unsteady
    information = ((1.0 / hiding)[:, None, :] @ added**2)[:, 0, :]
    widened = _widened(lot_variance, _told(added, weight), information)
    if widened is not None:
        of_lots, lot_variance = _of_lots(added, widened), widened
    of_recovery = None if prior.recovers is None else prior.recovers_to_next * brought
    both = found[:, None] if of_recovery is None else np.stack((found, of_recovery), axis=1)
    solved = _solved(wander + of_lots, noise, both)
    weight = solved[:, 0]
    lots = np.minimum(np.maximum(lot_variance * _told(added, weight), -_MOST_LOT), _MOST_LOT)
    bias = (to_next * weight).sum(axis=1)
    if of_recovery is None:
        return Effects(bias, lots, 0.0 * bias, 0.0 * bias)
    recovery, told = (solved @ of_recovery[:, :, None])[:, :, 0].T
    return Effects(bias, lots, np.minimum(np.maximum(recovery, -_MOST_LOT), _MOST_LOT), told)


def scatter(left: Array, sd: Array, usual: Array, sure: Array) -> Array:
    """Return how many times as far as usual the last heats lie from what was predicted (b,).

    That is the mean of |left| / sd (b, n; nan where unknown) over the `usual` one (b,), which counts as so
    many heats (`sure`, b; infinite where nothing moves it).
    """
    known = ~np.isnan(left)
    apart = np.where(known, np.minimum(np.abs(left) / sd, _MOST_APART), 0.0)
    count = known.sum(axis=1)
    wide: Array = 1.0 + (apart.sum(axis=1) / usual - count) / (sure + count)
    return wide


@lru_cache(maxsize=64)
def _apart(heats: int) -> NDArray[np.intp]:
    """How many heats lie between two (n, n)."""
    ages = np.arange(heats)
    apart: NDArray[np.intp] = np.abs(ages[:, None] - ages)
    return apart


def _absurd(residual: Array, known: NDArray[np.bool_], sd: Array) -> Iterator[tuple[int, int]]:
    """Places (b, n) of heats far from the middle of all, with no neighbour like them: two that agree may be a
    jump. `sd` (b, n) or, where all heats have the same, (b, 1)."""
    ordered, counts = np.sort(residual, axis=1).tolist(), known.sum(axis=1).tolist()  # nan goes last
    least, most = sd.min(axis=1).tolist(), sd.max(axis=1).tolist()
    for b, (values, count) in enumerate(zip(ordered, counts, strict=True)):
        middle = (values[(count - 1) // 2] + values[count // 2]) / 2 if count > 2 else 0.0
        if count and max(values[count - 1] - middle, middle - values[0]) > _ABSURD * least[b]:
            far = (np.abs(residual[b] - middle) > _ABSURD * sd[b]).nonzero()[0].tolist()  # nan never is
            alone = _alone(residual[b].tolist(), far, _ABSURD * most[b])
            yield from ((b, i) for i in alone)


def _alone(series: Sequence[float], far: Sequence[int], apart: float) -> list[int]:
    """Those of the places `far` whose neighbours are not far too, or not less than `apart` from them."""
    pairs = {i for i in far if i + 1 in far and abs(series[i] - series[i + 1]) < apart}
    return [i for i in far if i not in pairs and i - 1 not in pairs]


def _of_lots(added: Array, lot_variance: Array) -> Array:
    """Covariance of heats that share lots (b, n, n)."""
    shared: Array = (added * lot_variance[:, None, :]) @ added.transpose(0, 2, 1)
    return shared


def _outer(covariance: Array, added: Array) -> Array:
    """Covariance of heats whose recoveries have this one (b, n, n)."""
    shared: Array = covariance * added[:, :, None] * added[:, None, :]
    return shared


def _solved(covariance: Array, noise: Array, by_heat: Array) -> Array:
    """Rows `by_heat` (b, m, n) divided by their `covariance`, which gets the noise here (b, m, n)."""
    covariance.reshape(len(covariance), -1)[:, :: noise.shape[1] + 1] += noise
    columns = np.ascontiguousarray(by_heat.transpose(0, 2, 1))
    return np.asarray(np.linalg.solve(covariance, columns), dtype=np.float64).transpose(0, 2, 1)


def _widened(variance: Array, told: Array, information: Array) -> Array | None:
    """Variance of each lot's prior (b, k, from b, 1 or b, k), that of the lot's own estimate where that lies
    far outside, but none that believes more than a lot can be off; None where none does."""
    spread = 1.0 / np.maximum(information, 1e-12) + variance
    square = (told * spread) ** 2
    is_far = square > _LOT**2 * spread
    if not is_far.any():
        return None
    believed = np.maximum(np.minimum(square, _MOST_LOT**2), variance)
    wide: Array = np.where(is_far & (variance > 0), believed, variance)
    return wide


def _told(added: Array, weight: Array) -> Array:
    told: Array = (weight[:, None, :] @ added)[:, 0, :]
    return told


def _jump(off: Array, known: NDArray[np.bool_]) -> Array | None:
    """The newest heats that lie off together, 1 or 0 (b, n); None where there are none."""
    most = min(off.shape[1], _JUMP_HEATS[-1])
    if most < _JUMP_HEATS[0]:
        return None
    first = _JUMP_HEATS[0] - 1  # column of the smallest jump
    total = np.minimum(np.maximum(off[:, :most], -_CLIP), _CLIP).cumsum(axis=1)[:, first:]
    count = known[:, :most].cumsum(axis=1)[:, first:]
    score = np.abs(total) / np.sqrt(np.maximum(count, 1))
    score[count < _JUMP_HEATS[0]] = 0.0
    is_jump = score.max(axis=1) > _JUMP
    if not is_jump.any():
        return None
    last = score.argmax(axis=1) + first
    newest: Array = (np.arange(off.shape[1]) <= last[:, None]) * np.where(is_jump, 1.0, 0.0)[:, None]
    return newest
