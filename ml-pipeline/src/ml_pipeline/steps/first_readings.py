"""How far a first analysis is believed: a sample errs, and heats of a grade come with much the same.

What the sample read too high, the result lacks: within a grade the first reading and what the prediction
leaves over vary against each other by just the variance of the reading's error, whatever was added in answer
to it. That variance over the one that the readings of a grade show is the share of them that is error. A
recovery fitted on readings takes some of it for its own, so readings are rather believed too far than not
far enough.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl
from model_service.parameters import ElementModel, FirstReading, StationModel
from numpy.typing import NDArray
from scipy.optimize import nnls

from ml_pipeline.steps import physics
from ml_pipeline.steps.columns import Vector
from ml_pipeline.steps.outcome import Terms, terms
from ml_pipeline.steps.split import newest_heats, split_by_time

MIN_OF_GRADE = 20
"""Heats of a grade that tell what it usually comes with."""
GROSS_SD = 3.0
MOST_SD = 1.5
"""Of the reading: no sample is believed to have erred by more because others read differently."""
LEAST_ERROR = 0.02
"""Share of error under which a reading is taken as it is."""
MOST_HEATS = 20_000
JUDGED_FRACTION = 0.25


class _Grade(NamedTuple):
    """Heats of one grade: which, what they usually come with, and the variance of that as it is read."""

    name: str
    rows: NDArray[np.intp]
    usual_pct: float
    variance: float


def first_readings(
    shell: StationModel, element: str, prior: ElementModel, heats: pl.DataFrame
) -> dict[str, FirstReading]:
    """What heats of each grade come with, and how far a reading is believed beside it; empty where newer
    heats are not predicted better with what older ones say."""
    heats = newest_heats(heats, MOST_HEATS)
    older, newer = split_by_time(heats, JUDGED_FRACTION)
    if not (trial := _found(shell, element, prior, older)):
        return {}
    believing = msgspec.structs.replace(prior, first_readings=trial)
    errors = []
    for model in (prior, believing):
        fitted = _fit(terms(shell, element, model, older), model)
        known = physics.only_usable(terms(shell, element, model, newer))
        if not len(known.added_pct):
            return {}
        errors.append(_left(known, fitted))
    as_read, as_believed = (float(np.mean(np.abs(error))) for error in errors)
    return _found(shell, element, prior, heats) if as_believed < as_read else {}


def _found(
    shell: StationModel, element: str, prior: ElementModel, heats: pl.DataFrame
) -> dict[str, FirstReading]:
    known = terms(shell, element, prior, heats)
    is_read = physics.usable(known) & (known.first_sd_pct == 0)
    grades = list(_grades(heats, known, is_read))
    return _believing(grades, known.read_pct, _left(known, _fit(known, prior))) if grades else {}


def _fit(known: Terms, model: ElementModel) -> physics.Physics:
    known = physics.only_usable(known)
    return physics.fit(known, np.zeros((len(known.added_pct), 0)), model, np.zeros(0))


def _left(known: Terms, fitted: physics.Physics) -> Vector:
    """What the physics leaves over of every result."""
    gained = fitted.recovery * known.added_pct - fitted.debit * known.really_burnt_pct + fitted.offset_pct
    left: Vector = known.final_pct + known.diluted_pct - known.first_pct - gained
    return left


def _grades(heats: pl.DataFrame, known: Terms, is_read: NDArray[np.bool_]) -> Iterator[_Grade]:
    names = heats["grade"].to_numpy()
    for name in sorted(set(names[is_read].tolist())):
        rows = np.flatnonzero(is_read & (names == name))
        if len(rows) < MIN_OF_GRADE:
            continue
        read = known.read_pct[rows]
        usual = float(np.median(read))
        within = np.abs(read - usual) <= GROSS_SD * max(physics.robust_sd(read), 1e-9)
        variance = float(np.var(read[within]))
        if variance > 0:
            yield _Grade(str(name), rows[within], float(np.mean(read[within])), variance)


def _believing(grades: list[_Grade], read_pct: Vector, left: Vector) -> dict[str, FirstReading]:
    """Per grade, with the error of a reading (wt %) as one constant part and one that grows with the
    content, over all grades."""
    rows, against = [], []
    for grade in grades:
        apart, of = read_pct[grade.rows] - grade.usual_pct, left[grade.rows]
        near = np.abs(of - np.median(of)) <= GROSS_SD * max(physics.robust_sd(of), 1e-9)
        # Of as many heats, those tell best whose readings and results scatter least.
        weight = np.sqrt(near.sum() / (grade.variance * max(float(np.var(of[near])), 1e-18)))
        rows.append(weight * np.array([1.0, grade.usual_pct**2]))
        against.append(-weight * float(np.mean(apart[near] * (of[near] - np.mean(of[near])))))
    parts = nnls(np.array(rows), np.array(against))[0]
    found = {}
    for grade in grades:
        error = min(float(parts @ (1.0, grade.usual_pct**2)), grade.variance)
        if error > LEAST_ERROR * grade.variance:
            found[grade.name] = FirstReading(
                pct=grade.usual_pct,
                trust=1.0 - error / grade.variance,
                most_pct=MOST_SD * float(np.sqrt(error)),
            )
    return found
