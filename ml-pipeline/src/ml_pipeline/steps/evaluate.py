"""How good a model is on heats it has not seen, beside what a plant can do without one.

Error on the final chemistry does not rank models for recommending, because operators close the loop
(METALLURGY A1): the
slope of the residual on what was added is the first thing to read, the per-grade constant is there for
reference only.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
from model_service.parameters import Parameters, StationModel
from numpy.typing import NDArray

from ml_pipeline.steps.columns import Vector
from ml_pipeline.steps.outcome import Outcomes, lagged, predict, terms

MIN_HEATS = 20
ROLLING_HEATS = 50
Z95 = 1.959964


class ElementMetrics(NamedTuple):
    """On the test heats, wt % unless said. `slope` is the residual's, as a share of the recovery, with its
    95 % interval."""

    heats: int
    mae_pct: float
    mae_base_pct: float
    mae_handbook_pct: float
    mae_rolling_pct: float
    mae_constant_pct: float
    bias_pct: float
    coverage_90: float
    interval_width_pct: float
    rolling_width_pct: float
    slope: float | None
    slope_low: float | None
    slope_high: float | None


class Evaluation(NamedTuple):
    """`metrics`: station -> element -> metrics; `outcomes`: the predictions behind them, test heats only,
    for plots."""

    metrics: dict[str, dict[str, ElementMetrics]]
    outcomes: dict[str, dict[str, Outcomes]]


def evaluate(
    parameters: Parameters,
    trees: Mapping[str, str],
    train: Mapping[str, pl.DataFrame],
    test: Mapping[str, pl.DataFrame],
) -> Evaluation:
    """Judge on `test`, whose past for slow state and rolling recovery is `train`; elements with few results
    are left out."""
    metrics: dict[str, dict[str, ElementMetrics]] = {}
    outcomes: dict[str, dict[str, Outcomes]] = {}
    for name, station in parameters.stations.items():
        if name not in test or test[name].is_empty():
            continue
        heats = pl.concat([train[name], test[name]], how="diagonal") if name in train else test[name]
        n_test, lags = test[name].height, lagged(heats)
        metrics[name], outcomes[name] = {}, {}
        for element in station.elements:
            seen = predict(station, element, trees, heats, lags=lags)
            judged = newest(seen, n_test)
            if np.sum(~np.isnan(judged.final_pct - judged.predicted_pct)) < MIN_HEATS:
                continue
            metrics[name][element] = _metrics(station, element, heats, seen, n_test)
            outcomes[name][element] = judged
    return Evaluation(metrics, outcomes)


def newest(seen: Outcomes, n: int) -> Outcomes:
    """The last `n` heats."""
    return Outcomes(*(values[len(values) - n :] for values in seen))


def residual_slope(residual: Vector, added_pct: Vector) -> tuple[float, float] | None:
    """Slope of the residual on what was added and its standard error (robust to unequal variances); None
    where nothing varies."""
    known = ~np.isnan(residual)
    y, a = residual[known], added_pct[known]
    limit = 4 * 1.4826 * np.median(np.abs(y - np.median(y)))
    kept = np.abs(y - np.median(y)) <= max(limit, 1e-9)
    y, a = y[kept], a[kept] - np.mean(a[kept])
    if len(y) < MIN_HEATS or np.sum(a**2) < 1e-12:
        return None
    slope = float(a @ y / (a @ a))
    rest = y - np.mean(y) - slope * a
    return slope, float(np.sqrt(np.sum(a**2 * rest**2)) / (a @ a))


def _metrics(
    station: StationModel, element: str, heats: pl.DataFrame, seen: Outcomes, n_test: int
) -> ElementMetrics:
    model = station.elements[element]
    known = terms(station, element, model, heats)
    judged = newest(seen, n_test)
    error = judged.final_pct - judged.predicted_pct
    ok = ~np.isnan(error)
    base_error = judged.final_pct - judged.base_pct
    half = model.interval_factor * judged.sd_pct

    is_test = np.arange(heats.height) >= heats.height - n_test
    handbook, rolling = _by_recovery(known.final_pct - known.first_pct, known.added_pct, is_test)
    handbook_error = (known.final_pct - known.first_pct - handbook)[is_test]
    rolling_all = known.final_pct - known.first_pct - rolling
    constant = _grade_constant(heats, known.final_pct, is_test)
    past = np.abs(rolling_all[~is_test])
    slope = (
        residual_slope(base_error, judged.added_pct)
        if np.nanmedian(judged.added_pct) > 0.02 * np.nanmedian(judged.final_pct)
        else None
    )
    scale = max(model.recovery, 1e-6)
    return ElementMetrics(
        heats=int(ok.sum()),
        mae_pct=_mae(error),
        mae_base_pct=_mae(base_error),
        mae_handbook_pct=_mae(handbook_error),
        mae_rolling_pct=_mae(rolling_all[is_test]),
        mae_constant_pct=_mae((known.final_pct - constant)[is_test]),
        bias_pct=float(np.nanmean(error)),
        coverage_90=float(np.mean(np.abs(error[ok]) <= half[ok])),
        interval_width_pct=float(np.median(2 * half[ok])),
        rolling_width_pct=float(2 * np.nanquantile(past, 0.9)) if np.any(~np.isnan(past)) else float("nan"),
        slope=slope[0] / scale if slope else None,
        slope_low=(slope[0] - Z95 * slope[1]) / scale if slope else None,
        slope_high=(slope[0] + Z95 * slope[1]) / scale if slope else None,
    )


def _by_recovery(increment: Vector, added: Vector, is_test: NDArray[np.bool_]) -> tuple[Vector, Vector]:
    """Increments by the plant's own fixed recovery (median of the training heats), and by the median of the
    last 50 heats."""
    typical = np.nanmedian(added) if len(added) else 0.0
    usable = (added > 0.3 * typical) & (added > 0) & ~np.isnan(increment)
    ratio = np.where(usable, increment / np.where(added > 0, added, 1.0), np.nan)
    past = ratio[~is_test & usable]
    fixed = float(np.median(past)) if len(past) else 1.0
    known = np.flatnonzero(usable)
    position = np.searchsorted(known, np.arange(len(added)))
    rolling = np.full(len(added), fixed)
    for i, at in enumerate(position):
        if at >= 10:
            rolling[i] = np.median(ratio[known[max(0, at - ROLLING_HEATS) : at]])
    return fixed * added, rolling * added


def _grade_constant(heats: pl.DataFrame, final: Vector, is_test: NDArray[np.bool_]) -> Vector:
    """The median final analysis of the grade in training; of all grades where the grade is new."""
    grades = heats["grade"].to_numpy()
    result = np.full(
        len(final),
        float(np.nanmedian(final[~is_test])) if np.any(~np.isnan(final[~is_test])) else float("nan"),
    )
    for grade in set(grades):
        of_grade = final[(grades == grade) & ~is_test]
        if np.sum(~np.isnan(of_grade)) >= 5:
            result[grades == grade] = np.nanmedian(of_grade)
    return result


def _mae(error: Vector) -> float:
    return float(np.nanmean(np.abs(error))) if np.any(~np.isnan(error)) else float("nan")


def metrics_table(metrics: Mapping[str, Mapping[str, ElementMetrics]]) -> str:
    """One line per station and element, for a person.

    Errors of the model, of its base prediction, of fixed and of rolling recovery, and of the grade's constant
    (the closed loop's reference); widths of the model's 90 % interval and of rolling recovery's.
    """
    columns = ("MAE", "base", "fixed", "rolling", "(const)", "bias", "cover90", "width", "w.rolling")
    lines = [f"{'':22s}{'heats':>6s}{''.join(f'{c:>10s}' for c in columns)}  residual slope / recovery"]
    for station, elements in metrics.items():
        for element, m in elements.items():
            errors = (m.mae_pct, m.mae_base_pct, m.mae_handbook_pct, m.mae_rolling_pct, m.mae_constant_pct)
            numbers = "".join(f"{error:10.5f}" for error in errors)
            widths = f"{m.interval_width_pct:10.4f}{m.rolling_width_pct:10.4f}"
            slope = (
                f"{m.slope:+.3f} [{m.slope_low:+.3f}, {m.slope_high:+.3f}]" if m.slope is not None else "-"
            )
            name = f"{station} {element}"
            lines.append(
                f"{name:22s}{m.heats:6d}{numbers}{m.bias_pct:+10.5f}{m.coverage_90:10.3f}{widths}  {slope}"
            )
    return "\n".join(lines)


def flat_metrics(metrics: Mapping[str, Mapping[str, ElementMetrics]]) -> dict[str, float]:
    """station.element.metric -> value, without what is not known."""
    return {
        f"{station}.{element}.{field}": float(value)
        for station, elements in metrics.items()
        for element, m in elements.items()
        for field, value in m._asdict().items()
        if value is not None and np.isfinite(value)
    }
