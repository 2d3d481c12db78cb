"""The registry: MLflow on SQLite, reached without a server. Aliases, not stages: `candidate`, `champion`."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import mlflow
from mlflow.exceptions import MlflowException

# What it logs on creating tables and resolving its environment tells a person nothing.
for _name in ("mlflow", "alembic"):
    logging.getLogger(_name).setLevel(logging.ERROR)

SERVED_MODEL = Path(__file__).with_name("served_model.py")
MODEL = "steel-additives"
EXPERIMENT = "steel-additives"
CANDIDATE, CHAMPION = "candidate", "champion"


class Registered(NamedTuple):
    """A version of the registered model; `was_champion`: it was there already, nothing new was registered."""

    version: str
    run_id: str
    bundle_hash: str
    tags: dict[str, str]
    was_champion: bool = False


def registered(uri: str, alias: str) -> Registered | None:
    """The version that an alias names, or None."""
    try:
        found = _client(uri).get_model_version_by_alias(MODEL, alias)
    except MlflowException:
        return None
    tags = dict(found.tags)
    return Registered(str(found.version), str(found.run_id), tags.get("bundle_hash", ""), tags)


def bundle_folder(uri: str, version: str, into: Path) -> Path:
    """Fetch the bundle of a registered version and return its folder."""
    mlflow.set_tracking_uri(uri)
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{MODEL}/{version}", dst_path=str(into)))
    return next(folder.glob("**/manifest.json")).parent


def register(
    uri: str,
    artifacts: Path,
    bundle: Path,
    *,
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    files: Sequence[Path],
) -> Registered:
    """Log a run with its model and register it under the alias `candidate`.

    Where the champion already is this very bundle, nothing new is registered and the champion is returned.
    """
    champion = registered(uri, CHAMPION)
    if champion is not None and champion.bundle_hash == tags["bundle_hash"]:
        return champion._replace(was_champion=True)
    client = _client(uri)
    if client.get_experiment_by_name(EXPERIMENT) is None:
        store = (artifacts / "mlflow").resolve()
        store.mkdir(parents=True, exist_ok=True)
        client.create_experiment(EXPERIMENT, artifact_location=store.as_uri())
    mlflow.set_experiment(EXPERIMENT)
    with mlflow.start_run() as run:
        mlflow.log_params(dict(params))
        mlflow.log_metrics(dict(metrics))
        mlflow.set_tags(dict(tags))
        for file in files:
            mlflow.log_artifact(str(file))
        with warnings.catch_warnings(record=True):  # it misses type hints, see there; filters it overrides
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(SERVED_MODEL),
                artifacts={"bundle": str(bundle)},
                pip_requirements=["mlflow", "model-service"],
            )
    version = mlflow.register_model(logged.model_uri, MODEL, tags=dict(tags))
    client.set_registered_model_alias(MODEL, CANDIDATE, version.version)
    return Registered(str(version.version), run.info.run_id, tags["bundle_hash"], dict(tags))


def promote(uri: str, version: str) -> None:
    """Make a version the champion."""
    _client(uri).set_registered_model_alias(MODEL, CHAMPION, version)


def _client(uri: str) -> "mlflow.MlflowClient":
    mlflow.set_tracking_uri(uri)
    return mlflow.MlflowClient(tracking_uri=uri)
