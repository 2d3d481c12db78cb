"""Fit one element of a station: physics with priors, then the tree corrections that are wanted."""

from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl
from model_service.parameters import ElementModel, Feature, SlowState, StationModel
from numpy.typing import NDArray

from ml_pipeline.steps import corrections, physics
from ml_pipeline.steps.corrections import Growing
from ml_pipeline.steps.outcome import Terms, feature_matrix, measured, predict, terms
from ml_pipeline.steps.station import FIRST_ANALYSES, MIN_HEATS, seen_range

HARDLY_ADDED = 0.02
"""Share of the final content under which additions say nothing of a recovery."""


class Wanted(NamedTuple):
    """Which tree corrections to make."""

    recovery: bool
    offset: bool


class Fitted(NamedTuple):
    """A model without slow state and with the priors' interval, its trees by stem, notes for a person."""

    model: ElementModel
    trees: dict[str, str]
    notes: dict[str, object]


def fit_element(
    station: str,
    element: str,
    shell: StationModel,
    prior: ElementModel,
    heats: pl.DataFrame,
    growing: Growing,
    wanted: Wanted,
) -> Fitted:
    """Fit `element` on all heats that have what it takes; `prior` is the plant's own."""
    everything = terms(shell, element, prior, heats)
    use = physics.usable(everything)
    known = physics.only_usable(everything)
    matrix = feature_matrix(shell, heats)[use]
    slopes, scale, standard = _standardised(shell, element, matrix)
    expected = np.array([prior.offset_slopes.get(f.name, 0.0) for f in slopes]) * scale
    oxygen_known = any(f.name == "oxygen_ppm" for f in shell.features)
    added_error = physics.ADDED_ERROR_WITH_OXYGEN if oxygen_known else physics.ADDED_ERROR
    fitted = physics.fit(known, standard, prior, expected, added_error)

    residual, trees = fitted.residual_pct, dict[str, str]()
    recovery_cap, offset_cap = (corrections.CAP_SD * sd for sd in (fitted.recovery_sd, fitted.noise_sd_pct))
    by_recovery, by_offset = f"{station}.{element}.recovery", f"{station}.{element}.offset"
    enough = len(residual) >= corrections.MIN_HEATS and bool(shell.features)
    mainly_added = np.median(known.added_pct) > HARDLY_ADDED * np.median(known.final_pct)
    if enough and wanted.recovery and mainly_added:
        made = corrections.recovery_correction(residual, known.added_pct, matrix, recovery_cap, growing)
        residual = residual - known.added_pct * corrections.said(made, matrix)
        trees[by_recovery] = made.text
    if enough and wanted.offset:
        made = corrections.offset_correction(residual, matrix, offset_cap, growing)
        residual = residual - corrections.said(made, matrix)
        trees[by_offset] = made.text
    left = physics.robust_sd(residual) / max(physics.robust_sd(fitted.residual_pct), 1e-9)
    left = min(max(left, 0.3), 1.0) if trees else 1.0  # explained is no longer noise
    noise, share = fitted.noise_sd_pct * left, fitted.noise_share * left
    model = msgspec.structs.replace(
        prior,
        recovery=fitted.recovery,
        recovery_sd=fitted.recovery_sd,
        debit=fitted.debit,
        debit_sd=fitted.debit_sd,
        noise_sd_pct=noise,
        noise_share=share,
        offset_pct=fitted.offset_pct,
        offset_slopes={f.name: float(v / s) for f, v, s in zip(slopes, fitted.slopes, scale, strict=True)},
        recovery_tree=by_recovery if by_recovery in trees else None,
        recovery_cap=recovery_cap if by_recovery in trees else 0.0,
        offset_tree=by_offset if by_offset in trees else None,
        offset_cap_pct=offset_cap if by_offset in trees else 0.0,
        added_high_pct=seen_range(known.added_pct)[1],
        slow_state=SlowState(residual_sd_pct=max(physics.robust_sd(residual), 1e-6), prior_heats=None),
    )
    notes: dict[str, object] = {
        "heats": len(residual),
        "model": "fitted",
        "recovery": fitted.recovery,
        "recovery_standard_error": fitted.recovery_standard_error,
        "recovery_prior": prior.recovery,
        "net_recovery": _net_recovery(known, fitted),
        "apparent_recovery": _apparent_recovery(known),
        "debit": fitted.debit,
        "debit_sd": fitted.debit_sd,
        "offset_pct": fitted.offset_pct,
        "noise_sd_pct": noise,
        "noise_share": share,
        "recovery_sd": fitted.recovery_sd,
        "downweighted_share": float(np.mean(fitted.weight < 0.5)),
    }
    return Fitted(model, trees, notes)


def useful_trees(trial: Fitted, shell: StationModel, element: str, newer: pl.DataFrame) -> Wanted:
    """Which corrections improve heats newer than those they learnt from; the offset's comes second."""
    model, errors = trial.model, []
    for recovery, offset in (
        (None, None),
        (model.recovery_tree, None),
        (model.recovery_tree, model.offset_tree),
    ):
        variant = msgspec.structs.replace(model, recovery_tree=recovery, offset_tree=offset)
        seen = predict(one_element(shell, element, variant), element, trial.trees, newer)
        errors.append(measured(seen.final_pct - seen.base_pct))
    plain, with_recovery, with_both = errors
    recovery_helps = model.recovery_tree is not None and corrections.improves(plain, with_recovery)
    before = with_recovery if recovery_helps else plain
    return Wanted(recovery_helps, model.offset_tree is not None and corrections.improves(before, with_both))


def one_element(shell: StationModel, element: str, model: ElementModel) -> StationModel:
    """The station with this element alone."""
    return msgspec.structs.replace(shell, elements={element: model})


def _standardised(
    shell: StationModel, element: str, matrix: NDArray[np.float64]
) -> tuple[list[Feature], NDArray[np.float64], NDArray[np.float64]]:
    """Features that may have slopes, the deviation of each, and their columns in those units.

    First analyses may not: they are what operators answer to. Carbon at tap may, as it stands for oxygen.
    """
    chosen = [
        (i, f)
        for i, f in enumerate(shell.features)
        if f.name not in FIRST_ANALYSES or (f.name == "c_pct" and element != "C")
    ]
    scale = np.array([float(np.std(matrix[:, i])) or 1.0 for i, _ in chosen])
    columns = [(matrix[:, i] - f.default) / s for (i, f), s in zip(chosen, scale, strict=True)]
    standard = np.column_stack(columns) if columns else np.zeros((len(matrix), 0))
    return [f for _, f in chosen], scale, standard


def _net_recovery(known: Terms, fitted: physics.Physics) -> float | None:
    """Share of a usual addition that stays, after what oxygen takes of it."""
    some = known.added_pct > 0.3 * max(float(np.median(known.added_pct)), 1e-6)
    if not np.any(some):
        return None
    burnt = fitted.debit * known.really_burnt_pct[some] / known.added_pct[some]
    return fitted.recovery - float(np.median(burnt))


def _apparent_recovery(known: Terms) -> float | None:
    """Median of (last - first) / added, as plants reckon it: without dilution and offset."""
    some = (known.added_pct > 0.3 * np.median(known.added_pct)) & (known.added_pct > 0)
    if some.sum() < MIN_HEATS:
        return None
    return float(np.median((known.final_pct[some] - known.read_pct[some]) / known.added_pct[some]))
