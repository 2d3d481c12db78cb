import sys
from pathlib import Path

import pytest
from conftest import Plant

from ml_pipeline.commands import main
from ml_pipeline.pipeline import Folders


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["ml-pipeline", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_import_prints_its_summary(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (
        "import",
        "--mapping",
        plant.mapping,
        "--input",
        plant.extract,
        "--lake",
        tmp_path,
        "--plant-id",
        "other",
    )

    assert run(monkeypatch, *arguments) == 0
    assert "other / tapping: 900 rows read, 900 heats taken" in capsys.readouterr().out


def test_import_that_takes_no_row_fails_and_names_the_commonest_reason(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = tmp_path / "wrong.yaml"
    right = "steel_mass: {column: steel_kg, unit: kg}"
    text = plant.mapping.read_text(encoding="utf-8")
    assert right in text
    mapping.write_text(text.replace(right, "steel_mass: {column: heat_id, unit: kg}"), encoding="utf-8")
    arguments = ("import", "--mapping", mapping, "--input", plant.extract, "--lake", tmp_path / "lake")

    assert run(monkeypatch, *arguments) == 2
    said = capsys.readouterr()
    assert "900 rows in quarantine" in said.out
    assert "mass missing (900 rows)" in said.err


def test_expected_error_is_one_message_and_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        monkeypatch, "run", "--lake", tmp_path, "--work", tmp_path / "w", "--artifacts", tmp_path / "a"
    )

    assert code == 2
    assert "no Delta table" in capsys.readouterr().err


def test_settings_come_from_the_environment(
    plant: Plant, released: Folders, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ML_PIPELINE_LAKE", str(plant.lake))
    monkeypatch.setenv("ML_PIPELINE_MODELS", str(released.models))

    assert run(monkeypatch, "recommend", "--heats", 2) == 0
    assert "total of 2 heats" in capsys.readouterr().out


def test_bundle_that_is_none_is_refused_with_its_path(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "recommend", "--lake", plant.lake, "--bundle", tmp_path) == 2
    assert str(tmp_path) in capsys.readouterr().err
