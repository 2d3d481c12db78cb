"""The pipeline's steps in their order, each reading and writing files in the work folder.

extract.json valid.parquet refused.parquet prepared/<station>.parquet bundle/ training.json
evaluation.json report/ gate.json registration.json
"""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl
from model_service.bundle import load_bundle, write_bundle
from model_service.contracts import RecommendationRequest
from model_service.documents import pretty
from model_service.errors import ModelServiceError
from model_service.golden import differences
from model_service.manifest import Golden, Release
from model_service.priors import prior_parameters
from threadpoolctl import threadpool_limits

from ml_pipeline.errors import GateError
from ml_pipeline.provenance import provenance
from ml_pipeline.requests import offers, recommendation_request
from ml_pipeline.steps import gate as gate_step
from ml_pipeline.steps import report
from ml_pipeline.steps.evaluate import ElementMetrics, Evaluation, evaluate, flat_metrics
from ml_pipeline.steps.extract import extract
from ml_pipeline.steps.prepare import prepare
from ml_pipeline.steps.train import train
from ml_pipeline.steps.validate import validate
from ml_pipeline.work import (
    TEST_FRACTION,
    instant,
    read_json,
    read_model,
    read_parquet,
    split_stations,
    write_json,
)

SEED = 20260101
GOLDEN_HEATS = 3


class Folders(NamedTuple):
    """Where the pipeline works; `tracking_uri` is MLflow's."""

    lake: Path
    work: Path
    artifacts: Path
    models: Path
    tracking_uri: str


Tell = Callable[[str], None]


def run_extract(folders: Folders, tell: Tell, version: int | None = None) -> None:
    """Take the rows in force of a pinned version of the lake."""
    taken = extract(folders.lake, folders.artifacts, version)
    write_json(
        folders.work / "extract.json",
        {
            "data_version": taken.data_version,
            "data_sha256": taken.data_sha256,
            "path": str(taken.path.resolve()),
        },
    )
    tell(f"extract: {taken.heats.height} heats of {taken.data_version}, sha256 {taken.data_sha256}")


def run_validate(folders: Folders, tell: Tell) -> None:
    """Put aside what nothing can be learnt from."""
    taken = pl.read_parquet(read_json(folders.work / "extract.json", "extract")["path"])
    checked = validate(taken)
    checked.heats.write_parquet(folders.work / "valid.parquet")
    checked.refused.write_parquet(folders.work / "refused.parquet")
    reasons = checked.refused["what"].value_counts(sort=True)
    said = "; ".join(f"{n} x {what}" for what, n in reasons.iter_rows()) or "none"
    tell(f"validate: {checked.heats.height} heats to learn from, {checked.refused.height} refused ({said})")


def run_prepare(folders: Folders, tell: Tell) -> None:
    """Widen the lists to one row of numbers per heat."""
    prepared = prepare(read_parquet(folders.work / "valid.parquet", "validate"))
    shutil.rmtree(folders.work / "prepared", ignore_errors=True)
    (folders.work / "prepared").mkdir(parents=True)
    for station, heats in prepared.items():
        heats.write_parquet(folders.work / "prepared" / f"{station}.parquet")
        tell(f"prepare: {station}: {heats.height} heats, {heats.width} columns")


def run_train(folders: Folders, tell: Tell, seed: int = SEED) -> None:
    """Train on the older heats and write the bundle."""
    past, test = split_stations(folders.work)
    tell(
        f"train: {sum(h.height for h in past.values())} heats; the newest "
        f"{sum(h.height for h in test.values())} are kept back"
    )
    with threadpool_limits(limits=1):  # sums in one order: same heats, same bytes
        trained = train(past, seed, tell)
    shutil.rmtree(folders.work / "bundle", ignore_errors=True)
    requests = _golden_requests(folders, past, list(trained.parameters.stations))
    bundle_hash = write_bundle(folders.work / "bundle", trained.parameters, trained.trees, requests)
    (folders.work / "parameters.json").write_bytes(pretty(trained.parameters))
    until = {
        name: heats["completed_at"].max()
        for name, heats in past.items()
        if name in trained.parameters.stations
    }
    training = {
        "bundle_hash": bundle_hash,
        "seed": seed,
        "trained_until": {n: instant(m) for n, m in until.items()},
        "report": trained.report,
    }
    write_json(folders.work / "training.json", training)
    tell(f"train: bundle {bundle_hash}")


def run_evaluate(folders: Folders, tell: Tell, policy: Path | None = None) -> Evaluation:
    """Judge the trained model on the heats that were kept back; `policy` is a simulator's verdict to show
    beside it (rows of the policy bench)."""
    from ml_pipeline.steps.plots import plot  # matplotlib is slow to load, and only this step wants it

    parameters, trees = read_model(folders.work / "bundle")
    past, test = split_stations(folders.work)
    rows = read_parquet(folders.work / "valid.parquet", "validate")
    found = evaluate(parameters, trees, past, test, rows)
    judged = read_json(policy, "evaluate --policy FILE") if policy else None
    shutil.rmtree(folders.work / "report", ignore_errors=True)
    plots = plot(found, folders.work / "report", judged)
    (folders.work / "report" / "README.md").write_text(report.markdown(found, judged), encoding="utf-8")
    write_json(folders.work / "report" / "report.json", report.document(found, judged))
    write_json(
        folders.work / "evaluation.json",
        {s: {e: m._asdict() for e, m in of.items()} for s, of in found.metrics.items()},
    )
    table = report.metrics_table(found.metrics)
    tell(f"evaluate: on the newest {TEST_FRACTION:.0%} of the heats, wt %\n{table}")
    tell(f"evaluate: report in {folders.work / 'report'}, with {', '.join(p.name for p in plots)}")
    return found


def run_gate(folders: Folders, tell: Tell) -> None:
    """Compare with the champion, or with the cold start. Raises GateError where the candidate is not good
    enough."""
    from ml_pipeline import registry

    training = read_json(folders.work / "training.json", "train")
    candidate = gate_step.Model("the candidate", *read_model(folders.work / "bundle"))
    past, test = split_stations(folders.work)
    champion = registry.registered(folders.tracking_uri, registry.CHAMPION)
    other = gate_step.Model("the cold start", prior_parameters(), {})
    if champion is not None:
        fetched = registry.bundle_folder(folders.tracking_uri, champion.version, folders.work / "champion")
        other = gate_step.Model(f"champion {champion.version}", *read_model(fetched))
        past, test = _unseen_by(champion.tags, past, test)
    metrics = evaluate(candidate.parameters, candidate.trees, past, test).metrics
    verdict = gate_step.judge(
        candidate, other, past, test, metrics, golden_differences(folders.work / "bundle"), SEED
    )
    write_json(
        folders.work / "gate.json",
        {
            "bundle_hash": training["bundle_hash"],
            "passed": verdict.passed,
            "reasons": verdict.reasons,
            "against": other.name,
            "figures": verdict.figures,
        },
    )
    if not verdict.passed:
        raise GateError(
            "\n".join(
                [
                    f"gate: the candidate is refused (against {other.name})",
                    *(f"  {reason}" for reason in verdict.reasons),
                ]
            )
        )
    errors = ", ".join(
        f"{k.split('.')[0]} {v:+.1%}" for k, v in verdict.figures.items() if k.endswith("minus_1")
    )
    tell(f"gate: passed against {other.name}; standardised error {errors}")


def run_register(folders: Folders, tell: Tell) -> None:
    """Register the candidate in MLflow. Raises GateError where this very bundle has not passed the gate."""
    from ml_pipeline import registry

    training, gated = (
        read_json(folders.work / "training.json", "train"),
        read_json(folders.work / "gate.json", "gate"),
    )
    if not gated["passed"] or gated["bundle_hash"] != training["bundle_hash"]:
        raise GateError(
            f"register: bundle {training['bundle_hash'][:12]} has not passed the gate; run "
            "`ml-pipeline gate` first"
        )
    taken, made = read_json(folders.work / "extract.json", "extract"), provenance()
    metrics = flat_metrics(
        {
            s: {e: ElementMetrics(**m) for e, m in of.items()}
            for s, of in read_json(folders.work / "evaluation.json", "evaluate").items()
        }
    )
    tags = {
        "bundle_hash": training["bundle_hash"],
        "data_version": taken["data_version"],
        "data_sha256": taken["data_sha256"],
        "code_commit": str(made.code_commit),
        "code_dirty": str(made.code_dirty),
        "lock_sha256": str(made.lock_sha256),
        **{f"trained_until.{station}": until for station, until in training["trained_until"].items()},
    }
    found = registry.register(
        folders.tracking_uri,
        folders.artifacts,
        folders.work / "bundle",
        params={
            "seed": str(training["seed"]),
            "test_fraction": str(TEST_FRACTION),
            "threads": "1",
            "against": gated["against"],
        },
        metrics={**metrics, **gated["figures"]},
        tags=tags,
        files=[folders.work / n for n in ("evaluation.json", "training.json", "gate.json", "extract.json")]
        + sorted((folders.work / "report").iterdir()),
    )
    again = " (the champion already is this very bundle)" if found.was_champion else ""
    write_json(
        folders.work / "registration.json",
        {
            "version": found.version,
            "run_id": found.run_id,
            "bundle_hash": found.bundle_hash,
            "tags": tags,
            "metrics": metrics,
        },
    )
    tell(f"register: {registry.MODEL} version {found.version}{again}, run {found.run_id}")


def run_package(folders: Folders, tell: Tell) -> Path:
    """Release the registered bundle as champion. The Model Image is built from it in a step of its own."""
    from ml_pipeline import registry
    from ml_pipeline.release import release

    found = read_json(folders.work / "registration.json", "register")
    tags = found["tags"]
    sidecar = Release(
        version=found["version"],
        run_id=found["run_id"],
        created_at=instant(datetime.now(UTC).replace(microsecond=0)),
        code_commit=None if tags["code_commit"] == "None" else tags["code_commit"],
        code_dirty={"True": True, "False": False}.get(tags["code_dirty"]),
        data_version=tags["data_version"],
        data_sha256=tags["data_sha256"],
        bundle_hash=found["bundle_hash"],
        metrics=found["metrics"],
    )
    folder = release(folders.work / "bundle", folders.models, sidecar)
    registry.promote(folders.tracking_uri, found["version"])
    tell(f"package: bundle released in {folder}, {folders.models / 'champion'} points to it")
    tell("package: the bundle is released; a Model Image is not built by this command yet")
    return folder


STEPS: dict[str, Callable[[Folders, Tell], object]] = {
    "extract": run_extract,
    "validate": run_validate,
    "prepare": run_prepare,
    "train": run_train,
    "evaluate": run_evaluate,
    "gate": run_gate,
    "register": run_register,
    "package": run_package,
}


def _unseen_by(
    tags: dict[str, str], past: dict[str, pl.DataFrame], test: dict[str, pl.DataFrame]
) -> tuple[dict[str, pl.DataFrame], dict[str, pl.DataFrame]]:
    """Move test heats that the champion was trained on to the past."""
    moved_past, moved_test = dict(past), dict(test)
    for station, heats in test.items():
        until = tags.get(f"trained_until.{station}")
        if until is None:
            continue
        known = pl.col("completed_at") <= datetime.fromisoformat(until)
        moved_past[station] = pl.concat([past[station], heats.filter(known)], how="diagonal")
        moved_test[station] = heats.filter(~known)
    return moved_past, moved_test


def _golden_requests(
    folders: Folders, past: dict[str, pl.DataFrame], stations: list[str]
) -> list[RecommendationRequest]:
    """The newest training heats of each station that have windows and offers; else the newest: an abstention
    is a golden row too."""
    valid = read_parquet(folders.work / "valid.parquet", "validate")
    requests = []
    for station in stations:
        newest = past[station].select("heat_uid", "treatment_no").tail(200).reverse()
        rows = newest.join(
            valid.filter(pl.col("station") == station), on=["heat_uid", "treatment_no"], maintain_order="left"
        ).to_dicts()
        askable = [row for row in rows if row["windows"] and offers(row)] or rows
        requests += [
            recommendation_request(row, rows[i + 1 : i + 6]) for i, row in enumerate(askable[:GOLDEN_HEATS])
        ]
    return requests


def golden_differences(folder: Path) -> list[str]:
    try:
        bundle = load_bundle(folder)
    except ModelServiceError as error:
        return [error.detail]
    golden = msgspec.json.decode((folder / "golden.json").read_bytes(), type=Golden)
    return list(differences(bundle, golden))
