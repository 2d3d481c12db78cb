"""What is done is not done again, what has changed is, and a crash costs only the step it happened in."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Plant, make_folders

from ml_pipeline import cache, lake, pipeline
from ml_pipeline.errors import PipelineError
from ml_pipeline.pipeline import Folders, Step
from ml_pipeline.reproduce import first_difference

FIRST_STEPS = ["extract", "validate", "prepare"]


def quiet(_: str) -> None:
    pass


@pytest.fixture
def begun(plant: Plant, tmp_path: Path) -> Folders:
    """Folders in which the first steps have run."""
    folders = make_folders(tmp_path, plant.lake)
    pipeline.run(folders, quiet, FIRST_STEPS)
    return folders


def ran(folders: Folders, names: list[str] = FIRST_STEPS, **options: bool) -> list[str]:
    return [d.step for d in pipeline.run(folders, quiet, names, **options) if d.seconds is not None]


def test_step_whose_inputs_have_not_changed_is_not_run_and_says_so(begun: Folders) -> None:
    told: list[str] = []

    done = pipeline.run(begun, told.append, FIRST_STEPS)

    assert [d.seconds for d in done] == [None, None, None]
    assert "validate: nothing has changed, not run again" in told


def test_changed_input_runs_its_step_again_and_stops_where_the_content_is_the_same(begun: Folders) -> None:
    valid = begun.work / "valid.parquet"
    valid.write_bytes(valid.read_bytes() + b"damage")

    done = pipeline.run(begun, quiet, FIRST_STEPS)

    assert [d.step for d in done if d.seconds is not None] == ["validate"]
    assert done[1].why == "gone or damaged: valid.parquet"


def test_lost_output_is_made_again(begun: Folders) -> None:
    (begun.work / "prepared" / "tapping.parquet").unlink()

    assert ran(begun) == ["prepare"]


def test_new_version_of_the_lake_with_the_same_heats_only_extracts(plant: Plant, begun: Folders) -> None:
    rows = lake.scan(begun.lake, "heats")[0].head(1).collect()
    other = begun._replace(lake=begun.work / "lake")
    lake.append(other.lake, "heats", lake.scan(begun.lake, "heats")[0].collect())
    assert ran(other) == ["extract"]

    lake.append(other.lake, "heats", rows)  # a heat that is there already

    assert ran(other) == ["extract"]


def test_other_seed_trains_again(begun: Folders) -> None:
    before = cache.step_key(begun.work, (), {"seed": 1}, "code", "here")
    cache.remember(begun.work, "train", before, ())

    now = cache.step_key(begun.work, (), {"seed": 2}, "code", "here")

    assert cache.why_run(begun.work, "train", before) is None
    assert cache.why_run(begun.work, "train", now) == "changed: parameter seed"


def test_step_that_crashed_runs_again_and_what_came_before_does_not(
    begun: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = pipeline.STEPS["prepare"]

    def crash(folders: Folders, tell: object) -> None:
        (folders.work / "prepared" / "tapping.parquet").write_bytes(b"half")
        raise KeyboardInterrupt

    crashing = Step(crash, prepare.reads, prepare.writes, ("ml_pipeline.steps.prepare",))
    monkeypatch.setitem(pipeline.STEPS, "prepare", crashing)
    monkeypatch.setattr(cache, "code_sha256", lambda alone, modules: alone)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(begun, quiet, ["prepare"], again=True)
    monkeypatch.undo()

    assert ran(begun) == ["prepare"]
    assert (begun.work / "prepared" / "tapping.parquet").stat().st_size > 1000


def test_run_that_was_killed_goes_on_from_the_step_it_was_killed_in(
    plant: Plant, released: Folders, tmp_path: Path
) -> None:
    folders = make_folders(tmp_path, plant.lake)
    places = {"lake": folders.lake, "work": folders.work, "artifacts": folders.artifacts}
    arguments = [f"--{name}={place}" for name, place in places.items()]
    arguments += [f"--tracking-uri={folders.tracking_uri}", f"--models={folders.models}"]
    command = [sys.executable, "-m", "ml_pipeline.commands", "run", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = next(line for line in process.stdout if line.startswith("train: "))
        process.kill()
    assert "heats" in told
    assert process.returncode == -9
    assert not folders.models.exists()
    assert not (folders.work / ".steps" / "train.json").exists()

    assert ran(folders, list(pipeline.STEPS)[: list(pipeline.STEPS).index("train") + 1]) == ["train"]

    assert first_difference(released.work / "bundle", folders.work / "bundle") is None


def test_asked_for_step_runs_whatever_is_there(begun: Folders) -> None:
    assert ran(begun, ["prepare"], again=True) == ["prepare"]
    assert pipeline.chosen(only="gate", first=None) == ["gate"]
    assert pipeline.chosen(only=None, first="register") == ["register", "package"]
    with pytest.raises(PipelineError, match="'bake' is no step; allowed: extract, validate"):
        pipeline.chosen(only="bake", first=None)


def test_code_of_a_step_is_what_it_imports_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "ml_pipeline"
    package.mkdir()
    for name, text in {
        "__init__": "",
        "first": "from ml_pipeline import used\n",
        "used": "LIMIT = 1\n",
        "other": "LIMIT = 1\n",
        "act": "",
    }.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.setattr(
        cache, "_module_file", lambda name: next(iter(package.glob(f"{name.partition('.')[2]}.py")), None)
    )

    def sha256() -> str:
        cache._source.cache_clear()
        return cache.code_sha256("ml_pipeline.act", ("ml_pipeline.first",))

    before = sha256()
    (package / "other.py").write_text("LIMIT = 2\n")
    unrelated = sha256()
    (package / "used.py").write_text("LIMIT = 2\n")
    related = sha256()
    cache._source.cache_clear()

    assert before == unrelated
    assert before != related


def test_every_step_names_code_that_is_there(released: Folders) -> None:
    for name, step in pipeline.STEPS.items():
        if step.writes:
            assert len(cache.code_sha256(step.act.__module__, step.code)) == 64, name
            record = json.loads((released.work / ".steps" / f"{name}.json").read_text())
            assert set(record["outputs"]) == set(step.writes)
            assert None not in record["outputs"].values()
