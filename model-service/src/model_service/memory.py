"""What the last heats' residuals say of the next: a bias that wanders, and lots that are not as certified.

A Gaussian process in closed form. Residual of heat i (0 the newest) of one element:

    r_i = bias_i + sum_k lot_k * added_ik + jump (newest heats, where one is seen) + noise_i
    cov(bias_i, bias_j) = bias_sd^2 * 2^(-|i - j| / half_life),   lot_k ~ N(0, lot_sd^2) of its certificate

Robust: it is solved twice, the second time with a heat far from all others counted less, or not at all. Fast:
where the newest heats together lie off, they get a bias of their own, and a lot that looks worse than its
prior allows gets a wider one. Arrays: series b (elements of one heat, or heats of one element), heats n,
lots k.
"""

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


class Settings(NamedTuple):
    """Per series (b,): sd of the noise and of the bias (wt %), the bias' half-life in heats, sd of lots
    (share of the certificate)."""

    noise_sd: Array
    bias_sd: Array
    half_life: Array
    lot_sd: Array


class Effects(NamedTuple):
    """Bias of the next heat (b,), wt %, and of each lot (b, k), share of its certificate."""

    bias: Array
    lots: Array


def effects(residual: Array, added: Array, settings: Settings) -> Effects:
    """Return what `residual` (b, n; newest first; nan where unknown) tells, with `added` (b, n, k) wt %."""
    known = ~np.isnan(residual) & ~_absurd(residual, settings.noise_sd)
    found = np.where(known, residual, 0.0)
    noise = settings.noise_sd[:, None] ** 2 * np.where(known, 1.0, _NOTHING)
    heats = residual.shape[1]
    fading = (0.5 ** (1.0 / settings.half_life))[:, None] ** np.arange(heats + 1)
    bias_variance = settings.bias_sd[:, None] ** 2
    wander = (bias_variance * fading)[:, _apart(heats)]
    lot_variance = np.broadcast_to(settings.lot_sd[:, None] ** 2, (len(residual), added.shape[2]))

    of_lots = _of_lots(added, lot_variance)
    weight = _solved(wander + of_lots, noise, found)
    off = np.where(known, noise * weight, 0.0) / settings.noise_sd[:, None]
    newest, jumped = _jump(off, known)
    level = (off * newest).sum(axis=1) / np.maximum(newest.sum(axis=1), 1)
    apart = np.abs(off - newest * level[:, None])
    noise = noise * np.where(apart > _ABSURD, _NOTHING, np.maximum(apart / _HUBER, 1.0) ** 2)
    information = ((1.0 / noise)[:, None, :] @ added**2)[:, 0, :]
    widened = _widened(lot_variance, _told(added, weight), information)
    if np.any(widened != lot_variance):
        of_lots, lot_variance = _of_lots(added, widened), widened
    to_next = bias_variance * fading[:, 1:]
    if np.any(jumped):
        step = (jumped * (_JUMP_SD * settings.noise_sd) ** 2)[:, None] * newest
        wander, to_next = wander + step[:, :, None] * newest[:, None, :], to_next + step
    weight = _solved(wander + of_lots, noise, found)
    return Effects((to_next * weight).sum(axis=1), lot_variance * _told(added, weight))


@lru_cache(maxsize=64)
def _apart(heats: int) -> NDArray[np.intp]:
    """How many heats lie between two (n, n)."""
    ages = np.arange(heats)
    apart: NDArray[np.intp] = np.abs(ages[:, None] - ages)
    return apart


def _absurd(residual: Array, sd: Array) -> NDArray[np.bool_]:
    """Heats far from the middle of all, and no neighbour like them (b, n): two that agree may be a jump."""
    ordered = np.sort(residual, axis=1)  # nan goes last
    count = residual.shape[1] - np.isnan(residual).sum(axis=1)
    row, middle = np.arange(len(residual)), np.maximum(count - 1, 0)
    median = (ordered[row, middle // 2] + ordered[row, (middle + 1) // 2]) / 2
    middle_of_all = np.where(count > 2, median, 0.0)[:, None]
    with np.errstate(invalid="ignore"):
        far = np.abs(residual - middle_of_all) > _ABSURD * sd[:, None]
        alike = np.abs(np.diff(residual, axis=1)) < _ABSURD * sd[:, None]
    confirmed = np.zeros_like(far)
    both = far[:, 1:] & far[:, :-1] & alike
    confirmed[:, 1:] |= both
    confirmed[:, :-1] |= both
    absurd: NDArray[np.bool_] = far & ~confirmed
    return absurd


def _of_lots(added: Array, lot_variance: Array) -> Array:
    """Covariance of heats that share lots (b, n, n)."""
    shared: Array = (added * lot_variance[:, None, :]) @ added.transpose(0, 2, 1)
    return shared


def _solved(covariance: Array, noise: Array, residual: Array) -> Array:
    """Residuals divided by their `covariance`, which gets the noise here (b, n)."""
    covariance.reshape(len(covariance), -1)[:, :: noise.shape[1] + 1] += noise
    return np.asarray(np.linalg.solve(covariance, residual[:, :, None]), dtype=np.float64)[:, :, 0]


def _widened(variance: Array, told: Array, information: Array) -> Array:
    """Variance of each lot's prior (b, k), that of the lot's own estimate where that lies far outside."""
    known = np.maximum(information, 1e-12)
    own = told * (1.0 / known + variance)
    is_far = own**2 > _LOT**2 * (1.0 / known + variance)
    wide: Array = np.where(is_far & (variance > 0), np.maximum(own**2, variance), variance)
    return wide


def _told(added: Array, weight: Array) -> Array:
    told: Array = (weight[:, None, :] @ added)[:, 0, :]
    return told


def _jump(off: Array, known: NDArray[np.bool_]) -> tuple[Array, Array]:
    """The newest heats that lie off together, 1 or 0 (b, n), and whether there are such (b,)."""
    total = np.cumsum(np.clip(off, -_CLIP, _CLIP), axis=1)
    count = np.cumsum(known, axis=1)
    sizes = [m for m in _JUMP_HEATS if m <= off.shape[1]]
    if not sizes:
        return np.zeros_like(off), np.zeros(len(off))
    columns = np.array(sizes) - 1
    enough = count[:, columns] >= _JUMP_HEATS[0]
    score = np.where(enough, np.abs(total[:, columns]) / np.sqrt(np.maximum(count[:, columns], 1)), 0.0)
    best = np.argmax(score, axis=1)
    jumped = np.where(score[np.arange(len(off)), best] > _JUMP, 1.0, 0.0)
    newest = (np.arange(off.shape[1]) <= columns[best][:, None]) * jumped[:, None]
    return newest, jumped
