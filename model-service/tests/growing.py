"""Grow small LightGBM models through the C library: tests need their text, nothing here trains."""

import ctypes

import numpy as np

from model_service.trees import open_library

_PARAMETERS = b"objective=regression verbosity=-1 num_threads=1 deterministic=true seed=1 min_data_in_leaf=5"


def grow(rows: np.ndarray, targets: np.ndarray, rounds: int = 20, leaves: int = 7) -> str:
    """Return the text of a booster fitted to `targets` (n,) by `rows` (n, columns)."""
    library = open_library()
    data = np.ascontiguousarray(rows, dtype=np.float64)
    labels = np.ascontiguousarray(targets, dtype=np.float32)
    dataset, booster = ctypes.c_void_p(), ctypes.c_void_p()
    n, columns = data.shape
    settings = _PARAMETERS + f" num_leaves={leaves}".encode()
    _ok(
        library.LGBM_DatasetCreateFromMat(
            data.ctypes.data_as(ctypes.c_void_p), 1, n, columns, 1, settings, None, ctypes.byref(dataset)
        )
    )
    _ok(library.LGBM_DatasetSetField(dataset, b"label", labels.ctypes.data_as(ctypes.c_void_p), n, 0))
    _ok(library.LGBM_BoosterCreate(dataset, settings, ctypes.byref(booster)))
    finished = ctypes.c_int()
    for _ in range(rounds):
        _ok(library.LGBM_BoosterUpdateOneIter(booster, ctypes.byref(finished)))
    length, size = ctypes.c_int64(), 1 << 22
    text = ctypes.create_string_buffer(size)
    _ok(
        library.LGBM_BoosterSaveModelToString(
            booster, 0, -1, 0, ctypes.c_int64(size), ctypes.byref(length), text
        )
    )
    assert length.value <= size
    library.LGBM_BoosterFree(booster)
    library.LGBM_DatasetFree(dataset)
    return text.value.decode()


def _ok(code: int) -> None:
    assert code == 0, open_library().LGBM_GetLastError()
