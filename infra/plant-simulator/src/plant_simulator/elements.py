"""The elements the simulator follows: the last axis of every chemistry array, in this order."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

ELEMENTS = ("C", "Si", "Mn", "P", "S", "Cr", "Ni", "Mo", "Cu", "V", "Al", "Ti", "Nb", "N", "Sn", "Ca")
INDEX = {element: position for position, element in enumerate(ELEMENTS)}
AL = INDEX["Al"]


def vector(values: Mapping[str, float], default: float = 0.0) -> Floats:
    """One number per element, `default` where `values` names none."""
    return np.array([values.get(element, default) for element in ELEMENTS], dtype=np.float64)
