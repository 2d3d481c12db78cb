"""LightGBM's trees through its C library: no `import lightgbm`, hence no SciPy and no training code.

The single-row fast path gives the bits that Booster.predict gives. A handle may be shared by threads, each
call bringing its own buffers.
"""

import ctypes
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from model_service.errors import TreesUnavailable

_FLOAT64 = 1
_NORMAL = 0


class Trees:
    """Boosters by name, loaded from their text."""

    def __init__(self, texts: Mapping[str, str], features_of: Mapping[str, int]) -> None:
        """`features_of` says how many columns each tree must have.

        Raises TreesUnavailable where the library is missing, or a text is no model or has other columns.
        """
        self.texts = dict(texts)
        self._boosters = {
            name: _Booster(name, text, features_of[name]) for name, text in sorted(texts.items())
        }

    def predict(self, name: str, row: Sequence[float]) -> float:
        """Return the raw prediction for one row of features."""
        return self._boosters[name].predict(row)


class _Booster:
    def __init__(self, name: str, text: str, features: int) -> None:
        library = open_library()
        self._booster = ctypes.c_void_p()
        self._fast = ctypes.c_void_p()
        self._row_type = ctypes.c_double * features
        found, iterations = ctypes.c_int(), ctypes.c_int()
        _check(
            name,
            library.LGBM_BoosterLoadModelFromString(
                text.encode(), ctypes.byref(iterations), ctypes.byref(self._booster)
            ),
        )
        _check(name, library.LGBM_BoosterGetNumFeature(self._booster, ctypes.byref(found)))
        if found.value != features:
            raise TreesUnavailable(f"tree {name} has {found.value} features, the station has {features}")
        _check(
            name,
            library.LGBM_BoosterPredictForMatSingleRowFastInit(
                self._booster,
                ctypes.c_int(_NORMAL),
                ctypes.c_int(0),
                ctypes.c_int(-1),
                ctypes.c_int(_FLOAT64),
                ctypes.c_int32(features),
                b"num_threads=1",
                ctypes.byref(self._fast),
            ),
        )
        self._name = name
        self._call = library.LGBM_BoosterPredictForMatSingleRowFast

    def predict(self, row: Sequence[float]) -> float:
        result, length = ctypes.c_double(), ctypes.c_int64()
        _check(
            self._name,
            self._call(self._fast, self._row_type(*row), ctypes.byref(length), ctypes.byref(result)),
        )
        return result.value

    def __del__(self) -> None:
        library = open_library()
        if self._fast:
            library.LGBM_FastConfigFree(self._fast)
        if self._booster:
            library.LGBM_BoosterFree(self._booster)


@cache
def open_library() -> ctypes.CDLL:
    spec = find_spec("lightgbm")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
    for folder in folders:
        for path in sorted(folder.glob("lib/lib_lightgbm.*")) + sorted(folder.glob("lib_lightgbm.*")):
            try:
                library = ctypes.CDLL(str(path))
            except OSError as error:
                hint = "LightGBM needs the OpenMP runtime, on Debian: libgomp1"
                raise TreesUnavailable(f"{path.name} does not load ({error}); {hint}") from None
            library.LGBM_GetLastError.restype = ctypes.c_char_p
            return library
    raise TreesUnavailable("LightGBM's library is not installed; the package `lightgbm` brings it")


def _check(name: str, code: int) -> None:
    if code != 0:
        reason = open_library().LGBM_GetLastError().decode(errors="replace")
        raise TreesUnavailable(f"tree {name}: {reason}")
