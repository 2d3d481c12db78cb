"""What a heat's state makes of a station's model: its features, and each element's recovery and offset."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

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


def element_state(
    station: StationModel, model: ElementModel, trees: Trees, row: Sequence[float]
) -> ElementState:
    """Evaluate recovery(state) and offset(state), see `parameters`."""
    tree_recovery = _capped(trees, model.recovery_tree, row, model.recovery_cap)
    tree_offset_pct = _capped(trees, model.offset_tree, row, model.offset_cap_pct)
    recovery = model.recovery + tree_recovery
    offset_pct = model.offset_pct + tree_offset_pct
    for i, default, _, recovery_slope, offset_slope in slopes_of(station, model):
        recovery += recovery_slope * (row[i] - default)
        offset_pct += offset_slope * (row[i] - default)
    return ElementState(max(recovery, 0.0), offset_pct, tree_recovery, tree_offset_pct)


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
