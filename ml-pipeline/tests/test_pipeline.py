"""The steps together: what is released, registered, refused."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import extracts
import mlflow
import msgspec
import orjson
import pytest
from conftest import COMMITTED, Plant, make_folders
from mlflow.pyfunc.scoring_server import infer_and_parse_data
from model_service.bundle import load_bundle
from model_service.manifest import Golden
from model_service.recommendation import recommend

from ml_pipeline import pipeline, registry
from ml_pipeline.errors import ExtractError, GateError, TooFewHeatsError
from ml_pipeline.importing.extract_import import read_extract, write_import
from ml_pipeline.importing.mapping import load_mapping
from ml_pipeline.pipeline import Folders


def quiet(_: str) -> None:
    pass


def golden_requests(folders: Folders) -> list[Any]:
    golden = msgspec.json.decode((folders.work / "bundle" / "golden.json").read_bytes(), type=Golden)
    return [row.request for row in golden.rows]


def test_champion_is_a_relative_link_to_a_bundle_that_the_service_loads(released: Folders) -> None:
    assert os.readlink(released.models / "champion") == "1"  # noqa: PTH115
    bundle = load_bundle(released.models / "champion")
    assert bundle.version == "1"
    assert bundle.release is not None
    assert bundle.release.data_version == "heats@v1"


def test_registered_model_answers_as_the_service_does(released: Folders) -> None:
    mlflow.set_tracking_uri(released.tracking_uri)
    model = mlflow.pyfunc.load_model("models:/steel-additives@champion")
    requests = golden_requests(released)

    answers = model.predict([msgspec.to_builtins(request) for request in requests])

    bundle = load_bundle(released.work / "bundle")
    for request, answer in zip(requests, answers, strict=True):
        expected = msgspec.to_builtins(recommend(bundle, request))
        assert {**answer, "model": None} == {**expected, "model": None}
        assert answer["status"] == "recommended"


@pytest.mark.parametrize("shape", ["inputs", "dataframe_records", "dataframe_split"])
def test_registered_model_answers_what_mlflows_server_hands_on(released: Folders, shape: str) -> None:
    mlflow.set_tracking_uri(released.tracking_uri)
    model = mlflow.pyfunc.load_model("models:/steel-additives@champion")
    request = msgspec.to_builtins(golden_requests(released)[0])
    split = {"columns": list(request), "data": [list(request.values())]}
    body = {shape: split if shape == "dataframe_split" else [request]}

    assert model.predict(infer_and_parse_data(body)) == model.predict([request])


def test_run_records_where_the_model_came_from(released: Folders) -> None:
    found = registry.registered(released.tracking_uri, registry.CHAMPION)
    assert found is not None
    run = mlflow.MlflowClient(tracking_uri=released.tracking_uri).get_run(found.run_id)

    training = json.loads((released.work / "training.json").read_text())
    assert found.bundle_hash == training["bundle_hash"] == run.data.tags["bundle_hash"]
    assert run.data.tags["data_version"] == "heats@v1"
    assert run.data.tags["lock_sha256"] == COMMITTED.lock_sha256
    assert run.data.tags["code_commit"] == COMMITTED.commit
    assert run.data.tags["code_dirty"] == "False"
    assert run.data.params["seed"] == str(pipeline.SEED)
    assert "tapping.Mn.mae_pct" in run.data.metrics
    assert found.tags["trained_until.tapping"].endswith("Z")


def test_extract_is_kept_under_the_hash_of_its_content(released: Folders) -> None:
    taken = json.loads((released.work / "extract.json").read_text())

    assert Path(taken["path"]).name == f"{taken['data_sha256']}.parquet"
    again = make_folders(released.work / "again", released.lake)
    pipeline.STEPS["extract"](again, quiet)
    assert json.loads((again.work / "extract.json").read_text())["data_sha256"] == taken["data_sha256"]


def test_model_is_judged_better_than_a_fixed_recovery_where_state_matters(released: Folders) -> None:
    manganese = json.loads((released.work / "evaluation.json").read_text())["tapping"]["Mn"]

    assert manganese["mae_pct"] < manganese["mae_handbook_pct"]
    assert 0.8 <= manganese["coverage_90"] <= 0.98
    assert abs(manganese["slope"]) < 0.2
    assert (released.work / "report" / "tapping.png").stat().st_size > 10_000


def test_same_bundle_again_registers_nothing_new(plant: Plant, released: Folders, tmp_path: Path) -> None:
    again = make_folders(tmp_path, plant.lake)._replace(
        tracking_uri=released.tracking_uri, artifacts=released.artifacts
    )
    pipeline.run(again, quiet)

    assert json.loads((again.work / "registration.json").read_text())["version"] == "1"
    assert json.loads((again.work / "gate.json").read_text())["against"] == "champion 1"


def test_bundle_that_did_not_pass_the_gate_is_not_registered(released: Folders, tmp_path: Path) -> None:
    for name in ("training.json", "gate.json", "extract.json", "evaluation.json"):
        (tmp_path / name).write_bytes((released.work / name).read_bytes())
    gated = json.loads((tmp_path / "gate.json").read_text())
    (tmp_path / "gate.json").write_bytes(orjson.dumps({**gated, "bundle_hash": "0" * 64}))

    for name in ("split.json", "profile.json", "model-card.md"):
        (tmp_path / name).write_bytes((released.work / name).read_bytes())
    for name in ("bundle", "card", "report"):
        shutil.copytree(released.work / name, tmp_path / name)
    (tmp_path / "heats.parquet").symlink_to(released.work / "heats.parquet")

    with pytest.raises(GateError, match="has not passed the gate"):
        pipeline.STEPS["register"](released._replace(work=tmp_path), quiet)


def test_step_without_its_input_says_which_comes_before(tmp_path: Path) -> None:
    folders = make_folders(tmp_path, tmp_path / "lake")

    with pytest.raises(ExtractError, match="no Delta table; import an extract first"):
        pipeline.STEPS["extract"](folders, quiet)
    with pytest.raises(ExtractError, match="run `ml-pipeline extract` first"):
        pipeline.STEPS["validate"](folders, quiet)
    with pytest.raises(ExtractError, match="run `ml-pipeline prepare` first"):
        pipeline.STEPS["train"](folders, quiet)


def test_handful_of_heats_is_too_few(tmp_path: Path) -> None:
    mapping = load_mapping(extracts.write(tmp_path / "extract", extracts.heats(20)))
    write_import(tmp_path / "lake", read_extract(tmp_path / "extract", mapping))
    folders = make_folders(tmp_path, tmp_path / "lake")
    pipeline.run(folders, quiet, ["extract", "validate", "prepare", "split"])

    with pytest.raises(TooFewHeatsError, match="at least 30"):
        pipeline.STEPS["train"](folders, quiet)
