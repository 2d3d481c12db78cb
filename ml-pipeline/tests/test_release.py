import os
from pathlib import Path

import pytest
from model_service.errors import BundleRefused
from model_service.manifest import Release

from ml_pipeline.pipeline import Folders
from ml_pipeline.release import link, release
from ml_pipeline.work import read_json


def sidecar(released: Folders, version: str) -> Release:
    training = read_json(released.work / "training.json", "train")
    return Release(
        version=version, created_at="2026-01-01T00:00:00Z", bundle_hash=training["bundle_hash"], metrics={}
    )


def champion(models: Path) -> str:
    return os.readlink(models / "champion")  # noqa: PTH115


def test_link_moves_to_the_new_version_and_the_old_one_stays(released: Folders, tmp_path: Path) -> None:
    for version in ("1", "2"):
        release(released.work / "bundle", tmp_path, sidecar(released, version))
        link(tmp_path, "champion", version)

    assert champion(tmp_path) == "2"
    assert (tmp_path / "1" / "manifest.json").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1", "2", "champion"]


def test_released_version_is_not_written_again(released: Folders, tmp_path: Path) -> None:
    first = release(released.work / "bundle", tmp_path, sidecar(released, "1"))
    written = (first / "release.json").stat().st_mtime_ns

    release(released.work / "bundle", tmp_path, sidecar(released, "1"))

    assert (first / "release.json").stat().st_mtime_ns == written


def test_damaged_bundle_is_never_released(released: Folders, tmp_path: Path) -> None:
    models, bundle = tmp_path / "models", tmp_path / "bundle"
    release(released.work / "bundle", models, sidecar(released, "1"))
    link(models, "champion", "1")
    bundle.mkdir()
    for file in ("manifest.json", "model.json", "golden.json"):
        (bundle / file).write_bytes(
            (released.work / "bundle" / file).read_bytes().replace(b"tapping", b"tappinG")
        )

    with pytest.raises(BundleRefused):
        release(bundle, models, sidecar(released, "2"))
    assert champion(models) == "1"
    assert not (models / "2").exists()
