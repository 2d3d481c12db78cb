"""Trees through LightGBM's C library."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from growing import grow

from model_service.errors import TreesUnavailable
from model_service.trees import Trees


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(3).uniform(-1, 1, (400, 3))


@pytest.fixture(scope="module")
def text(rows: np.ndarray) -> str:
    return grow(rows, np.where(rows[:, 0] > 0, 1.0, -1.0) + 0.1 * rows[:, 1], rounds=50)


def test_trees_answer_what_they_were_grown_on(rows: np.ndarray, text: str) -> None:
    trees = Trees({"t": text}, {"t": 3})

    assert trees.predict("t", [0.5, 0.0, 0.0]) == pytest.approx(1.0, abs=0.2)
    assert trees.predict("t", [-0.5, 0.0, 0.0]) == pytest.approx(-1.0, abs=0.2)


def test_threads_share_trees_and_get_the_same_bits(rows: np.ndarray, text: str) -> None:
    trees = Trees({"t": text}, {"t": 3})
    alone = [trees.predict("t", row) for row in rows]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda row: trees.predict("t", row), np.tile(rows, (10, 1))))

    assert together == alone * 10


def test_other_columns_are_refused(text: str) -> None:
    with pytest.raises(TreesUnavailable, match="has 3 features, the station has 2"):
        Trees({"t": text}, {"t": 2})


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(TreesUnavailable, match="tree t"):
        Trees({"t": "tree\nnonsense"}, {"t": 2})


def test_lightgbm_and_scipy_are_not_imported(text: str) -> None:
    Trees({"t": text}, {"t": 3}).predict("t", [0.0, 0.0, 0.0])

    assert "lightgbm" not in sys.modules
    assert "scipy" not in sys.modules
