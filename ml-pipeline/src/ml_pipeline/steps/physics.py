"""The physical layer of one element: increment = recovery x added + offset + slopes of the state, with
informative priors.

The increment, not the final chemistry, is fitted: operators close the loop, so the final value hardly
depends on what
was added (METALLURGY A1). Priors are the literature's; heats that don't fit get less weight (Huber).
"""

from typing import NamedTuple

import numpy as np
from model_service.parameters import ElementModel
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.linear_model import Ridge

from ml_pipeline.steps.columns import Vector
from ml_pipeline.steps.outcome import Terms

HUBER = 1.345
ROUNDS = 12
OFFSET_PRIOR_SD = 2.0
"""Of the prior noise, where additions vary enough to tell an offset from a recovery."""
ADDED_ERROR, ADDED_ERROR_WITH_OXYGEN = 0.1, 0.05
"""Relative sd of what is not known of an addition: mass, assay, weighing, and what operators see and the
record does not (less where oxygen is measured). Where additions vary hardly more than that, the slope within
heats is the operators', not the steel's, and the level decides."""
OFFSET_LEAST = 0.05
MAIN_PART = 0.3
SLOPE_PRIOR_SD = 0.3
"""Of the prior noise: a usual deviation of one feature moves the offset by no more than this, unless heats
say so."""
PRIOR_GIVES_WAY_SD = 3.0
"""Deviations of a recovery's prior beyond which heats that say otherwise widen it: then it is the prior that
is wrong (the tails of a normal distribution would hold on to it)."""
DEBIT_PRIOR_SD = 0.3
"""Of the share of the oxygen balance's loss that an element has."""
MOST_HEATS = 500.0
"""Heats share lots, crews and whatever the equations leave out: beyond so many, their weight against the
prior no longer grows. Where additions vary, as many tell all; where they say little, the literature keeps a
say."""
PRIOR_VARIANCE_HEATS = 30.0
GROSS_SD = 3.0
"""Deviations beyond which a residual says no more of them: recoveries have long tails, and a few lost
additions made every heat's interval too wide. What tails ask for comes with the conformal factor."""
USUAL, USUAL_SD = 0.9, 1.645
"""Share of normal residuals that lie within so many deviations."""
MOST_DEBIT = 2.0
LEAST_SD, MOST_RECOVERY_SD = 0.3, 3.0
"""Multiples of the prior's deviations that no plant is believed to leave."""


class Physics(NamedTuple):
    """Fitted numbers; `slopes` in wt % per standard deviation of the features, `weight` 0 to 1 per heat."""

    recovery: float
    recovery_standard_error: float
    debit: float
    debit_sd: float
    offset_pct: float
    slopes: Vector
    noise_sd_pct: float
    noise_share: float
    recovery_sd: float
    residual_pct: Vector
    weight: Vector


def usable(known: Terms) -> NDArray[np.bool_]:
    """Heats with both a first (measured or assumed) and a final analysis."""
    return ~(
        np.isnan(known.first_pct)
        | np.isnan(known.final_pct)
        | np.isnan(known.diluted_pct)
        | np.isnan(known.added_pct)
    )


def only_usable(known: Terms) -> Terms:
    """The terms of those heats alone."""
    use = usable(known)
    return Terms(*(values[use] for values in known))


def fit(
    known: Terms,
    features: NDArray[np.float64],
    prior: ElementModel,
    slope_priors: Vector,
    added_error: float = ADDED_ERROR,
) -> Physics:
    """Fit by ridge around the prior mean; all heats of `known` are usable, `features` are standardised (0 =
    default).

    scikit-learn's Ridge with alpha 1 on prior-standardised columns, weighted by 1 / variance, is the
    Bayesian posterior mean.
    """
    added = known.added_pct
    increment = known.final_pct - known.first_pct + known.diluted_pct
    design = np.column_stack([added, -known.really_burnt_pct, np.ones_like(added), features])
    mean = np.concatenate([[prior.recovery, prior.debit, prior.offset_pct], slope_priors])
    offset_sd = (
        OFFSET_PRIOR_SD * prior.noise_sd_pct * max(_reliability(known, added_error) ** 2, OFFSET_LEAST)
    )
    spread = np.concatenate(
        [
            [prior.recovery_sd, DEBIT_PRIOR_SD, offset_sd],
            np.full(features.shape[1], SLOPE_PRIOR_SD * prior.noise_sd_pct),
        ]
    )
    noise, recovery_sd, debit_sd = prior.noise_sd_pct, prior.recovery_sd, prior.debit_sd
    share = prior.noise_share
    gives_way = PRIOR_GIVES_WAY_SD * max(prior.recovery_sd, 1e-9)
    theta, huber = mean, np.ones_like(added)
    precision = np.eye(len(mean))
    for _ in range(ROUNDS):
        of_debit = (debit_sd * known.usual_burnt_pct) ** 2
        variance = (
            noise**2
            + (share * known.reference_pct) ** 2
            + (recovery_sd * added) ** 2
            + of_debit
            + known.first_sd_pct**2
        )
        residual = increment - design @ theta
        scaled = np.abs(residual) / np.sqrt(variance)
        huber = np.where(scaled <= HUBER, 1.0, HUBER / np.maximum(scaled, HUBER))
        weight = huber / variance * min(1.0, MOST_HEATS / len(added))
        spread[0] = prior.recovery_sd * max(1.0, abs(theta[0] - prior.recovery) / gives_way)
        ridge = Ridge(alpha=1.0, fit_intercept=False, solver="cholesky")
        ridge.fit(design * spread, increment - design @ mean, sample_weight=weight)
        theta = mean + spread * ridge.coef_
        theta[0], theta[1] = min(max(theta[0], 0.0), 1.5), min(max(theta[1], 0.0), MOST_DEBIT)
        scaled_design = design * spread
        precision = np.eye(len(mean)) + (scaled_design * weight[:, None]).T @ scaled_design
        noise, share, recovery_sd, debit_sd = _deviations(increment - design @ theta, known, prior, variance)
    covariance = np.linalg.inv(precision)
    return Physics(
        float(theta[0]),
        float(spread[0] * np.sqrt(covariance[0, 0])),
        float(theta[1]),
        debit_sd,
        float(theta[2]),
        theta[3:],
        noise,
        share,
        recovery_sd,
        increment - design @ theta,
        huber,
    )


def robust_sd(values: Vector) -> float:
    """1.4826 x the median absolute deviation from the median; 0 for nothing."""
    values = values[~np.isnan(values)]
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) if len(values) else 0.0


def _reliability(known: Terms, added_error: float) -> float:
    """Share of the variance of what was added that is really known; 1 where additions are no main part of
    the result,
    so that its level says something of the offset (or of the first analysis) and nothing of the recovery."""
    usual = float(np.median(known.added_pct))
    if usual < MAIN_PART * float(np.median(known.final_pct)):
        return 1.0
    return max(0.0, 1.0 - (added_error * usual / max(robust_sd(known.added_pct), 1e-9)) ** 2)


def _deviations(
    residual: Vector, known: Terms, prior: ElementModel, variance: Vector
) -> tuple[float, float, float, float]:
    """Noise, its share of the content, sd of the recovery and of the debit, from squared residuals ~
    noise^2 + (share x content)^2 + (sd x added)^2 + (sd x loss)^2, drawn to the prior by some heats; a
    heat weighs by the `variance` that it was believed to have."""
    limit = GROSS_SD * np.sqrt(np.maximum(variance, max(robust_sd(residual), 1e-6) ** 2))
    # An assumed first analysis explains no more than half of the variance: noise must not be too small
    # where it is measured.
    of_first = np.minimum(known.first_sd_pct**2, robust_sd(residual) ** 2 / 2)
    squares = np.maximum(np.minimum(residual**2, limit**2) - of_first, 0.0)
    # Pseudo-heats that say what the prior says; in units of the noise variance, so that unknowns weigh alike.
    unit = max(robust_sd(residual), 1e-6) ** 2
    # Analyses in whole steps often agree to the digit: the middle residual is 0, and says little of noise.
    usual = max(unit, float(np.quantile(np.abs(residual), USUAL)) ** 2 / USUAL_SD**2)
    parts = [(np.ones_like(squares), min(prior.noise_sd_pct**2, usual))]
    parts += [(known.reference_pct**2, prior.noise_share**2)]
    parts += [(known.added_pct**2, prior.recovery_sd**2), (known.usual_burnt_pct**2, prior.debit_sd**2)]
    typical = [float(np.median(p[p > 0])) if np.any(p > 0) else 1.0 for p, _ in parts]
    scale = np.sqrt(PRIOR_VARIANCE_HEATS)
    columns = np.column_stack([p / t for (p, _), t in zip(parts, typical, strict=True)])
    expected = [variance * t / unit for (_, variance), t in zip(parts, typical, strict=True)]
    weight = unit / np.maximum(variance, unit)
    rows = np.vstack([columns * weight[:, None], scale * np.eye(len(parts))])
    wanted = np.concatenate([weight * squares / unit, scale * np.array(expected)])
    found = np.sqrt(nnls(rows, wanted)[0] * unit / np.array(typical))
    noise = max(float(found[0]), LEAST_SD * prior.noise_sd_pct)
    recovery_sd, debit_sd = (
        min(max(float(sd), LEAST_SD * usual), MOST_RECOVERY_SD * usual)
        for sd, usual in zip(found[2:], (prior.recovery_sd, prior.debit_sd), strict=True)
    )
    return noise, float(found[1]), recovery_sd, debit_sd
