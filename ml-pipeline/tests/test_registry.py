"""Registration: what is recorded, what dirty code may not do, and a registry that goes down half way."""

import json
import shutil
from pathlib import Path

import mlflow
import polars as pl
import pytest
from conftest import COMMITTED, make_folders
from mlflow.exceptions import MlflowException

from ml_pipeline import ledger, pipeline, registry
from ml_pipeline.errors import GateError, RegistryError
from ml_pipeline.pipeline import Folders
from ml_pipeline.promotion import promote


def quiet(_: str) -> None:
    pass


@pytest.fixture
def judged(released: Folders, tmp_path: Path) -> Folders:
    """Work of a model that has passed the gate, and an empty registry."""
    folders = make_folders(tmp_path, released.lake)
    shutil.copytree(released.work, folders.work, dirs_exist_ok=True)
    (folders.work / "run.json").unlink()
    return folders


def versions(folders: Folders) -> list[str]:
    client = mlflow.MlflowClient(tracking_uri=folders.tracking_uri)
    return [str(v.version) for v in client.search_model_versions("name = 'steel-additives'")]


def finish(folders: Folders) -> None:
    for step in ("register", "package"):
        pipeline.STEPS[step](folders, quiet)


def test_run_records_data_code_environment_pictures_and_card(released: Folders) -> None:
    found = registry.registered(released.tracking_uri, registry.CHAMPION)
    assert found is not None
    client = mlflow.MlflowClient(tracking_uri=released.tracking_uri)
    run = client.get_run(found.run_id)
    taken = json.loads((released.work / "extract.json").read_text())

    dataset = run.inputs.dataset_inputs[0].dataset
    assert dataset.name == "heats@v1"
    assert taken["data_sha256"].startswith(dataset.digest)
    files = {a.path for a in client.list_artifacts(found.run_id)}
    assert {"recipe.json", "environment.json", "model-card.md", "profile.json", "card", "report"} <= files
    pictures = {a.path.partition("/")[2] for a in client.list_artifacts(found.run_id, "card")}
    assert {f"tapping-{s}.png" for s in ("error", "calibration", "slopes", "importance")} <= pictures
    recipe = json.loads((released.work / "recipe.json").read_text())
    assert set(recipe["holdout"]) == {"tapping"}
    assert (recipe["seed"], recipe["threads"]) == (pipeline.SEED, 1)
    assert "lightgbm==" in (released.work / "environment.json").read_text()
    card = (released.work / "model-card.md").read_text()
    assert found.bundle_hash[:12] in card
    assert "passed the gate" in card
    assert "| Mn |" in card


def test_model_of_changed_files_is_logged_and_never_a_candidate(judged: Folders) -> None:
    dirty = COMMITTED._replace(changed=["ml-pipeline/src/ml_pipeline/steps/train.py"])
    told: list[str] = []
    edited = judged._replace(options=judged.options._replace(code=dirty))

    pipeline.STEPS["register"](edited, told.append)
    pipeline.STEPS["package"](edited, told.append)

    assert versions(edited) == []
    assert any("ml-pipeline/src/ml_pipeline/steps/train.py differ" in line for line in told)
    assert not edited.models.exists()
    run = mlflow.MlflowClient(tracking_uri=edited.tracking_uri).get_run(
        json.loads((edited.work / "run.json").read_text())["run_id"]
    )
    assert run.data.tags["code_dirty"] == "True"


def test_trial_is_served_only_where_no_champion_is(judged: Folders) -> None:
    dirty = COMMITTED._replace(changed=["ml-pipeline/x.py"])
    trying = judged._replace(options=judged.options._replace(code=dirty, trial=True))
    finish(trying)
    link = trying.models / "champion"
    assert link.readlink().name.startswith("trial-")
    assert registry.registered(trying.tracking_uri, registry.CHAMPION) is None

    finish(judged)
    finish(trying)

    assert link.readlink() == Path("1")


def test_later_version_is_challenger_until_somebody_promotes_it(judged: Folders) -> None:
    finish(judged)
    first = (judged.work / "training.json").read_text()
    pipeline.STEPS["train"](judged._replace(options=judged.options._replace(seed=5)), quiet)
    bundle = json.loads((judged.work / "training.json").read_text())["bundle_hash"]
    assert bundle not in first
    gated = json.loads((judged.work / "gate.json").read_text())
    (judged.work / "gate.json").write_text(json.dumps({**gated, "bundle_hash": bundle}))

    finish(judged)

    aliases = [registry.registered(judged.tracking_uri, a) for a in registry.ALIASES]
    assert [a.version for a in aliases if a is not None] == ["2", "2", "1"]
    assert (judged.models / "challenger").readlink() == Path("2")
    assert (judged.models / "champion").readlink() == Path("1")
    promote(judged, "2", "a week as shadow without a worse heat", quiet)
    assert (judged.models / "champion").readlink() == Path("2")
    last = ledger.entries(judged.ledger)[-1]
    assert (last["what"], last["version"], last["evidence"]["before"]) == ("champion", "2", "1")
    promote(judged, "1", "back", quiet)
    champion = registry.registered(judged.tracking_uri, registry.CHAMPION)
    assert champion is not None
    assert champion.version == "1"
    with pytest.raises(RegistryError, match="version 7 of steel-additives is not registered"):
        promote(judged, "7", "no", quiet)


def test_refused_model_is_logged_and_in_the_ledger_once(judged: Folders) -> None:
    gated = json.loads((judged.work / "gate.json").read_text())
    worse = {**gated, "passed": False, "reasons": ["tapping: standardised error is +0.3"]}
    (judged.work / "gate.json").write_text(json.dumps(worse))

    for _ in range(2):
        with pytest.raises(GateError, match=r"standardised error is \+0.3"):
            pipeline.STEPS["register"](judged, quiet)

    assert versions(judged) == []
    assert [e["what"] for e in ledger.entries(judged.ledger)] == ["refused"]


@pytest.mark.parametrize(
    "breaking", ["create_registered_model", "create_model_version", "set_registered_model_alias"]
)
def test_registry_that_goes_down_half_way_leaves_no_candidate_and_no_second_version(
    judged: Folders, monkeypatch: pytest.MonkeyPatch, breaking: str
) -> None:
    def down(*_: object, **__: object) -> None:
        raise MlflowException("connection refused")

    with monkeypatch.context() as patched:
        patched.setattr(mlflow.MlflowClient, breaking, down)
        with pytest.raises(RegistryError, match=r"connection refused\. Nothing is half registered"):
            pipeline.STEPS["register"](judged, quiet)
    assert registry.registered(judged.tracking_uri, registry.CANDIDATE) is None
    assert ledger.entries(judged.ledger) == []
    told: list[str] = []

    pipeline.STEPS["register"](judged, told.append)

    assert versions(judged) == ["1"]
    assert any("is logged already" in line for line in told)
    assert [e["what"] for e in ledger.entries(judged.ledger)] == ["candidate"]


@pytest.mark.parametrize("breaking", ["log_batch", "log_artifact"])
def test_registry_that_goes_down_while_the_run_is_logged_leaves_nothing_registered(
    judged: Folders, monkeypatch: pytest.MonkeyPatch, breaking: str
) -> None:
    def down(*_: object, **__: object) -> None:
        raise MlflowException("connection refused")

    with monkeypatch.context() as patched:
        patched.setattr(mlflow.MlflowClient, breaking, down)
        with pytest.raises(RegistryError, match="connection refused"):
            pipeline.STEPS["register"](judged, quiet)
    assert versions(judged) == []
    assert ledger.entries(judged.ledger) == []

    finish(judged)

    assert versions(judged) == ["1"]
    assert [e["what"] for e in ledger.entries(judged.ledger)] == ["candidate", "challenger", "champion"]


@pytest.mark.parametrize(("breaking", "links"), [("challenger", []), ("champion", ["challenger"])])
def test_registry_that_goes_down_while_a_bundle_is_released_makes_nobody_live(
    judged: Folders, monkeypatch: pytest.MonkeyPatch, breaking: str, links: list[str]
) -> None:
    """Alias, link and ledger say the same, whenever it was; the next run finishes what is missing."""
    pipeline.STEPS["register"](judged, quiet)
    set_alias = mlflow.MlflowClient.set_registered_model_alias

    def down(client: mlflow.MlflowClient, name: str, alias: str, version: str) -> None:
        if alias == breaking:
            raise MlflowException("connection refused")
        set_alias(client, name, alias, version)

    with monkeypatch.context() as patched:
        patched.setattr(mlflow.MlflowClient, "set_registered_model_alias", down)
        with pytest.raises(RegistryError, match="connection refused"):
            pipeline.STEPS["package"](judged, quiet)
    assert [p.name for p in judged.models.iterdir() if p.is_symlink()] == links
    assert [e["what"] for e in ledger.entries(judged.ledger)] == ["candidate", *links]
    assert registry.registered(judged.tracking_uri, breaking) is None

    pipeline.STEPS["package"](judged, quiet)

    assert [e["what"] for e in ledger.entries(judged.ledger)] == ["candidate", "challenger", "champion"]
    assert {p.name for p in judged.models.iterdir() if p.is_symlink()} == {"challenger", "champion"}
    assert versions(judged) == ["1"]


def test_bundle_that_is_not_the_registered_one_is_not_released(judged: Folders) -> None:
    finish(judged)
    released = (judged.models / "1" / "manifest.json").read_bytes()
    training = json.loads((judged.work / "training.json").read_text())
    (judged.work / "training.json").write_text(json.dumps({**training, "bundle_hash": "0" * 64}))

    with pytest.raises(RegistryError, match="bundle 000000000000 is not registered; run `ml-pipeline reg"):
        pipeline.STEPS["package"](judged, quiet)

    assert (judged.models / "1" / "manifest.json").read_bytes() == released


def test_registry_that_cannot_be_reached_is_no_absent_champion(judged: Folders) -> None:
    nowhere = judged._replace(tracking_uri="http://127.0.0.1:1")

    with pytest.raises(RegistryError, match=r"registry at http://127.0.0.1:1 does not do what it is asked"):
        pipeline.STEPS["gate"](nowhere, quiet)


def test_frozen_holdout_is_that_of_the_first_model_and_nobody_learns_from_it(
    released: Folders, tmp_path: Path
) -> None:
    frozen = registry.holdouts(released.tracking_uri)["tapping"]
    later = make_folders(tmp_path, released.lake)._replace(
        tracking_uri=released.tracking_uri, artifacts=released.artifacts
    )
    pipeline.run(later, quiet, ["extract", "validate", "prepare", "split"])

    assert json.loads((later.work / "split.json").read_text())["holdout"] == {"tapping": frozen}
    rows = pl.read_parquet(released.rows(frozen))
    held = rows.filter(~pl.col("is_context"))["heat_uid"]
    from ml_pipeline.work import split_stations

    past, test = split_stations(later.work)
    assert held.len() == 36
    assert not set(held) & (set(past["tapping"]["heat_uid"]) | set(test["tapping"]["heat_uid"]))


def test_holdout_that_is_lost_is_an_error_and_not_frozen_anew(released: Folders, tmp_path: Path) -> None:
    later = make_folders(tmp_path, released.lake)._replace(tracking_uri=released.tracking_uri)

    with pytest.raises(Exception, match="frozen holdout of tapping is not in the artifact store"):
        pipeline.run(later, quiet, ["extract", "validate", "prepare", "split"])
