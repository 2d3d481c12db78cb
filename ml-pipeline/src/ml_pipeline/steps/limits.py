"""Limits that a candidate must keep whatever it is compared with: each names a way in which a model that
scores well may be unfit to advise.
"""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from model_service.contracts import RecommendationRequest
from model_service.model import Bundle
from model_service.parameters import Parameters
from model_service.recommendation import recommend
from numpy.typing import NDArray

from ml_pipeline.steps.columns import Vector
from ml_pipeline.steps.evaluate import ElementMetrics
from ml_pipeline.steps.outcome import Outcomes, feature_matrix, terms

MARGINAL_EFFECT = 0.2
"""Share of the physical effect within which the residual's slope on what was added must be able to lie."""
WIDTH = 1.5
"""Median interval, as a multiple of what the last 50 heats' recovery would need."""
ERROR_FLOOR = 0.003
"""Share of the content that no spectrometer repeats better than (METALLURGY B3 has .5 to 1.5 %)."""
KNOWS_RESULT = 0.9
"""Share of the result's variance, beyond the additions, that no state known before them explains."""
NEWER_SHARE = 0.35
"""Share of the lake's heats that may be newer than those a candidate learnt from."""
TREE_BYTES = 300_000
BUNDLE_GROWTH = 3.0
LATENCY_MS, LATENCY_GROWTH, LATENCY_SLACK_MS = 10.0, 2.0, 0.5
REPEATS = 7
MIN_HEATS = 20

Metrics = Mapping[str, Mapping[str, ElementMetrics]]


def marginal_effects(metrics: Metrics, others: Metrics) -> list[str]:
    """A slope of the residual that is certainly more than a fifth of the effect, and further from none than
    that of the model compared with (`others`): a kilogram does something else than the model says.

    Where both have it, it is the operators' doing: they add more to heats that need it (METALLURGY A1).
    """
    reasons = []
    for station, elements in metrics.items():
        for element, m in elements.items():
            if m.slope is None or m.slope_low is None or m.slope_high is None:
                continue
            other = others.get(station, {}).get(element)
            usual = abs(other.slope) if other is not None and other.slope is not None else 0.0
            outside = m.slope_low > MARGINAL_EFFECT or m.slope_high < -MARGINAL_EFFECT
            if outside and abs(m.slope) > usual + MARGINAL_EFFECT / 2:
                reasons.append(
                    f"{station} {element}: what was added does {m.slope:+.2f} ({m.slope_low:+.2f} to "
                    f"{m.slope_high:+.2f}) of its effect more than the model says; "
                    f"{-MARGINAL_EFFECT:+g} to {MARGINAL_EFFECT:+g} is allowed"
                )
    return reasons


def widths(metrics: Metrics) -> list[str]:
    """Intervals so wide that they say nothing."""
    return [
        f"{station} {element}: the 90 % interval is {m.interval_width_pct:.4f} % wide; "
        f"{WIDTH:g} times that of the last heats' recovery, {m.rolling_width_pct:.4f} %, is allowed"
        for station, elements in metrics.items()
        for element, m in elements.items()
        if m.slope is not None and m.interval_width_pct > WIDTH * m.rolling_width_pct
    ]


def too_good(outcomes: Mapping[str, Mapping[str, Outcomes]], metrics: Metrics) -> list[str]:
    """Errors smaller than the spectrometer's own: the result has leaked into what the model is told."""
    reasons = []
    for station, elements in outcomes.items():
        for element, seen in elements.items():
            if element not in metrics.get(station, {}) or metrics[station][element].slope is None:
                continue
            usual = float(np.nanmedian(seen.final_pct))
            error = 1.4826 * float(np.nanmedian(np.abs(seen.final_pct - seen.predicted_pct)))
            if error < ERROR_FLOOR * usual:
                reasons.append(
                    f"{station} {element}: errors of {error:.5f} % (sd) are smaller than any spectrometer's "
                    f"at {usual:.3f} %; has the result leaked into the features?"
                )
    return reasons


def knowing_features(
    parameters: Parameters, unseen: Mapping[str, pl.DataFrame], metrics: Metrics
) -> list[str]:
    """Features that know the result: with them nothing of it is left to chance, beyond what was there before
    and what was added."""
    reasons = []
    for station, heats in unseen.items():
        model = parameters.stations.get(station)
        if model is None or not model.features:
            continue
        state = feature_matrix(model, heats)
        for element in (e for e, m in metrics.get(station, {}).items() if m.slope is not None):
            known = terms(model, element, model.elements[element], heats)
            usable = ~np.isnan(known.final_pct + known.read_pct + known.added_pct)
            if usable.sum() < MIN_HEATS + 3 * state.shape[1]:
                continue
            before = np.column_stack([known.read_pct, known.added_pct, np.nan_to_num(known.diluted_pct)])
            result, *features = (
                _beyond(before[usable], column[usable]) for column in (known.final_pct, *state.T)
            )
            together = _explained(result, np.column_stack(features))
            if together > KNOWS_RESULT:
                alone = [_explained(result, feature[:, None]) for feature in features]
                best = int(np.argmax(alone))
                reasons.append(
                    f"{station} {element}: the features explain {together:.1%} of the result beyond the "
                    f"additions, {model.features[best].name} alone {alone[best]:.1%}; more than "
                    f"{KNOWS_RESULT:.0%} is known only afterwards"
                )
    return reasons


def stale(
    newer: Mapping[str, float], trained_until: Mapping[str, str], champion_until: Mapping[str, str]
) -> list[str]:
    """A candidate of old heats. `newer`: share of the lake's heats that came after those it learnt from;
    instants per station of the newest heat learnt from."""
    reasons = [
        f"{station}: {share:.0%} of the lake's heats are newer than those learnt from; "
        f"at most {NEWER_SHARE:.0%} is allowed"
        for station, share in newer.items()
        if share > NEWER_SHARE
    ]
    return reasons + [
        f"{station}: learnt from heats until {until}, the champion until {champion_until[station]}"
        for station, until in trained_until.items()
        if station in champion_until and until < champion_until[station]
    ]


def sizes(trees: Mapping[str, str], champion_trees: Mapping[str, str] | None) -> list[str]:
    """A model that has grown out of proportion: each tree file, and all against the champion's."""
    reasons = [
        f"trees of {name} take {len(text):,} bytes; {TREE_BYTES:,} are allowed"
        for name, text in trees.items()
        if len(text) > TREE_BYTES
    ]
    size, before = (sum(map(len, texts.values())) for texts in (trees, champion_trees or {}))
    if before and size > BUNDLE_GROWTH * before:
        reasons.append(
            f"its trees take {size:,} bytes, the champion's {before:,}; {BUNDLE_GROWTH:g} times that is "
            "allowed"
        )
    return reasons


def latency_ms(bundle: Bundle, requests: Sequence[RecommendationRequest]) -> float:
    """Milliseconds of processor time of one recommendation, whatever else the machine does: the median of the
    requests, each at its fastest."""
    fastest = []
    for request in requests:
        times = []
        for _ in range(REPEATS):
            began = time.thread_time()
            recommend(bundle, request)
            times.append(time.thread_time() - began)
        fastest.append(min(times))
    return 1000 * float(np.median(fastest))


def slow(candidate_ms: float, champion_ms: float | None) -> list[str]:
    """An answer that takes too long, or much longer than the champion's to the same requests."""
    allowed = LATENCY_MS
    if champion_ms is not None:
        allowed = min(allowed, LATENCY_GROWTH * champion_ms + LATENCY_SLACK_MS)
    if candidate_ms <= allowed:
        return []
    return [f"one recommendation takes {candidate_ms:.1f} ms; {allowed:.1f} ms are allowed"]


def _beyond(known: NDArray[np.float64], values: Vector) -> Vector:
    """What least squares on `known` leaves of `values`."""
    design = np.column_stack([np.ones(len(values)), known])
    left: Vector = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return left


def _explained(result: Vector, features: NDArray[np.float64]) -> float:
    """Share of the result's variance that features explain, less what as many random ones would."""
    total = float(result @ result)
    if total == 0:
        return 0.0
    left = _beyond(features, result)
    free = len(result) - features.shape[1] - 4
    return float(1 - (left @ left) / total * (len(result) - 4) / free)
