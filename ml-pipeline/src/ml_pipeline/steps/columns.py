"""Columns of prepared heats as numbers."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def column(heats: pl.DataFrame, name: str) -> Vector:
    """A column as floats; all nan where the heats don't have it."""
    if name not in heats.columns:
        return np.full(heats.height, np.nan)
    return heats[name].cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)
