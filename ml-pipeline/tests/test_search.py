"""The search of hyper-parameters: optional, repeatable, blind to what a model is judged by, and recorded."""

import json
import shutil
import sys
from pathlib import Path

import polars as pl
import pytest
from conftest import make_folders

from ml_pipeline import pipeline
from ml_pipeline.errors import SearchError
from ml_pipeline.learning import run_search, run_train
from ml_pipeline.pipeline import Folders
from ml_pipeline.rebuild import rebuild
from ml_pipeline.reproduce import first_difference
from ml_pipeline.steps import corrections, search
from ml_pipeline.steps.split import shares_lots
from ml_pipeline.work import holdouts, split_stations

TRIALS = 2


def quiet(_: str) -> None:
    pass


def searching(folders: Folders, trials: int = TRIALS) -> Folders:
    return folders._replace(options=folders.options._replace(trials=trials))


@pytest.fixture
def work(released: Folders, tmp_path: Path) -> Folders:
    """The released model's work, in a folder of its own."""
    folders = make_folders(tmp_path, released.lake)
    shutil.copytree(released.work, folders.work, dirs_exist_ok=True)
    return folders._replace(artifacts=released.artifacts)


def test_nothing_is_searched_unless_it_is_asked_for(released: Folders) -> None:
    assert json.loads((released.work / "search.json").read_text()) == {"told": {}, "trials": 0}
    recipe = json.loads((released.work / "recipe.json").read_text())
    assert recipe["lightgbm"] == {**corrections.PARAMETERS, "num_iterations": corrections.ROUNDS}


def test_search_never_sees_the_heats_that_a_model_is_judged_by(work: Folders) -> None:
    """With other results in the newest heats and the frozen ones, the search finds the very same."""
    run_search(searching(work), quiet)
    before = (work.work / "search.json").read_bytes()
    path = work.work / "prepared" / "tapping.parquet"
    heats, (_, test) = pl.read_parquet(path), split_stations(work.work)
    judged = pl.concat([test["tapping"]["heat_uid"], holdouts(work.work)["tapping"].heats["heat_uid"]])
    results = [name for name in heats.columns if name.startswith(("final.", "first.", "added_kg."))]
    is_judged = pl.col("heat_uid").is_in(judged.to_list())
    changed = heats.with_columns(
        pl.when(is_judged).then(3 * pl.col(c) + 1).otherwise(c).alias(c) for c in results
    )
    assert changed.filter(is_judged)["final.Mn"].min() > 3  # type: ignore[operator]
    changed.write_parquet(path)

    run_search(searching(work), quiet)

    found = json.loads(before)
    assert len(found["tried"]) == TRIALS + 1
    assert (work.work / "search.json").read_bytes() == before


def test_what_is_found_grows_the_trees_and_is_recorded(
    work: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "BETTER", 2.0)  # whatever is best is taken
    monkeypatch.setattr(search, "SPACE", ("num_leaves", "num_iterations"))
    monkeypatch.setattr(
        search,
        "suggested",
        lambda trial: {
            "num_leaves": trial.suggest_int("num_leaves", 3, 4),
            "num_iterations": trial.suggest_int("num_iterations", 40, 41),
        },
    )
    usual = dict(corrections.PARAMETERS, num_leaves=3)
    monkeypatch.setattr(corrections, "PARAMETERS", usual)
    monkeypatch.setattr(corrections, "ROUNDS", 40)
    run_search(searching(work), quiet)
    found = json.loads((work.work / "search.json").read_text())["told"]
    monkeypatch.undo()
    assert set(found) == {"num_leaves", "num_iterations"}

    run_train(work, quiet)

    trees = "".join(p.read_text() for p in (work.work / "bundle" / "trees").iterdir())
    assert f"[num_leaves: {found['num_leaves']}]" in trees
    assert f"[num_iterations: {found['num_iterations']}]" in trees
    training = json.loads((work.work / "training.json").read_text())
    assert training["lightgbm"] == {**corrections.PARAMETERS, "num_iterations": 80, **found}
    recipe = json.loads((work.work / "recipe.json").read_text())
    (work.work / "recipe.json").write_text(json.dumps({**recipe, "lightgbm": training["lightgbm"]}))
    again = work._replace(work=work.work.parent / "again")
    again.work.mkdir()
    rebuild(again, work.work / "recipe.json", quiet)
    assert first_difference(work.work / "bundle", again.work / "bundle") is None


def test_other_parameters_train_again(work: Folders) -> None:
    ran = [d.step for d in pipeline.run(searching(work), quiet, ["search"]) if d.seconds is not None]
    again = [d.step for d in pipeline.run(searching(work), quiet, ["search"]) if d.seconds is not None]

    assert ran == ["search"]
    assert again == []


def test_heats_of_a_lot_do_not_stand_on_both_sides() -> None:
    def of(*lots: str | None) -> pl.DataFrame:
        named = [None if lot is None else [{"lot": lot, "kg": 1.0}] for lot in lots]
        column = pl.Series("lots.Mn", named, dtype=pl.List(pl.Struct({"lot": pl.String, "kg": pl.Float64})))
        return pl.DataFrame([column])

    older, newer = of("SiMn 1", "SiMn 2", "FeMn ", None), of("SiMn 2", "SiMn 3", "FeMn ", None)

    assert shares_lots(newer, older).to_list() == [True, False, False, False]
    assert shares_lots(newer.rename({"lots.Mn": "lots.Si"}), older).to_list() == [False] * 4


def test_folds_go_on_in_time_and_share_no_lot(work: Folders) -> None:
    past, _ = split_stations(work.work)
    lot = pl.concat_str(pl.lit("SiMn "), (pl.int_range(pl.len()) // 37).cast(pl.String))
    numbered = past["tapping"].with_columns(
        pl.concat_list(pl.struct(lot=lot, kg=pl.lit(10.0))).alias("lots.Mn")
    )

    made = search.folds("tapping", numbered)

    assert {fold.element for fold in made} >= {"Mn", "Si"}
    for fold in made:
        assert fold.older["completed_at"].max() < fold.newer["completed_at"].min()  # type: ignore[operator]
        lots = [set(side["lots.Mn"].explode().struct.field("lot")) for side in (fold.older, fold.newer)]
        assert not lots[0] & lots[1]


def test_search_without_optuna_or_without_heats_says_what_is_missing(
    work: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    past, _ = split_stations(work.work)
    few = {name: heats.head(200) for name, heats in past.items()}

    with pytest.raises(SearchError, match="400 heats to grow trees on"):
        search.search(few, 1, 1)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SearchError, match=r"install ml-pipeline\[search\], or leave --trials out"):
        search.search(past, 1, 1)
