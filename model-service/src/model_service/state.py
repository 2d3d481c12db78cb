"""What a heat's state makes of a station's model: its features, and each element's recovery and offset."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_service.contracts import Heat
from model_service.features import feature_values
from model_service.parameters import ElementModel, Feature, StationModel
from model_service.trees import Trees


class ElementState(NamedTuple):
    """Recovery (share) and offset (wt %) of one element, and how much of each the trees gave."""

    recovery: float
    offset_pct: float
    tree_recovery: float
    tree_offset_pct: float


def state_row(station: StationModel, heat: Heat) -> list[float]:
    """Return the station's features in order: the default where missing, never outside the training range."""
    values = feature_values(heat, [feature.name for feature in station.features])
    return [
        feature.default if math.isnan(value) else min(max(value, feature.low), feature.high)
        for value, feature in zip(values, station.features, strict=True)
    ]


def element_states(
    station: StationModel, elements: tuple[str, ...], trees: Trees, row: Sequence[float]
) -> list[ElementState]:
    """Evaluate recovery(state) and offset(state) of each element, see `parameters`."""
    linear = _linear(station, elements)
    straight: list[float] = (linear.usual + linear.slopes @ (np.array(row) - linear.default)).tolist()
    states = []
    for e, element in enumerate(elements):
        model = station.elements[element]
        tree_recovery = _capped(trees, model.recovery_tree, row, model.recovery_cap)
        tree_offset_pct = _capped(trees, model.offset_tree, row, model.offset_cap_pct)
        recovery = max(straight[2 * e] + tree_recovery, 0.0)
        states.append(
            ElementState(recovery, straight[2 * e + 1] + tree_offset_pct, tree_recovery, tree_offset_pct)
        )
    return states


class _Linear(NamedTuple):
    """Recovery and offset of the elements by turns (2e): usual + slopes @ (row - default)."""

    usual: NDArray[np.float64]
    slopes: NDArray[np.float64]
    default: NDArray[np.float64]


@lru_cache(maxsize=256)
def _linear(station: StationModel, elements: tuple[str, ...]) -> _Linear:
    models, names = [station.elements[element] for element in elements], [f.name for f in station.features]
    slopes = [
        [of.get(name, 0.0) for name in names]
        for model in models
        for of in (model.recovery_slopes, model.offset_slopes)
    ]
    return _Linear(
        np.array([number for model in models for number in (model.recovery, model.offset_pct)]),
        np.array(slopes, dtype=float).reshape(len(slopes), len(names)),
        np.array([feature.default for feature in station.features], dtype=float),
    )


@lru_cache(maxsize=1024)
def slopes_of(station: StationModel, model: ElementModel) -> list[tuple[int, float, Feature, float, float]]:
    """Return the features that an element depends on: column, default, and slopes of recovery and offset."""
    return [
        (
            i,
            feature.default,
            feature,
            model.recovery_slopes.get(name, 0.0),
            model.offset_slopes.get(name, 0.0),
        )
        for i, feature in enumerate(station.features)
        if (name := feature.name) in model.recovery_slopes or name in model.offset_slopes
    ]


def believed_mass_t(station: StationModel, heat: Heat) -> float:
    """Return the steel mass with the scale trusted only as far as it deserves."""
    mass = station.steel_mass_t
    return mass.nominal + mass.trust * (heat.steel_mass_t - mass.nominal)


def _capped(trees: Trees, name: str | None, row: Sequence[float], cap: float) -> float:
    if name is None:
        return 0.0
    return min(max(trees.predict(name, row), -cap), cap)
