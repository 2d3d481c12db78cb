"""Temperature after the additions, learnt from heats: what a station does to it, and what additions chill."""

from typing import NamedTuple

import numpy as np
import polars as pl
from model_service.parameters import StationModel, TemperatureModel
from sklearn.linear_model import Ridge

from ml_pipeline.steps.columns import Vector, column
from ml_pipeline.steps.outcome import feature_matrix
from ml_pipeline.steps.physics import robust_sd

MIN_HEATS = 50
GROSS_SD = 4.0
CHILL_SD = 0.5
"""Of the factor by which the master data's chills are believed to be off."""
LEAST_SD_C = 1.0
READING_SD_C = 4.0
SLOPE_SD_C = 5.0
"""A usual deviation of one feature moves the temperature by no more than this, unless heats say so."""


def fit_temperature(station: StationModel, heats: pl.DataFrame) -> TemperatureModel | None:
    """Ridge around: as before, what the additions chill by master data, and nothing else; gross errors left
    out. None where too few heats have both temperatures.

    Where no chills are known, what additions chill is part of what is usual, and none is predicted.
    """
    before, after = column(heats, "f.temperature_c"), column(heats, "temperature_after_c")
    chill = column(heats, "chill_c_t") / column(heats, "steel_mass_t")
    has_chill = bool(np.sum(~np.isnan(chill)) >= MIN_HEATS)
    known = ~np.isnan(before) & ~np.isnan(after) & (~np.isnan(chill) | (not has_chill))
    if known.sum() < MIN_HEATS:
        return None
    usual = float(np.median(before[known]))
    names = [f.name for f in station.features if f.name != "temperature_c"]
    matrix = feature_matrix(station, heats)[known]
    keep = [i for i, f in enumerate(station.features) if f.name != "temperature_c"]
    centred = matrix[:, keep] - np.array([station.features[i].default for i in keep])
    scale = np.where(centred.std(axis=0) > 0, centred.std(axis=0), 1.0)
    chilled = chill[known] if has_chill else np.zeros(int(known.sum()))
    change = after[known] - before[known] - chilled
    steering = (before[known] - usual) / 10.0
    design = np.column_stack(
        [np.full(len(change), 100.0), steering * 10.0, CHILL_SD * chilled, SLOPE_SD_C * centred / scale]
    )
    kept = np.abs(change - np.median(change)) <= GROSS_SD * max(robust_sd(change), 1.0)
    for _ in range(3):
        ridge = Ridge(alpha=READING_SD_C**2, fit_intercept=False, solver="cholesky").fit(
            design[kept], change[kept]
        )
        rest = change - design @ ridge.coef_
        kept = np.abs(rest) <= GROSS_SD * max(robust_sd(rest[kept]), 1.0)
    offset, of_before, of_chill, *of_features = ridge.coef_.tolist()
    return TemperatureModel(
        offset_c=100.0 * offset,
        usual_c=usual,
        before_slope=min(max(of_before, -1.0), 1.0),
        chill_factor=max(1.0 + CHILL_SD * of_chill, 0.0) if has_chill else 0.0,
        sd_c=max(float(rest[kept].std()), LEAST_SD_C),
        slopes={
            name: SLOPE_SD_C * value / float(s)
            for name, value, s in zip(names, of_features, scale, strict=True)
        },
    )


class Temperatures(NamedTuple):
    """Of each heat, C, nan where unknown: measured after the additions, as the model predicts it, and what a
    plant can say without one: before, and the usual change of the heats before."""

    measured_c: Vector
    predicted_c: Vector
    usual_c: Vector


def predict_temperature(station: StationModel, train: pl.DataFrame, test: pl.DataFrame) -> Temperatures:
    """Temperatures of `test`, as the Model Service predicts them; without a model, the usual change is all
    that is said."""
    before, after = column(test, "f.temperature_c"), column(test, "temperature_after_c")
    change = column(train, "temperature_after_c") - column(train, "f.temperature_c")
    known = change[~np.isnan(change)]
    usual = before + (float(np.median(known)) if len(known) else np.nan)
    model = station.temperature
    if model is None:
        return Temperatures(after, usual, usual)
    predicted = before + model.offset_c + model.before_slope * (before - model.usual_c)
    for feature, values in zip(station.features, feature_matrix(station, test).T, strict=True):
        predicted = predicted + model.slopes.get(feature.name, 0.0) * (values - feature.default)
    if model.chill_factor:
        chill = column(test, "chill_c_t") / column(test, "steel_mass_t")
        predicted = predicted + model.chill_factor * chill
    return Temperatures(after, predicted, usual)
