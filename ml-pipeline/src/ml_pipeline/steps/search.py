"""Hyper-parameters of the trees, searched for with Optuna on training heats alone.

Each trial grows the trees of every alloyed element on older heats and judges them on the newer ones that
follow, twice. Heats of a lot share what its certificate does not say, and parameters would be praised for
having learnt that: newer heats with a lot that older ones had are not judged by. Where nothing is better by
half a per cent, everything stays as it is.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from model_service.parameters import ElementModel, StationModel

from ml_pipeline.errors import SearchError
from ml_pipeline.steps import corrections, physics
from ml_pipeline.steps.corrections import Growing
from ml_pipeline.steps.element import Wanted, fit_element, one_element
from ml_pipeline.steps.outcome import measured, predict, terms
from ml_pipeline.steps.priors import OwnPrior, OwnPriors
from ml_pipeline.steps.split import IN_TIME, newest_heats, shares_lots
from ml_pipeline.steps.station import plant_priors, station_shell

MOST_HEATS = 20_000
"""Of a station, the newest, that are searched on: a trial takes seconds."""
CUTS, JUDGED = (0.6, 0.8), 0.2
"""Shares of the heats that a fold learns from, and of those after them that it judges by."""
BETTER = 0.995


class Found(NamedTuple):
    """`told`: what LightGBM is to be told otherwise than usual, empty where nothing is better; `error` of it,
    and `usual_error`: mean |error| beside that without trees; every trial for the record."""

    told: dict[str, Any]
    error: float
    usual_error: float
    tried: list[dict[str, Any]]


class Fold(NamedTuple):
    """One element of a station, to be fitted on `older` and judged on `newer`; `error_without_pct` is what
    remains there without trees."""

    station: str
    element: str
    shell: StationModel
    prior: ElementModel
    older: pl.DataFrame
    newer: pl.DataFrame
    error_without_pct: float = 1.0


def search(
    past: Mapping[str, pl.DataFrame], trials: int, seed: int, own_priors: OwnPriors | None = None
) -> Found:
    """Try the usual and `trials` other parameters on the training heats of every station; the same heats,
    priors, trials and seed find the same.

    Raises SearchError where Optuna is not installed, or no heats are enough to grow trees on.
    """
    try:
        import optuna
    except ImportError as error:
        raise SearchError(
            "a search of hyper-parameters needs Optuna, which is not installed; install ml-pipeline[search], "
            "or leave --trials out"
        ) from error
    own = own_priors or {}
    made = [fold for name, heats in sorted(past.items()) for fold in folds(name, heats, own.get(name))]
    if not made:
        raise SearchError(
            f"no station has an alloyed element with {corrections.MIN_HEATS} heats to grow trees on and "
            f"{corrections.MIN_JUDGED} newer ones, of other lots, to judge them by; leave --trials out"
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    usual = corrections.usual()
    study.enqueue_trial({name: usual[name] for name in SPACE})
    study.optimize(lambda trial: _error(made, Growing(seed, suggested(trial))), n_trials=trials + 1)
    tried = [{"error": t.value, **t.params} for t in study.trials]
    best = min(tried, key=lambda one: one["error"])
    usual_error = tried[0]["error"]
    is_better = best["error"] < BETTER * usual_error
    told = {name: best[name] for name in SPACE} if is_better else {}
    return Found(told, best["error"] if told else usual_error, usual_error, tried)


SPACE = ("num_leaves", "min_data_in_leaf", "learning_rate", "lambda_l2", "num_iterations")


def suggested(trial: Any) -> dict[str, Any]:
    """The parameters of an Optuna trial: not far from the usual, since a bundle may not grow tenfold."""
    return {
        "num_leaves": trial.suggest_int("num_leaves", 3, 15),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 20, 160, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.1, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 1.0, 100.0, log=True),
        "num_iterations": trial.suggest_int("num_iterations", 40, 160),
    }


def folds(station: str, heats: pl.DataFrame, own: Mapping[str, OwnPrior] | None = None) -> list[Fold]:
    """Every alloyed element in each fold of a station; none where heats are too few to grow trees on."""
    known = newest_heats(heats, MOST_HEATS).sort(IN_TIME)
    found = []
    for cut in CUTS:
        older = known.head(round(cut * known.height))
        newer = known.slice(older.height, round(JUDGED * known.height))
        newer = newer.filter(~shares_lots(newer, older))
        if older.height < corrections.MIN_HEATS or newer.height < corrections.MIN_JUDGED:
            continue
        priors = plant_priors(station, older, own)
        shell = station_shell(station, older, priors)
        for element, prior in priors.items():
            learnt_from = physics.usable(terms(shell, element, prior, older)).sum()
            judged_by = physics.usable(terms(shell, element, prior, newer)).sum()
            if (
                prior.added_high_pct is not None
                and learnt_from >= corrections.MIN_HEATS
                and judged_by >= corrections.MIN_JUDGED
            ):
                fold = Fold(station, element, shell, prior, older, newer)
                found.append(fold._replace(error_without_pct=_error_pct(fold, None)))
    return found


def _error(made: list[Fold], growing: Growing) -> float:
    """Mean over elements and folds of the mean |error| on newer heats, beside that without trees."""
    return float(np.mean([_error_pct(fold, growing) / max(fold.error_without_pct, 1e-9) for fold in made]))


def _error_pct(fold: Fold, growing: Growing | None) -> float:
    """Mean |error| on the newer heats, without the slow state; None: without trees."""
    trees = Wanted(recovery=growing is not None, offset=growing is not None)
    grown = growing or Growing(seed=0)
    fitted = fit_element(fold.station, fold.element, fold.shell, fold.prior, fold.older, grown, trees)
    alone = one_element(fold.shell, fold.element, fitted.model)
    seen = predict(alone, fold.element, fitted.trees, fold.newer)
    return float(np.mean(np.abs(measured(seen.final_pct - seen.base_pct))))
