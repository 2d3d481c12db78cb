"""From the lake to a trained bundle: what the first steps read and write in the work folder.

extract.json heats.parquet | valid.parquet refused.parquet | prepared/<station>.parquet
split.json holdout/<station>.parquet | search.json | bundle/ parameters.json training.json
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from model_service.bundle import write_bundle
from model_service.contracts import RecommendationRequest
from model_service.documents import pretty
from msgspec import to_builtins
from threadpoolctl import threadpool_limits

from ml_pipeline import registry
from ml_pipeline.errors import ExtractError
from ml_pipeline.requests import offers, recommendation_request
from ml_pipeline.steps.corrections import Growing
from ml_pipeline.steps.extract import complete_between, extract, keep, slices_of
from ml_pipeline.steps.prepare import prepare
from ml_pipeline.steps.split import KEY, choose_holdout
from ml_pipeline.steps.train import train
from ml_pipeline.steps.validate import usual_mass, validate
from ml_pipeline.work import (
    TEST_MOST_HEATS,
    Folders,
    instant,
    read_json,
    split_stations,
    write_json,
)

GOLDEN_HEATS = 3
SEARCHED = "search.json"
Tell = Callable[[str], None]


def run_extract(folders: Folders, tell: Tell) -> None:
    """Take the rows in force of a pinned version of the lake."""
    options = folders.options
    taken = extract(folders.lake, folders.artifacts, options.version, options.since, options.until)
    use_rows(folders, taken.data_sha256, taken.data_version)
    tell(f"extract: {taken.heats} heats of {taken.data_version}, sha256 {taken.data_sha256}")


def use_rows(folders: Folders, sha256: str, data_version: str) -> None:
    """Let the run go on from rows that are in the artifact store. Raises ExtractError where they are not."""
    path = folders.rows(sha256).resolve()
    if not path.is_file():
        raise ExtractError(f"{path} is missing: the rows of {data_version} are not in the artifact store")
    link = folders.work / "heats.parquet"
    link.unlink(missing_ok=True)
    link.symlink_to(path)
    write_json(
        folders.work / "extract.json",
        {"data_version": data_version, "data_sha256": sha256, "path": str(path)},
    )


def run_validate(folders: Folders, tell: Tell) -> None:
    """Put aside what nothing can be learnt from."""
    rows = folders.work / "heats.parquet"
    if not rows.exists():
        raise ExtractError(f"{rows} is missing; run `ml-pipeline extract` first")
    usual = usual_mass(pl.read_parquet(rows, columns=["plant_id", "station", "steel_mass_t"]))
    refused: list[pl.DataFrame] = []

    def valid() -> Iterator[pl.DataFrame]:
        for some in slices_of(rows):
            checked = validate(some, usual)
            refused.append(checked.refused)
            yield checked.heats

    count = _write_slices(valid(), folders.work / "valid.parquet")
    put_aside = pl.concat(refused)
    put_aside.write_parquet(folders.work / "refused.parquet")
    reasons = put_aside["what"].value_counts(sort=True)
    said = "; ".join(f"{n} x {what}" for what, n in reasons.iter_rows()) or "none"
    tell(f"validate: {count} heats to learn from, {put_aside.height} refused ({said})")


def run_prepare(folders: Folders, tell: Tell) -> None:
    """Widen the lists to one row of numbers per heat."""
    rows = folders.work / "valid.parquet"
    if not rows.exists():
        raise ExtractError(f"{rows} is missing; run `ml-pipeline validate` first")
    parts: dict[str, list[pl.DataFrame]] = {}
    for some in slices_of(rows):
        for station, heats in prepare(some).items():
            parts.setdefault(station, []).append(heats)
    folder = _empty(folders.work / "prepared")
    for station in sorted(parts):
        heats = pl.concat(parts.pop(station), how="diagonal")
        heats.write_parquet(folder / f"{station}.parquet")
        tell(f"prepare: {station}: {heats.height} heats, {heats.width} columns")


def run_split(folders: Folders, tell: Tell) -> None:
    """Keep the frozen holdout apart, and freeze one for each station that has none yet."""
    share = folders.options.test_fraction
    known = dict(
        registry.holdouts(folders.tracking_uri)
        if folders.options.holdout is None
        else folders.options.holdout
    )
    paths = sorted((folders.work / "prepared").glob("*.parquet"))
    if not paths:
        raise ExtractError(f"{folders.work}/prepared has no stations; run `ml-pipeline prepare` first")
    folder = _empty(folders.work / "holdout")
    used: dict[str, str] = {}
    for path in paths:
        station = path.stem
        if station not in known and folders.options.holdout is None:
            heats = pl.read_parquet(path, columns=[*KEY, "completed_at"])
            chosen = choose_holdout(heats, share, TEST_MOST_HEATS)
            if chosen is None:
                tell(f"split: {station}: too few heats to freeze a holdout")
                continue
            known[station] = _freeze(folders, station, chosen)
            tell(f"split: {station}: the holdout is frozen now, {known[station][:12]}")
        if station in known:
            used[station] = known[station]
            _prepared_holdout(folders, station, known[station]).write_parquet(folder / path.name)
    past, test = split_stations(folders.work, share)
    for station in past:
        tell(f"split: {station}: {past[station].height} heats to learn from, {test[station].height} to judge")
    write_json(
        folders.work / "split.json",
        {
            "test_fraction": share,
            "holdout": used,
            "heats": {s: {"past": past[s].height, "test": test[s].height} for s in past},
        },
    )


def run_search(folders: Folders, tell: Tell) -> None:
    """Search for the trees' hyper-parameters on the heats to learn from, where it is asked for."""
    trials = folders.options.trials
    if not trials:
        write_json(folders.work / SEARCHED, {"trials": 0, "told": {}})
        tell("search: not asked for (--trials N), trees grow as usual")
        return
    from ml_pipeline.steps.search import search

    past, _ = split_stations(folders.work)
    with threadpool_limits(limits=1):
        found = search(past, trials, folders.options.seed, folders.options.priors)
    write_json(folders.work / SEARCHED, {"trials": trials, "seed": folders.options.seed, **found._asdict()})
    usual, told = found.usual_error, ", ".join(f"{k} {v:.4g}" for k, v in found.told.items())
    better = f"{told}: error {found.error:.4f}, as usual {usual:.4f}" if told else f"usual ones, {usual:.4f}"
    tell(f"search: best of {trials} trials, beside no trees: {better}")


def run_train(folders: Folders, tell: Tell) -> None:
    """Train on the older heats and write the bundle."""
    seed, searched = folders.options.seed, folders.work / SEARCHED
    found = read_json(searched, "search") if searched.exists() else {}
    told = found.get("told", {})
    past, test = split_stations(folders.work)
    tell(
        f"train: {sum(h.height for h in past.values())} heats; the newest "
        f"{sum(h.height for h in test.values())} are kept back"
    )
    del test
    with threadpool_limits(limits=1):  # sums in one order: same heats, same bytes
        trained = train(past, seed, tell, folders.options.processes, told, folders.options.priors)
    requests = _golden_requests(folders, past, list(trained.parameters.stations))
    bundle_hash = write_bundle(_empty(folders.work / "bundle"), trained.parameters, trained.trees, requests)
    (folders.work / "parameters.json").write_bytes(pretty(trained.parameters))
    until = {
        name: heats["completed_at"].max()
        for name, heats in past.items()
        if name in trained.parameters.stations
    }
    training = {
        "bundle_hash": bundle_hash,
        "seed": seed,
        "lightgbm": Growing(seed, told).parameters,
        "trials": found.get("trials", 0),
        "priors": to_builtins(folders.options.priors or {}),
        "trained_until": {n: instant(m) for n, m in until.items()},
        "report": trained.report,
    }
    write_json(folders.work / "training.json", training)
    tell(f"train: bundle {bundle_hash}")


def _freeze(folders: Folders, station: str, chosen: pl.DataFrame) -> str:
    """Keep the chosen heats as the lake has them now, in the artifact store."""
    keys = chosen.drop("completed_at").lazy()
    rows = _valid(folders, station, chosen).join(keys, on=KEY, how="inner", maintain_order="left")
    frozen = rows.collect()
    return keep(frozen, folders.artifacts).stem


def _valid(folders: Folders, station: str, heats: pl.DataFrame) -> pl.LazyFrame:
    """The lake's rows of a station from the first to the last of `heats`."""
    first, last = heats["completed_at"].min(), heats["completed_at"].max()
    rows = complete_between(folders.work / "valid.parquet", first, last)  # type: ignore[arg-type]
    return rows.filter(pl.col("station") == station)


def _prepared_holdout(folders: Folders, station: str, sha256: str) -> pl.DataFrame:
    path = folders.rows(sha256)
    if not path.is_file():
        raise ExtractError(
            f"{path} is missing: the frozen holdout of {station} is not in the artifact store; restore it, "
            "no candidate can be compared without"
        )
    rows = pl.read_parquet(path)
    keys = rows.select(*KEY, "is_context")
    return prepare(rows.drop("is_context"))[station].join(keys, on=KEY, how="left", maintain_order="left")


def _golden_requests(
    folders: Folders, past: dict[str, pl.DataFrame], stations: list[str]
) -> list[RecommendationRequest]:
    """The newest training heats of each station that have windows and offers; else the newest: an abstention
    is a golden row too."""
    requests = []
    for station in stations:
        latest = past[station].tail(200)
        newest = latest.select("heat_uid", "treatment_no").reverse()
        valid = _valid(folders, station, latest)
        wanted = valid.join(newest.lazy(), on=["heat_uid", "treatment_no"], how="semi").collect()
        rows = newest.join(wanted, on=["heat_uid", "treatment_no"], maintain_order="left").to_dicts()
        askable = [row for row in rows if row["windows"] and offers(row)] or rows
        requests += [
            recommendation_request(row, rows[i + 1 : i + 6]) for i, row in enumerate(askable[:GOLDEN_HEATS])
        ]
    return requests


def _write_slices(slices: Iterable[pl.DataFrame], path: Path) -> int:
    """Write a Parquet file slice by slice; return its rows."""
    count, writer = 0, None
    try:
        for some in slices:
            arrow = some.to_arrow()
            if writer is None:
                writer = pq.ParquetWriter(path, arrow.schema, compression="zstd")
            writer.write_table(arrow.cast(writer.schema))
            count += some.height
    finally:
        if writer is not None:
            writer.close()
    return count


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
