"""Lakes as they are found: another version, an empty window, one grade, a new additive, no chemistry."""

import json
from pathlib import Path

import extracts
import msgspec
import numpy as np
import polars as pl
import pytest
from conftest import Plant, heated, make_folders
from deltalake import DeltaTable, Field
from deltalake.schema import PrimitiveType

from ml_pipeline import lake, pipeline
from ml_pipeline.errors import ExtractError
from ml_pipeline.importing.extract_import import read_extract, write_import
from ml_pipeline.importing.mapping import load_mapping
from ml_pipeline.pipeline import Folders
from ml_pipeline.steps.evaluate import evaluate
from ml_pipeline.steps.gate import Model, judge
from ml_pipeline.steps.temperature import fit_temperature
from ml_pipeline.work import read_model

LEARNING = ["extract", "validate", "prepare", "split", "train", "evaluate", "gate"]


def quiet(_: str) -> None:
    pass


def with_options(folders: Folders, **options: object) -> Folders:
    return folders._replace(options=folders.options._replace(**options))  # type: ignore[arg-type]


def test_version_of_the_lake_that_is_gone_is_named_with_what_is_there(plant: Plant, tmp_path: Path) -> None:
    folders = with_options(make_folders(tmp_path, plant.lake), version=7)

    with pytest.raises(ExtractError, match="version 7 cannot be read; allowed: 0 to 1 while kept"):
        pipeline.run(folders, quiet, ["extract"])
    assert not (folders.artifacts / "data").exists()


def test_version_whose_files_were_vacuumed_is_an_error_that_says_so(plant: Plant, tmp_path: Path) -> None:
    rows = lake.scan(plant.lake, "heats")[0].collect()
    for part in (rows.head(500), rows.tail(400)):
        before = lake.append(tmp_path / "lake", "heats", part)
    table = DeltaTable(str(tmp_path / "lake" / "heats"))
    table.optimize.compact()
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    folders = make_folders(tmp_path, tmp_path / "lake")

    with pytest.raises(ExtractError, match=rf"heats at version {before}: files of it are gone .*vacuumed"):
        pipeline.run(with_options(folders, version=before), quiet, ["extract"])

    assert not list((folders.artifacts / "data").glob("*.parquet"))
    pipeline.run(folders, quiet, ["extract"])
    assert pl.read_parquet(folders.work / "heats.parquet").height == 900


def test_window_without_heats_is_an_error_that_names_it(plant: Plant, tmp_path: Path) -> None:
    folders = make_folders(tmp_path, plant.lake)

    with pytest.raises(ExtractError, match="no heats complete from 2031-01-01T00:00:00Z to the end"):
        pipeline.run(with_options(folders, since="2031-01-01T00:00:00Z"), quiet, ["extract"])
    with pytest.raises(ExtractError, match="--until 'tomorrow': not an instant; allowed: such as"):
        pipeline.run(with_options(folders, until="tomorrow"), quiet, ["extract"])


def test_window_takes_the_heats_complete_in_it(plant: Plant, tmp_path: Path) -> None:
    folders = make_folders(tmp_path, plant.lake)
    since, until = "2025-01-03T00:00:00Z", "2025-01-05T00:00:00Z"

    pipeline.run(with_options(folders, since=since, until=until), quiet, ["extract"])

    done = pl.read_parquet(folders.work / "heats.parquet")["completed_at"]
    assert 60 < done.len() < 80
    assert str(done.min()) >= "2025-01-03"
    assert str(done.max()) < "2025-01-05"


def test_rows_are_the_same_in_one_slice_and_in_many(
    plant: Plant, released: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ml_pipeline.steps import extract as step

    monkeypatch.setattr(step, "SLICE_HEATS", 70)
    folders = make_folders(tmp_path, plant.lake)

    pipeline.run(folders, quiet, ["extract", "validate", "prepare"])

    for name in ("heats.parquet", "valid.parquet", "prepared/tapping.parquet"):
        assert pl.read_parquet(folders.work / name).equals(pl.read_parquet(released.work / name)), name


def test_one_grade_only_goes_all_the_way(tmp_path: Path) -> None:
    one = [row for row in extracts.heats(500) if row["grade"] == "A"]
    mapping = load_mapping(extracts.write(tmp_path / "extract", one))
    write_import(tmp_path / "lake", read_extract(tmp_path / "extract", mapping))
    folders = make_folders(tmp_path, tmp_path / "lake")

    pipeline.run(folders, quiet, LEARNING)

    assert json.loads((folders.work / "gate.json").read_text())["reasons"] == []


def test_lake_that_gained_an_additive_and_a_column_trains_on_old_and_new_heats(
    plant: Plant, tmp_path: Path
) -> None:
    rows = lake.scan(plant.lake, "heats")[0].sort("completed_at").collect()
    older, newer = rows.head(600), rows.tail(300)
    lake.append(tmp_path / "lake", "heats", older)
    with_new = newer.with_columns(
        pl.col("additives").list.eval(
            pl.element().struct.with_fields(
                pl.when(pl.element().struct.field("additive") == "FeSi")
                .then(pl.lit("FeSi65"))
                .otherwise(pl.element().struct.field("additive"))
                .alias("additive")
            )
        ),
        pl.col("weighed").list.eval(
            pl.element().struct.with_fields(
                pl.when(pl.element().struct.field("additive") == "FeSi")
                .then(pl.lit("FeSi65"))
                .otherwise(pl.element().struct.field("additive"))
                .alias("additive")
            )
        ),
    )
    lake.append(tmp_path / "lake", "heats", with_new)
    crew = Field("shift_crew", PrimitiveType("string"))
    DeltaTable(str(tmp_path / "lake" / "heats")).alter.add_columns([crew])
    folders = make_folders(tmp_path, tmp_path / "lake")

    pipeline.run(folders, quiet, LEARNING)

    prepared = pl.read_parquet(folders.work / "prepared" / "tapping.parquet")
    assert prepared.height == 900
    assert float(prepared.tail(300)["added_kg.Si"].mean()) > 0  # type: ignore[arg-type]
    assert json.loads((folders.work / "gate.json").read_text())["reasons"] == []


class TestTemperaturesWithoutChemistry:
    """A plant that analyses nothing: temperatures before and after, minutes, and what was tipped."""

    MAPPING = """
plant_id: toy-temperatures
station: ladle_furnace
heats:
  file: heats.csv
  heat_no: heat
  grade: grade
  time: {order: file, start: 2025-01-01T00:00:00Z, spacing_min: 40}
  steel_mass: {column: steel_t, unit: t}
  temperature_c: before
  temperature_after_c: after
  features: {minutes: minutes}
  weighed: {unit: kg, empty: zero, columns: {lime: lime}}
additives:
  listed: {lime: {chill_c_per_kg_t: -2.2}}
"""

    def test_they_become_a_released_model_that_beats_the_usual_change(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(5)
        before, minutes = rng.normal(1605, 10, 600), rng.normal(38, 6, 600)
        lime, steel_t = rng.integers(0, 5, 600) * 100.0, rng.normal(92, 2, 600)
        after = before - 0.9 * minutes - 2.2 * lime / steel_t + rng.normal(0, 3, 600)
        after[7] = np.nan
        rows = {"steel_t": steel_t, "before": before, "after": after, "minutes": minutes, "lime": lime}
        extract = tmp_path / "extract"
        extract.mkdir()
        heats = pl.DataFrame(rows).fill_nan(None).with_row_index("heat").with_columns(grade=pl.lit("A"))
        heats.write_csv(extract / "heats.csv")
        (extract / "mapping.yaml").write_text(self.MAPPING)

        imported = read_extract(extract, load_mapping(extract / "mapping.yaml"))
        write_import(tmp_path / "lake", imported)
        folders = make_folders(tmp_path / "pipeline", tmp_path / "lake")
        pipeline.run(folders, quiet)

        assert imported.reasons == {"no result": 1}
        judged = json.loads((folders.work / "evaluation.json").read_text())["ladle_furnace"]
        assert list(judged) == ["temperature"]
        assert judged["temperature"]["mae_c"] < 0.5 * judged["temperature"]["mae_usual_c"]
        assert judged["temperature"]["sd_c"] == pytest.approx(3, abs=0.4)
        assert (folders.work / "report" / "ladle_furnace-temperature.png").exists()
        assert "Temperature after the additions: error" in (folders.work / "model-card.md").read_text()
        assert (folders.models / "champion").exists()

    def test_a_worse_prediction_of_temperature_does_not_pass(self, released: Folders) -> None:
        heats = heated(pl.read_parquet(released.work / "prepared" / "tapping.parquet"))
        past, unseen = heats.head(700), heats.tail(200)
        parameters, trees = read_model(released.work / "bundle")
        station = parameters.stations["tapping"]
        right = fit_temperature(station, past)
        assert right is not None
        models = [
            Model(name, msgspec.structs.replace(parameters, stations={"tapping": of}), trees)
            for name, temperature in (
                ("the candidate", msgspec.structs.replace(right, offset_c=right.offset_c + 15)),
                ("the champion", right),
            )
            for of in [msgspec.structs.replace(station, elements={}, temperature=temperature)]
        ]
        mine, theirs = (evaluate(m.parameters, {}, {"tapping": past}, {"tapping": unseen}) for m in models)

        verdict = judge(*models, {"tapping": unseen}, mine, theirs, [], seed=1)

        assert not verdict.passed
        assert "standardised error" in verdict.reasons[0]
        assert judge(*reversed(models), {"tapping": unseen}, theirs, mine, [], seed=1).passed
