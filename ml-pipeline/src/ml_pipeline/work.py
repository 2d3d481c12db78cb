"""The work folder: what one step leaves for the next, and what the steps of a run are told."""

from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import polars as pl
from model_service.bundle import load_bundle
from model_service.parameters import Parameters

from ml_pipeline.errors import ExtractError
from ml_pipeline.lake import Lake
from ml_pipeline.provenance import Code
from ml_pipeline.steps.priors import OwnPriors
from ml_pipeline.steps.split import KEY, split_by_time, without

TEST_FRACTION, TEST_MOST_HEATS = 0.2, 50_000
"""Of a station's heats, the newest, that are judged and never learnt from."""
SEED = 20260101
Stations = dict[str, pl.DataFrame]


class Options(NamedTuple):
    """What a run is told. `holdout`: station to SHA-256 of its frozen rows; None: as the registry has it.

    `since` and `until` bound the heats by when they were complete, UTC instants. `code` is what is recorded
    as the code, None: as it stands here. `trials`: of a search for hyper-parameters; 0: none. `policy` is a
    simulator's verdict to show beside the evaluation. `test_fraction` is the share of the newest heats, which
    nothing is learnt from; `priors` the plant's own.
    """

    version: int | None = None
    since: str | None = None
    until: str | None = None
    seed: int = SEED
    trials: int = 0
    test_fraction: float = TEST_FRACTION
    priors: OwnPriors | None = None
    processes: int = 1
    holdout: Mapping[str, str] | None = None
    code: Code | None = None
    who: str = ""
    trial: bool = False
    promote: bool = False
    policy: Path | None = None
    image: str = "never"
    image_name: str = "steel-additives"
    base_image: str = ""


class Folders(NamedTuple):
    """Where the pipeline works; `tracking_uri` is MLflow's."""

    lake: Lake
    work: Path
    artifacts: Path
    models: Path
    tracking_uri: str
    options: Options = Options()

    @property
    def ledger(self) -> Path:
        return self.artifacts / "ledger.jsonl"

    def rows(self, sha256: str) -> Path:
        """The file of content-addressed rows."""
        return self.artifacts / "data" / f"{sha256}.parquet"


class Holdout(NamedTuple):
    """A station's frozen heats, and those before them."""

    context: pl.DataFrame
    heats: pl.DataFrame


def split_stations(work: Path, test_fraction: float | None = None) -> tuple[Stations, Stations]:
    """Older and newest heats of each station, without the frozen holdout; the share as `split` wrote it."""
    paths = sorted((work / "prepared").glob("*.parquet"))
    if not paths:
        raise ExtractError(f"{work}/prepared has no stations; run `ml-pipeline prepare` first")
    share = test_fraction or read_json(work / "split.json", "split")["test_fraction"]
    frozen = holdouts(work)
    past, test = Stations(), Stations()
    for path in paths:
        # Rows are chosen by their keys first: a million heats take gigabytes each time they are copied.
        keys = pl.read_parquet(path, columns=[*KEY, "completed_at"]).with_row_index("row")
        if path.stem in frozen:
            keys = without(keys, frozen[path.stem].heats)
        chosen, heats = split_by_time(keys, share, TEST_MOST_HEATS), pl.read_parquet(path)
        past[path.stem], test[path.stem] = heats[chosen.train["row"]], heats[chosen.test["row"]]
    return past, test


def holdouts(work: Path) -> dict[str, Holdout]:
    """The frozen holdout of each station that has one."""
    found = {}
    for path in sorted((work / "holdout").glob("*.parquet")):
        rows = pl.read_parquet(path)
        found[path.stem] = Holdout(
            rows.filter("is_context").drop("is_context"),
            rows.filter(~pl.col("is_context")).drop("is_context"),
        )
    return found


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
