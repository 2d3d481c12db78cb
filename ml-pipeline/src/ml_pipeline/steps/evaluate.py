"""How good a model is on heats it has not seen, beside what a plant can do without one.

Error on the final chemistry does not rank models for recommending, because operators close the loop
(METALLURGY A1). So the order is: marginal effect (`effects`), error beside fixed and rolling recovery (the
per-grade constant is there for reference only), intervals; the policy is judged in a simulator.
"""

from collections.abc import Mapping
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import polars as pl
from model_service.parameters import Parameters, StationModel
from numpy.typing import NDArray

from ml_pipeline.steps.baselines import by_recovery, grade_constant
from ml_pipeline.steps.columns import Vector
from ml_pipeline.steps.effects import LEAST_OF_FINAL, Z95, Effect, brought, effects, residual_slope
from ml_pipeline.steps.outcome import Outcomes, lagged, predict_wanted, terms, with_past
from ml_pipeline.steps.temperature import Temperatures, predict_temperature

MIN_HEATS = 20
LEVEL = 0.9


class ElementMetrics(NamedTuple):
    """On the test heats, wt % unless said. `slope` is the residual's, as a share of the recovery, with its
    95 % interval; `coverage_low` and `coverage_high` are the 95 % interval of the 90 % band's coverage."""

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
    coverage_low: float
    coverage_high: float


class GradeMetrics(NamedTuple):
    """The same of one element in one grade, wt %."""

    heats: int
    mae_pct: float
    mae_handbook_pct: float
    mae_rolling_pct: float
    bias_pct: float
    coverage_90: float
    coverage_low: float
    coverage_high: float


class TemperatureMetrics(NamedTuple):
    """Of the temperature after the additions on the test heats, C. `mae_usual_c`: of the temperature before
    and the usual change; `coverage_90`: of the model's normal 90 % interval, with its 95 % interval."""

    heats: int
    mae_c: float
    mae_usual_c: float
    bias_c: float
    sd_c: float
    coverage_90: float
    coverage_low: float
    coverage_high: float


class Evaluation(NamedTuple):
    """Of the test heats. `metrics`: station -> element; `grades`: station -> element -> grade with heats
    enough; `controlled`: station -> elements that are steered; `effects`: station -> pairs; `outcomes`:
    the predictions behind them, for plots; `temperature` and `temperatures`: the same of the temperature
    after, of stations that measure it (the metrics only where a model predicts it)."""

    metrics: dict[str, dict[str, ElementMetrics]]
    outcomes: dict[str, dict[str, Outcomes]]
    grades: dict[str, dict[str, dict[str, GradeMetrics]]]
    controlled: dict[str, list[str]]
    effects: dict[str, list[Effect]]
    temperature: dict[str, TemperatureMetrics]
    temperatures: dict[str, Temperatures]


def evaluate(
    parameters: Parameters,
    trees: Mapping[str, str],
    train: Mapping[str, pl.DataFrame],
    test: Mapping[str, pl.DataFrame],
    rows: pl.DataFrame | None = None,
) -> Evaluation:
    """Judge on `test`, whose past for slow state and rolling recovery is `train`; elements with few results
    are left out. Effects need the lake's `rows`, which tell what each additive brought."""
    found = Evaluation({}, {}, {}, {}, {}, {}, {})
    for name, station in parameters.stations.items():
        if name not in test or test[name].is_empty():
            continue
        heats = pl.concat([train[name], test[name]], how="diagonal") if name in train else test[name]
        n_test = test[name].height
        near = with_past(heats, lagged(heats), _newest(heats.height, n_test))
        metrics, outcomes, grades = found.metrics, found.outcomes, found.grades
        metrics[name], outcomes[name], grades[name] = {}, {}, {}
        for element in station.elements:
            judged = predict_wanted(station, element, trees, near)
            if np.sum(~np.isnan(judged.final_pct - judged.predicted_pct)) < MIN_HEATS:
                continue
            errors = _errors(station, element, heats, judged)
            metrics[name][element] = _metrics(station, element, errors, judged)
            grades[name][element] = _by_grade(errors, test[name]["grade"].to_numpy())
            outcomes[name][element] = judged
        found.controlled[name] = _controlled(test[name], outcomes[name])
        _evaluate_temperature(found, name, station, train.get(name, test[name].clear()), test[name])
        if rows is not None:
            of_station = rows.filter(pl.col("station") == name)
            some = of_station.join(test[name], on=["plant_id", "heat_uid", "treatment_no"], how="semi")
            found.effects[name] = effects(station, outcomes[name], test[name], brought(some))
    return found


def _evaluate_temperature(
    found: Evaluation, name: str, station: StationModel, train: pl.DataFrame, test: pl.DataFrame
) -> None:
    seen = predict_temperature(station, train, test)
    ok = ~np.isnan(seen.measured_c - seen.predicted_c)
    heats = int(ok.sum())
    if heats < MIN_HEATS:
        return
    found.temperatures[name] = seen
    if station.temperature is None:
        return
    error, sd = (seen.measured_c - seen.predicted_c)[ok], station.temperature.sd_c
    covered = int(np.sum(np.abs(error) <= NormalDist().inv_cdf((1 + LEVEL) / 2) * sd))
    found.temperature[name] = TemperatureMetrics(
        heats,
        _mae(error),
        _mae((seen.measured_c - seen.usual_c)[ok]),
        float(np.mean(error)),
        sd,
        covered / heats,
        *coverage_interval(covered, heats),
    )


def coverage_interval(covered: int, heats: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson)."""
    share, z2 = covered / heats, Z95**2
    centre = (share + z2 / (2 * heats)) / (1 + z2 / heats)
    half = Z95 / (1 + z2 / heats) * np.sqrt(share * (1 - share) / heats + z2 / (4 * heats**2))
    return float(min(centre - half, share)), float(max(centre + half, share))  # nor by a rounding inside it


class _Errors(NamedTuple):
    """Of the test heats, wt %: measured minus predicted; `half` of the model's 90 % interval;
    `rolling_width` of one that is as wide as rolling recovery needed it in training."""

    model: Vector
    base: Vector
    handbook: Vector
    rolling: Vector
    constant: Vector
    half: Vector
    rolling_width: float


def _newest(heats: int, n: int) -> NDArray[np.bool_]:
    """Which are the last `n`."""
    newest: NDArray[np.bool_] = np.arange(heats) >= heats - n
    return newest


def _errors(station: StationModel, element: str, heats: pl.DataFrame, judged: Outcomes) -> _Errors:
    known = terms(station, element, station.elements[element], heats)
    is_test = _newest(heats.height, len(judged.final_pct))
    gained = known.final_pct - known.read_pct
    handbook, rolling = by_recovery(gained, known.added_pct, is_test)
    past = np.abs((gained - rolling)[~is_test])
    return _Errors(
        model=judged.final_pct - judged.predicted_pct,
        base=judged.final_pct - judged.base_pct,
        handbook=(gained - handbook)[is_test],
        rolling=(gained - rolling)[is_test],
        constant=(known.final_pct - grade_constant(heats, known.final_pct, is_test))[is_test],
        half=station.elements[element].interval_factor * judged.sd_pct,
        rolling_width=float(2 * np.nanquantile(past, LEVEL)) if np.any(~np.isnan(past)) else float("nan"),
    )


def _metrics(station: StationModel, element: str, errors: _Errors, judged: Outcomes) -> ElementMetrics:
    ok = ~np.isnan(errors.model)
    covered = int(np.sum(np.abs(errors.model[ok]) <= errors.half[ok]))
    slope = residual_slope(errors.base, judged.added_pct) if _is_added(judged) else None
    scale = max(station.elements[element].recovery, 1e-6)
    low, high = coverage_interval(covered, int(ok.sum()))
    return ElementMetrics(
        heats=int(ok.sum()),
        mae_pct=_mae(errors.model),
        mae_base_pct=_mae(errors.base),
        mae_handbook_pct=_mae(errors.handbook),
        mae_rolling_pct=_mae(errors.rolling),
        mae_constant_pct=_mae(errors.constant),
        bias_pct=float(np.nanmean(errors.model)),
        coverage_90=covered / int(ok.sum()),
        interval_width_pct=float(np.median(2 * errors.half[ok])),
        rolling_width_pct=errors.rolling_width,
        slope=slope[0] / scale if slope else None,
        slope_low=(slope[0] - Z95 * slope[1]) / scale if slope else None,
        slope_high=(slope[0] + Z95 * slope[1]) / scale if slope else None,
        coverage_low=low,
        coverage_high=high,
    )


def _by_grade(errors: _Errors, grades: NDArray[np.object_]) -> dict[str, GradeMetrics]:
    found = {}
    for grade in sorted(set(grades)):
        of = (grades == grade) & ~np.isnan(errors.model)
        heats = int(of.sum())
        if heats < MIN_HEATS:
            continue
        covered = int(np.sum(np.abs(errors.model[of]) <= errors.half[of]))
        found[str(grade)] = GradeMetrics(
            heats,
            _mae(errors.model[of]),
            _mae(errors.handbook[of]),
            _mae(errors.rolling[of]),
            float(np.mean(errors.model[of])),
            covered / heats,
            *coverage_interval(covered, heats),
        )
    return found


def _controlled(heats: pl.DataFrame, outcomes: Mapping[str, Outcomes]) -> list[str]:
    """Elements that a window has a minimum for; where no heat has one, those that are mainly added."""
    lows = [e for e in outcomes if f"low.{e}" in heats.columns and heats[f"low.{e}"].count()]
    return lows or [e for e, seen in outcomes.items() if _is_added(seen)]


def _is_added(seen: Outcomes) -> bool:
    return bool(np.nanmedian(seen.added_pct) > LEAST_OF_FINAL * np.nanmedian(seen.final_pct))


def _mae(error: Vector) -> float:
    return float(np.nanmean(np.abs(error))) if np.any(~np.isnan(error)) else float("nan")


def as_json(found: Evaluation) -> dict[str, dict[str, dict[str, float | None]]]:
    """station -> element, or `temperature` -> metric -> value."""
    return {
        station: {element: m._asdict() for element, m in elements.items()}
        | ({"temperature": found.temperature[station]._asdict()} if station in found.temperature else {})
        for station, elements in found.metrics.items()
    }


def flat_metrics(evaluated: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> dict[str, float]:
    """station.element.metric -> value of what `as_json` returns, without what is not known."""
    return {
        f"{station}.{element}.{field}": float(value)
        for station, elements in evaluated.items()
        for element, m in elements.items()
        for field, value in m.items()
        if value is not None and np.isfinite(value)
    }
