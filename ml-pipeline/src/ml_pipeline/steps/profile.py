"""How the training heats are distributed, so that a later training can say what has drifted since."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from model_service.parameters import Parameters
from numpy.typing import NDArray

from ml_pipeline.steps.columns import column
from ml_pipeline.steps.outcome import measured

BINS = 10
MIN_HEATS = 50
DRIFTED = 0.2
"""Population stability index from which a shift is usually called one (below .1: none)."""
EMPTY = 1e-3

Profile = dict[str, Any]
"""Station -> feature or added element -> {"edges": BINS - 1 quantiles, "shares": BINS shares, "heats"}."""


def profile(parameters: Parameters, past: Mapping[str, pl.DataFrame]) -> Profile:
    """Quantile bins of every feature, and of every element's added kilograms per tonne."""
    found: Profile = {}
    for station, model in parameters.stations.items():
        heats = past[station]
        names = {f.name: column(heats, f"f.{f.name}") for f in model.features}
        mass = column(heats, "steel_mass_t")
        names |= {f"{e} added, kg/t": column(heats, f"added_kg.{e}") / mass for e in sorted(model.elements)}
        names = {name: measured(values) for name, values in names.items()}
        found[station] = {
            name: _bins(values)
            for name, values in names.items()
            if len(values) >= MIN_HEATS and values.min() < values.max()
        }
    return found


def drift(before: Profile | None, now: Profile) -> dict[str, dict[str, float]]:
    """Population stability index of each station's columns against an earlier profile: 0 is the same,
    `DRIFTED` a shift. Columns that only one of them has are left out; no earlier profile, nothing."""
    if before is None:
        return {}
    return {
        station: {
            name: _index(before[station][name], columns[name])
            for name in columns
            if name in before.get(station, {})
        }
        for station, columns in now.items()
    }


def _bins(values: NDArray[np.float64]) -> dict[str, Any]:
    edges = np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1])
    grid = np.quantile(values, np.linspace(0, 1, 101))
    return {
        "edges": edges.tolist(),
        "shares": _shares(values, edges).tolist(),
        "quantiles": grid.tolist(),
        "heats": len(values),
    }


def _index(before: Mapping[str, Any], now: Mapping[str, Any]) -> float:
    """PSI over the earlier edges; what there is now is known by its hundred quantiles."""
    expected = np.maximum(np.array(before["shares"]), EMPTY)
    shares = np.maximum(_shares(np.array(now["quantiles"]), np.array(before["edges"])), EMPTY)
    return float(np.sum((shares - expected) * np.log(shares / expected)))


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return counts / len(values)
