"""Files of the work folder: what one step leaves for the next."""

from datetime import UTC
from pathlib import Path
from typing import Any

import orjson
import polars as pl
from model_service.bundle import load_bundle
from model_service.parameters import Parameters

from ml_pipeline.errors import ExtractError
from ml_pipeline.steps.split import split_by_time

TEST_FRACTION = 0.2
Stations = dict[str, pl.DataFrame]


def split_stations(work: Path) -> tuple[dict[str, pl.DataFrame], dict[str, pl.DataFrame]]:
    """Older and newest heats of each station."""
    paths = sorted((work / "prepared").glob("*.parquet"))
    if not paths:
        raise ExtractError(f"{work}/prepared has no stations; run `ml-pipeline prepare` first")
    splits = {path.stem: split_by_time(pl.read_parquet(path), TEST_FRACTION) for path in paths}
    return {n: s.train for n, s in splits.items()}, {n: s.test for n, s in splits.items()}


def read_model(folder: Path) -> tuple[Parameters, dict[str, str]]:
    """Parameters and trees of a bundle that `train` wrote; raises ExtractError where there is none."""
    if not (folder / "model.json").exists():
        raise ExtractError(f"{folder} holds no bundle; run `ml-pipeline train` first")
    bundle = load_bundle(folder)
    return bundle.parameters, bundle.trees.texts


def instant(moment: Any) -> str:
    """A datetime as the contracts write it."""
    return str(moment.astimezone(UTC).isoformat().replace("+00:00", "Z"))


def write_json(path: Path, document: object) -> None:
    """Keys in order, so that two runs can be compared."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    )


def read_json(path: Path, step: str) -> Any:
    """What `step` wrote; raises ExtractError that names the step where it has not run."""
    if not path.exists():
        raise ExtractError(f"{path} is missing; run `ml-pipeline {step}` first")
    return orjson.loads(path.read_bytes())


def read_parquet(path: Path, step: str) -> pl.DataFrame:
    if not path.exists():
        raise ExtractError(f"{path} is missing; run `ml-pipeline {step}` first")
    return pl.read_parquet(path)
