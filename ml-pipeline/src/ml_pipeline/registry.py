"""The registry: MLflow, reached without a server where its address is a database.

Aliases, not stages: `candidate` has passed the gate, `challenger` is packaged and may run as shadow,
`champion` is live.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

# A registry that is down is to be said soon, not after minutes of trying.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
import polars as pl
from mlflow.exceptions import MlflowException
from requests import RequestException
from sqlalchemy.exc import SQLAlchemyError

from ml_pipeline.errors import RegistryError

# What it logs on creating tables and resolving its environment tells a person nothing.
for _name in ("mlflow", "alembic"):
    logging.getLogger(_name).setLevel(logging.ERROR)

SERVED_MODEL = Path(__file__).with_name("served_model.py")
MODEL = "steel-additives"
EXPERIMENT = "steel-additives"
CANDIDATE, CHALLENGER, CHAMPION = ALIASES = ("candidate", "challenger", "champion")
SHADOW = "shadow"
"""A link only: what stands behind the shadow address, a challenger or the champion before."""
FOLDERS = ("report", "card")
"""Of files that are logged in a folder of their own."""
HOLDOUT = "holdout."
NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow answers for a model, version or alias that is not there; anything else is a fault."""


class Registered(NamedTuple):
    """A version of the registered model; `again`: it was there already, nothing new was registered."""

    version: str
    run_id: str
    bundle_hash: str
    tags: dict[str, str]
    again: bool = False


def registered(uri: str, name: str) -> Registered | None:
    """The version that an alias names, or that has this number; None where there is none."""
    with _reached(uri) as client:
        try:
            if name in ALIASES:
                return _read(client.get_model_version_by_alias(MODEL, name))
            return _read(client.get_model_version(MODEL, name))
        except MlflowException as error:
            if error.error_code in NOT_THERE:
                return None
            raise


def of_bundle(uri: str, bundle_hash: str) -> Registered | None:
    """The newest version that holds this very bundle, or None."""
    with _reached(uri) as client:
        found = client.search_model_versions(f"name = '{MODEL}' and tags.bundle_hash = '{bundle_hash}'")
        versions = sorted(found, key=lambda v: int(v.version))
        return _read(versions[-1]) if versions else None


def holdouts(uri: str) -> dict[str, str]:
    """Station to SHA-256 of the rows frozen for it."""
    with _reached(uri) as client:
        try:
            tags = client.get_registered_model(MODEL).tags
        except MlflowException as error:
            if error.error_code in NOT_THERE:
                return {}
            raise
        return {k.removeprefix(HOLDOUT): v for k, v in tags.items() if k.startswith(HOLDOUT)}


def download(uri: str, what: str, into: Path) -> Path:
    """Fetch artifacts (`models:/...` or `runs:/...`) and return their folder or file."""
    with _reached(uri):
        return Path(mlflow.artifacts.download_artifacts(what, dst_path=str(into)))


def bundle_folder(uri: str, version: str, into: Path) -> Path:
    """Fetch the bundle of a registered version and return its folder."""
    folder = download(uri, f"models:/{MODEL}/{version}", into)
    return next(folder.glob("**/manifest.json")).parent


class Logged(NamedTuple):
    """An MLflow run with its model."""

    run_id: str
    model_uri: str


def log_run(
    uri: str,
    artifacts: Path,
    bundle: Path,
    *,
    rows: Path,
    data_source: str,
    data_version: str,
    data_sha256: str,
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    files: Sequence[Path],
) -> Logged:
    """Log a run: the rows as its dataset, what it was told, what came out, and its bundle as a model."""
    with _reached(uri) as client:
        if client.get_experiment_by_name(EXPERIMENT) is None:
            client.create_experiment(EXPERIMENT, artifact_location=_artifact_location(uri, artifacts))
        mlflow.set_experiment(EXPERIMENT)
        keys = pl.read_parquet(rows, columns=["plant_id", "heat_uid", "station", "treatment_no"])
        with warnings.catch_warnings():  # a folder may be several kinds of source; any of them will do
            warnings.simplefilter("ignore")
            dataset = mlflow.data.from_polars(  # type: ignore[attr-defined]
                keys, source=data_source, name=data_version, digest=data_sha256[:36]
            )
        with mlflow.start_run() as run:
            mlflow.log_input(dataset, context="training", tags={"sha256": data_sha256})
            mlflow.log_params(dict(params))
            mlflow.log_metrics(dict(metrics))
            mlflow.set_tags(dict(tags))
            for file in files:
                mlflow.log_artifact(str(file), file.parent.name if file.parent.name in FOLDERS else None)
            with warnings.catch_warnings(
                record=True
            ):  # it misses type hints, see there; filters it overrides
                logged = mlflow.pyfunc.log_model(
                    name="model",
                    python_model=str(SERVED_MODEL),
                    artifacts={"bundle": str(bundle)},
                    pip_requirements=["mlflow", "model-service"],
                )
        return Logged(str(run.info.run_id), str(logged.model_uri))


def _artifact_location(uri: str, artifacts: Path) -> str | None:
    """Where files of a run go: a folder beside the ledger; behind a server wherever that one keeps them."""
    if uri.startswith(("http://", "https://")):
        return None
    store = (artifacts / "mlflow").resolve()
    store.mkdir(parents=True, exist_ok=True)
    return store.as_uri()


def register(uri: str, logged: Logged, tags: Mapping[str, str], holdout: Mapping[str, str]) -> Registered:
    """Register a logged run's model as `candidate`.

    A version that this bundle has already is taken again: so is one whose registration broke off half way.
    """
    bundle_hash = tags["bundle_hash"]
    known = of_bundle(uri, bundle_hash)
    with _reached(uri) as client:
        if known is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if not client.search_registered_models(f"name = '{MODEL}'"):
                    client.create_registered_model(MODEL)
                made = client.create_model_version(  # a server wants to be told the model's id as well
                    MODEL,
                    logged.model_uri,
                    run_id=logged.run_id,
                    tags=dict(tags),
                    model_id=logged.model_uri.removeprefix("models:/"),
                )
            found = Registered(str(made.version), logged.run_id, bundle_hash, dict(tags))
        else:
            found = known._replace(again=True)
        for station, sha256 in holdout.items():
            client.set_registered_model_tag(MODEL, f"{HOLDOUT}{station}", sha256)
    set_alias(uri, CANDIDATE, found.version)
    return found


def set_alias(uri: str, alias: str, version: str) -> None:
    """Let an alias name this version."""
    with _reached(uri) as client:
        client.set_registered_model_alias(MODEL, alias, version)


def tag(uri: str, version: str, tags: Mapping[str, str]) -> None:
    """Add to what is known of a version."""
    with _reached(uri) as client:
        for name, value in tags.items():
            client.set_model_version_tag(MODEL, version, name, value)


@contextmanager
def _reached(uri: str) -> Iterator["mlflow.MlflowClient"]:
    """A client; whatever keeps the registry from answering becomes a RegistryError that says so."""
    mlflow.set_tracking_uri(uri)
    try:
        yield mlflow.MlflowClient(tracking_uri=uri)
    except (MlflowException, SQLAlchemyError, RequestException, OSError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RegistryError(
            f"the registry at {uri} does not do what it is asked: {first}. Nothing is half registered; when "
            "it is back, run again: what is done already is not done twice"
        ) from error


def _read(version: "mlflow.entities.model_registry.ModelVersion") -> Registered:
    tags = dict(version.tags)
    return Registered(str(version.version), str(version.run_id), tags.get("bundle_hash", ""), tags)
