"""One made-up plant, imported and taken through the whole pipeline once for all tests that only look."""

import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import extracts

from ml_pipeline import pipeline, registry
from ml_pipeline.importing.extract_import import Imported, read_extract, write_import
from ml_pipeline.importing.mapping import load_mapping
from ml_pipeline.pipeline import Folders, Options
from ml_pipeline.provenance import Code

COMMITTED = Code(commit="c" * 40, changed=[], lock_sha256="d" * 64)
"""Code as it is in a clean checkout, so that tests don't depend on what is being edited."""


class Plant(NamedTuple):
    extract: Path
    mapping: Path
    lake: Path
    imported: Imported


@pytest.fixture(scope="session")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """900 heats of a made-up plant, in its lake."""
    folder = tmp_path_factory.mktemp("plant")
    mapping = extracts.write(folder / "extract", extracts.heats(900))
    imported = read_extract(folder / "extract", load_mapping(mapping))
    write_import(folder / "lake", imported)
    return Plant(folder / "extract", mapping, folder / "lake", imported)


@pytest.fixture(scope="session")
def released(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Folders of a pipeline that has released its first model."""
    folders = make_folders(tmp_path_factory.mktemp("pipeline"), plant.lake)
    pipeline.run(folders, lambda _: None)
    return folders


def make_folders(root: Path, lake: Path) -> Folders:
    for name in ("work", "artifacts"):
        (root / name).mkdir(parents=True)
    (root / "mlflow.db").write_bytes(_empty_registry())
    uri = f"sqlite:///{root / 'mlflow.db'}"
    options = Options(code=COMMITTED, who="tests")
    return Folders(lake, root / "work", root / "artifacts", root / "models", uri, options)


def heated(heats: pl.DataFrame, *, with_chill: bool = True) -> pl.DataFrame:
    """Heats that lose 60 C, are steered half-way back to 1640 C, and are chilled 0.9 times as master data
    says."""
    rng = np.random.default_rng(3)
    before, chill = rng.normal(1640, 12, heats.height), rng.normal(-40.0, 10.0, heats.height)
    after = before - 60 - 0.5 * (before - 1640) + 0.9 * chill + rng.normal(0, 3, heats.height)
    after[::40] = 1450.0
    return heats.with_columns(
        pl.Series("f.temperature_c", before),
        pl.Series("temperature_after_c", after),
        pl.Series(
            "chill_c_t",
            chill * heats["steel_mass_t"].to_numpy() if with_chill else [None] * heats.height,
            dtype=pl.Float64,
        ),
    )


@cache
def _empty_registry() -> bytes:
    """MLflow takes seconds to lay out a database: once for all tests."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        registry.holdouts(f"sqlite:///{path}")
        return path.read_bytes()
