"""May a candidate be registered? Compared on the newest heats that neither it nor the champion has seen, and
on a frozen holdout that nobody ever learns from.

Without a champion the candidate must not be worse than the cold-start model, which knows the literature only.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
from model_service.parameters import Parameters
from model_service.priors import STATIONS, prior_element

from ml_pipeline.steps.columns import Vector
from ml_pipeline.steps.evaluate import ElementMetrics, Evaluation, evaluate

MIN_HEATS = 20
WORSE_BY = 0.02
"""A candidate whose standardised error is larger by more than this share, with 97.5 % certainty, is
refused."""
COVERAGE = (0.80, 0.98)
"""Of the 90 % interval, widened by what chance does to few heats."""
RECOVERY_RANGE = (0.5, 1.5)
DRAWS = 2000


class Verdict(NamedTuple):
    """`reasons` is empty where the candidate passes; `figures` are for the record."""

    passed: bool
    reasons: list[str]
    figures: dict[str, float]


class Model(NamedTuple):
    """What is compared: parameters and trees, with a name for messages."""

    name: str
    parameters: Parameters
    trees: Mapping[str, str]


def judge(
    candidate: Model,
    other: Model,
    unseen: Mapping[str, pl.DataFrame],
    mine: Evaluation,
    theirs: Evaluation,
    golden_differences: list[str],
    seed: int,
    frozen: Mapping[str, tuple[pl.DataFrame, pl.DataFrame]] | None = None,
) -> Verdict:
    """Judge `candidate` against `other` on the `unseen` heats.

    `mine` and `theirs` are the evaluations of the two on them, `golden_differences` what of the candidate's
    written bundle is not reproduced, `frozen` the holdout of each station that has one: the heats before it,
    and its own.
    """
    reasons = [f"golden row not reproduced: {difference}" for difference in golden_differences[:3]]
    figures: dict[str, float] = {}
    gains = {name: _differences(mine, theirs, name, heats) for name, heats in unseen.items()}
    compared = {name: found for name, found in gains.items() if len(found)}
    if not compared:
        reasons.append(
            f"no heats to compare on: at least {MIN_HEATS} heats are needed that neither "
            f"{candidate.name} nor {other.name} has seen"
        )
    on_holdout = {}
    for name, (context, heats) in (frozen or {}).items():
        ours, others = (
            evaluate(model.parameters, model.trees, {name: context}, {name: heats})
            for model in (candidate, other)
        )
        on_holdout[name] = _differences(ours, others, name, heats)
    judged = [(name, "", found) for name, found in compared.items()]
    judged += [(name, "holdout.", found) for name, found in on_holdout.items() if len(found)]
    for station, where, difference in judged:
        low, high = bootstrap_interval(difference, seed)
        figures |= {
            f"{station}.{where}error_ratio_minus_1": float(np.mean(difference)),
            f"{station}.{where}low": low,
            f"{station}.{where}high": high,
        }
        if low > WORSE_BY:
            said = "on the frozen holdout " if where else ""
            reasons.append(
                f"{station}: standardised error {said}is {np.mean(difference):+.3f} ({low:+.3f} to "
                f"{high:+.3f}) against {other.name}; at most {WORSE_BY:+.3f} is allowed"
            )
    watched = {
        station: {e: m for e, m in of_station.items() if wanted(unseen[station], e)}
        for station, of_station in mine.metrics.items()
    }
    reasons += _coverage(watched)
    reasons += _recoveries(candidate.parameters, watched)
    return Verdict(not reasons, reasons, figures)


def bootstrap_interval(difference: Vector, seed: int) -> tuple[float, float]:
    """95 % interval of the mean by resampling blocks of ten neighbouring heats: neighbours share their
    lots."""
    rng = np.random.default_rng(seed)
    blocks = np.array_split(difference, max(len(difference) // 10, 1))
    sums, sizes = np.array([b.sum() for b in blocks]), np.array([len(b) for b in blocks])
    drawn = rng.integers(0, len(blocks), (DRAWS, len(blocks)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _differences(mine: Evaluation, theirs: Evaluation, station: str, unseen: pl.DataFrame) -> Vector:
    """Per heat: mean over elements and the temperature of |error| of the candidate minus the other's, in
    units of the other's mean |error|."""
    if unseen.height < MIN_HEATS:
        return np.zeros(0)
    all_ours, all_theirs = mine.outcomes.get(station, {}), theirs.outcomes.get(station, {})
    pairs = [
        (ours.final_pct - ours.predicted_pct, others.final_pct - others.predicted_pct)
        for element in sorted(all_ours.keys() & all_theirs.keys())
        if wanted(unseen, element)
        for ours, others in [(all_ours[element], all_theirs[element])]
    ]
    if station in mine.temperature and station in theirs.temperatures:
        hot, other = mine.temperatures[station], theirs.temperatures[station]
        pairs.append((hot.measured_c - hot.predicted_c, other.measured_c - other.predicted_c))
    rows = []
    for ours, others in pairs:
        error, reference = np.abs(ours), np.abs(others)
        both = ~np.isnan(error - reference)
        if both.sum() < MIN_HEATS:
            continue
        scale = max(float(np.mean(reference[both])), 1e-9)
        rows.append(np.where(both, (error - reference) / scale, np.nan))
    if not rows:
        return np.zeros(0)
    table = np.vstack(rows)
    judged = np.any(~np.isnan(table), axis=0)
    mean: Vector = np.nanmean(table[:, judged], axis=0)
    return mean


def wanted(heats: pl.DataFrame, element: str) -> bool:
    """Elements that a window asks for; where no heat has windows, every element counts."""
    windows = [c for c in heats.columns if c.startswith(("low.", "high."))]
    any_window = any(heats[c].count() for c in windows)
    return not any_window or any(
        heats[c].count() for c in (f"low.{element}", f"high.{element}") if c in heats.columns
    )


def _coverage(metrics: Mapping[str, Mapping[str, ElementMetrics]]) -> list[str]:
    reasons = []
    for station, elements in metrics.items():
        for element, m in elements.items():
            chance = 2 * np.sqrt(0.09 / m.heats)
            if not COVERAGE[0] - chance <= m.coverage_90 <= COVERAGE[1] + chance:
                reasons.append(
                    f"{station} {element}: the 90 % interval covers {m.coverage_90:.2f} of {m.heats} "
                    f"heats; {COVERAGE[0]:g} to {COVERAGE[1]:g} is allowed"
                )
    return reasons


def _recoveries(parameters: Parameters, metrics: Mapping[str, Mapping[str, ElementMetrics]]) -> list[str]:
    """More of an additive may never predict less of its element, and no recovery is believed far from the
    literature."""
    reasons = []
    for station, model in parameters.stations.items():
        for element in metrics.get(station, {}):
            prior = prior_element(station if station in STATIONS else "ladle_furnace", element)
            if prior is None or metrics[station][element].slope is None:
                continue
            share = model.elements[element].recovery / prior.recovery
            if not RECOVERY_RANGE[0] <= share <= RECOVERY_RANGE[1]:
                reasons.append(
                    f"{station} {element}: recovery {model.elements[element].recovery:.3f} is "
                    f"{share:.2f} of the literature's; "
                    f"{RECOVERY_RANGE[0]:g} to {RECOVERY_RANGE[1]:g} is allowed"
                )
    return reasons
