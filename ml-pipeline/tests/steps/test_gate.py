from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from model_service.parameters import Parameters
from model_service.priors import prior_parameters

from ml_pipeline.pipeline import Folders, golden_differences
from ml_pipeline.steps.evaluate import evaluate
from ml_pipeline.steps.gate import Model, Verdict, bootstrap_interval, judge
from ml_pipeline.work import holdouts, read_model, split_stations

COLD = Model("the cold start", prior_parameters(), {})
Split = tuple[dict[str, pl.DataFrame], dict[str, pl.DataFrame]]


@pytest.fixture(scope="module")
def split(released: Folders) -> Split:
    return split_stations(released.work)


@pytest.fixture(scope="module")
def trained(released: Folders) -> Model:
    return Model("the candidate", *read_model(released.work / "bundle"))


def changed(model: Model, element: str, **fields: Any) -> Model:
    station = model.parameters.stations["tapping"]
    elements = {**station.elements, element: msgspec.structs.replace(station.elements[element], **fields)}
    return model._replace(
        parameters=Parameters(stations={"tapping": msgspec.structs.replace(station, elements=elements)})
    )


def verdict(candidate: Model, other: Model, split: Split, golden: list[str] | None = None) -> Verdict:
    past, test = split
    mine, theirs = (evaluate(model.parameters, model.trees, past, test) for model in (candidate, other))
    return judge(candidate, other, test, mine, theirs, golden or [], seed=1)


def test_trained_model_passes_against_the_cold_start(trained: Model, split: Split) -> None:
    found = verdict(trained, COLD, split)

    assert found.passed
    assert found.figures["tapping.error_ratio_minus_1"] < 0


def test_model_equal_to_the_champion_is_not_worse(trained: Model, split: Split) -> None:
    found = verdict(trained, trained._replace(name="champion 1"), split)

    assert found.passed
    assert found.figures["tapping.error_ratio_minus_1"] == 0.0


def test_model_with_larger_errors_is_refused(trained: Model, split: Split) -> None:
    worse = changed(trained, "Mn", offset_pct=0.12, slow_state=msgspec.structs.replace(
        trained.parameters.stations["tapping"].elements["Mn"].slow_state, prior_heats=None))  # fmt: skip

    found = verdict(worse, trained._replace(name="champion 1"), split)

    assert not found.passed
    assert any("against champion 1" in reason for reason in found.reasons)


def test_model_that_is_worse_on_the_frozen_holdout_alone_is_refused(
    trained: Model, split: Split, released: Folders
) -> None:
    """Its rival knows the level of the frozen heats, and is no better on the newest."""
    slow = trained.parameters.stations["tapping"].elements["Mn"].slow_state
    off = msgspec.structs.replace(slow, prior_heats=None)
    mine = changed(trained, "Mn", slow_state=off)
    rival = changed(trained, "Mn", slow_state=off, offset_pct=0.12)._replace(name="champion 1")
    context, heats = holdouts(released.work)["tapping"]
    level = 0.12 - trained.parameters.stations["tapping"].elements["Mn"].offset_pct
    frozen = {"tapping": (context, heats.with_columns(pl.col("final.Mn") + level))}
    past, test = split
    both = [evaluate(model.parameters, model.trees, past, test) for model in (mine, rival)]

    found = judge(mine, rival, test, *both, [], seed=1, frozen=frozen)

    assert judge(mine, rival, test, *both, [], seed=1).passed
    assert [reason for reason in found.reasons if "on the frozen holdout" in reason] == found.reasons != []


def test_intervals_that_promise_too_much_are_refused(trained: Model, split: Split) -> None:
    found = verdict(changed(trained, "Si", interval_factor=0.5), COLD, split)

    assert any("tapping Si: the 90 % interval covers" in reason for reason in found.reasons)


def test_recovery_far_from_the_literature_is_refused(trained: Model, split: Split) -> None:
    found = verdict(changed(trained, "Mn", recovery=0.3), COLD, split)

    assert any("tapping Mn: recovery 0.300" in reason for reason in found.reasons)


def test_golden_row_that_is_not_reproduced_is_refused(
    trained: Model, split: Split, released: Folders
) -> None:
    assert golden_differences(released.work / "bundle") == []

    assert not verdict(trained, COLD, split, ["$.rows[0].response.cost: expected 1, found 2"]).passed


def test_no_unseen_heats_are_a_reason_to_refuse(trained: Model, split: Split) -> None:
    past, test = split
    empty = {name: heats.head(0) for name, heats in test.items()}

    nothing = evaluate(trained.parameters, trained.trees, past, empty)

    found = judge(trained, COLD, empty, nothing, nothing, [], seed=1)

    assert not found.passed
    assert "no heats to compare on" in found.reasons[0]


def test_bootstrap_interval_holds_the_mean_and_repeats() -> None:
    values = np.random.default_rng(0).normal(0.1, 0.5, 300)

    low, high = bootstrap_interval(values, seed=3)

    assert low < values.mean() < high
    assert (low, high) == bootstrap_interval(values, seed=3)
