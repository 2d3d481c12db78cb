"""Train a station's model: physics with priors, tree corrections where they earn their place, slow state,
intervals."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl
from model_service.features import feature_unit
from model_service.parameters import (
    AssumedFirst,
    ElementModel,
    Feature,
    Parameters,
    Range,
    SlowState,
    StationModel,
    SteelMass,
)
from model_service.priors import STATIONS, prior_element
from numpy.typing import NDArray

from ml_pipeline.errors import TooFewHeatsError
from ml_pipeline.steps import corrections, physics
from ml_pipeline.steps.outcome import (
    Terms,
    Vector,
    column,
    feature_matrix,
    lagged,
    predict,
    slow_correction,
    terms,
)
from ml_pipeline.steps.prepare import elements_of, feature_columns
from ml_pipeline.steps.split import split_by_time

MIN_HEATS = 30
LEVEL = 0.9
MAINLY_ADDED, HARDLY_ADDED = 0.2, 0.02
"""Shares of the final content: above the first an element tells of the mass, under the second additions
don't matter."""
CALIBRATION_FRACTION = 0.25
KNOWN_SHARE = 0.3
"""A feature that fewer heats have is no feature."""
FIRST_ANALYSES = ("c_pct", "si_pct", "mn_pct")
"""First analyses that may be features of the trees; carbon at tap stands for oxygen, so the slopes may use
it too."""
TRUSTS = tuple(i / 10 for i in range(1, 11))
SLOW_STATES = [(half_life, prior) for half_life in (4.0, 8.0, 16.0) for prior in (3.0, 8.0, 20.0)]
SLOW_GAIN = 0.995
TUNING_HEATS = 4000


class Trained(NamedTuple):
    """Model parameters, trees by stem, and per station and element what a person wants to know of the fit."""

    parameters: Parameters
    trees: dict[str, str]
    report: dict[str, dict[str, dict[str, object]]]


class _Fitted(NamedTuple):
    model: ElementModel
    trees: dict[str, str]
    notes: dict[str, object]


def train(
    prepared: Mapping[str, pl.DataFrame], seed: int, tell: Callable[[str], None] = lambda _: None
) -> Trained:
    """Train every station of the prepared heats (all of them: hold the test heats back before).

    Raises TooFewHeatsError where no station has enough heats to learn from.
    """
    stations, trees, report = {}, {}, {}
    for name, heats in sorted(prepared.items()):
        if heats.height < MIN_HEATS:
            tell(f"  {name}: {heats.height} heats are too few (at least {MIN_HEATS}); left out")
            continue
        station, of_station, notes = _train_station(name, heats, seed, tell)
        stations[name], report[name] = station, notes
        trees.update(of_station)
    if not stations:
        counts = ", ".join(f"{name} {heats.height}" for name, heats in prepared.items()) or "none"
        raise TooFewHeatsError(
            f"too few heats to train on ({counts}); at least {MIN_HEATS} per station are needed"
        )
    return Trained(Parameters(stations=stations), trees, report)


def _train_station(
    name: str, heats: pl.DataFrame, seed: int, tell: Callable[[str], None]
) -> tuple[StationModel, dict[str, str], dict[str, dict[str, object]]]:
    like = name if name in STATIONS else "ladle_furnace"
    priors = {e: p for e in elements_of(heats) if (p := _prior(like, e, heats)) is not None}
    mass = column(heats, "steel_mass_t")
    shell = StationModel(
        heats=heats.height,
        steel_mass_t=SteelMass(low=_low(mass), high=_high(mass), nominal=float(np.median(mass)), trust=1.0),
        features=_features(heats),
        elements={},
        interval_level=LEVEL,
    )
    shell = msgspec.structs.replace(
        shell, steel_mass_t=msgspec.structs.replace(shell.steel_mass_t, trust=_trust(shell, heats, priors))
    )
    older, newer = split_by_time(heats, CALIBRATION_FRACTION)
    lags = lagged(heats)
    elements, trees, notes = {}, {}, {}
    for element, prior in priors.items():
        known = physics.usable(terms(shell, element, prior, heats))
        if known.sum() < MIN_HEATS:
            elements[element] = prior
            notes[element] = {"heats": int(known.sum()), "model": "prior"}
            continue
        # Whether trees help, and how wide intervals are, is seen on newer heats; then all heats are learnt
        # from.
        trial = _fit_element(name, element, shell, prior, older, seed, _Wanted(recovery=True, offset=True))
        wanted = _kept(trial, shell, element, newer)
        trial = _fit_element(name, element, shell, prior, older, seed, wanted)
        final = _fit_element(name, element, shell, prior, heats, seed, wanted)
        model = _with_slow_state(final, shell, element, heats, lags)
        factor = _interval_factor(
            _at(trial.model, model.slow_state), trial.trees, shell, element, heats, newer, lags
        )
        elements[element] = msgspec.structs.replace(model, interval_factor=factor)
        trees.update(final.trees)
        notes[element] = {**final.notes, "interval_factor": factor, "trees": sorted(final.trees)}
        tell(
            f"  {name} {element}: recovery {model.recovery:.3f}, offset {model.offset_pct:+.4f} %, "
            f"noise {model.noise_sd_pct:.4f} %, "
            f"{int(known.sum())} "
            f"heats{', trees for ' + ' and '.join(_tree_kinds(model)) if final.trees else ''}"
        )
    return msgspec.structs.replace(shell, elements=dict(sorted(elements.items()))), trees, notes


class _Wanted(NamedTuple):
    recovery: bool
    offset: bool


def _fit_element(
    station: str,
    element: str,
    shell: StationModel,
    prior: ElementModel,
    heats: pl.DataFrame,
    seed: int,
    wanted: _Wanted,
) -> _Fitted:
    known = terms(shell, element, prior, heats)
    use = physics.usable(known)
    known = type(known)(*(values[use] for values in known))
    matrix = feature_matrix(shell, heats)[use]
    slopes = [
        f for f in shell.features if f.name not in FIRST_ANALYSES or (f.name == "c_pct" and element != "C")
    ]
    scale = np.array([_scale(matrix[:, shell.features.index(f)]) for f in slopes])
    columns = [
        (matrix[:, shell.features.index(f)] - f.default) / s for f, s in zip(slopes, scale, strict=True)
    ]
    standard = np.column_stack(columns) if columns else np.zeros((len(matrix), 0))
    expected = np.array([prior.offset_slopes.get(f.name, 0.0) for f in slopes]) * scale
    oxygen_known = any(f.name == "oxygen_ppm" for f in shell.features)
    added_error = physics.ADDED_ERROR_WITH_OXYGEN if oxygen_known else physics.ADDED_ERROR
    fitted = physics.fit(known, standard, prior, expected, added_error)
    residual, trees = fitted.residual_pct, {}
    recovery_cap, offset_cap = (
        corrections.CAP_SD * fitted.recovery_sd,
        corrections.CAP_SD * fitted.noise_sd_pct,
    )
    enough = len(residual) >= corrections.MIN_HEATS and bool(shell.features)
    by_recovery, by_offset = (f"{station}.{element}.{kind}" for kind in ("recovery", "offset"))
    mainly_added = np.median(known.added_pct) > HARDLY_ADDED * np.median(known.final_pct)
    if enough and wanted.recovery and mainly_added:
        correction = corrections.recovery_correction(residual, known.added_pct, matrix, recovery_cap, seed)
        residual = residual - known.added_pct * corrections.said(correction, matrix)
        trees[by_recovery] = correction.text
    if enough and wanted.offset:
        correction = corrections.offset_correction(residual, matrix, offset_cap, seed)
        residual = residual - corrections.said(correction, matrix)
        trees[by_offset] = correction.text
    noise = fitted.noise_sd_pct
    if trees:  # what the trees explain is no longer noise
        noise *= min(
            1.0, max(physics.robust_sd(residual) / max(physics.robust_sd(fitted.residual_pct), 1e-9), 0.3)
        )
    apparent = _apparent_recovery(known)
    first = column(heats, f"first.{element}")
    first = first[~np.isnan(first)]
    model = msgspec.structs.replace(
        prior,
        recovery=fitted.recovery,
        recovery_sd=fitted.recovery_sd,
        noise_sd_pct=noise,
        offset_pct=fitted.offset_pct,
        offset_slopes={f.name: float(v / s) for f, v, s in zip(slopes, fitted.slopes, scale, strict=True)},
        recovery_tree=by_recovery if by_recovery in trees else None,
        recovery_cap=recovery_cap if by_recovery in trees else 0.0,
        offset_tree=by_offset if by_offset in trees else None,
        offset_cap_pct=offset_cap if by_offset in trees else 0.0,
        first_range=Range(low=_low(first), high=_high(first))
        if len(first) >= MIN_HEATS
        else prior.first_range,
        added_high_pct=_high(known.added_pct),
        slow_state=SlowState(residual_sd_pct=max(physics.robust_sd(residual), 1e-6), prior_heats=None),
    )
    notes: dict[str, object] = {
        "heats": len(residual),
        "model": "fitted",
        "recovery": fitted.recovery,
        "recovery_standard_error": fitted.recovery_standard_error,
        "recovery_prior": prior.recovery,
        "apparent_recovery": apparent,
        "offset_pct": fitted.offset_pct,
        "noise_sd_pct": noise,
        "recovery_sd": fitted.recovery_sd,
        "downweighted_share": float(np.mean(fitted.weight < 0.5)),
    }
    return _Fitted(model, trees, notes)


def _kept(trial: _Fitted, shell: StationModel, element: str, newer: pl.DataFrame) -> _Wanted:
    """Which tree corrections improve heats newer than those they learnt from; the offset's comes on top of
    the recovery's."""
    variants = []
    for recovery_tree, offset_tree in (
        (None, None),
        (trial.model.recovery_tree, None),
        (trial.model.recovery_tree, trial.model.offset_tree),
    ):
        model = msgspec.structs.replace(trial.model, recovery_tree=recovery_tree, offset_tree=offset_tree)
        seen = predict(_one(shell, element, model), element, trial.trees, newer)
        error = seen.final_pct - seen.base_pct
        variants.append(error[~np.isnan(error)])
    plain, with_recovery, with_both = variants
    keep_recovery = bool(trial.model.recovery_tree) and corrections.improves(plain, with_recovery)
    keep_offset = bool(trial.model.offset_tree) and corrections.improves(
        with_recovery if keep_recovery else plain, with_both
    )
    return _Wanted(keep_recovery, keep_offset)


def _with_slow_state(
    fitted: _Fitted, shell: StationModel, element: str, heats: pl.DataFrame, lags: NDArray[np.intp]
) -> ElementModel:
    """The slow state that would have made the smallest error, or none."""
    seen = predict(_one(shell, element, fitted.model), element, fitted.trees, heats, lags=lags)
    error = seen.final_pct - seen.base_pct
    newest = slice(max(0, heats.height - TUNING_HEATS), None)
    sd = fitted.model.slow_state.residual_sd_pct
    best, smallest = (
        SlowState(residual_sd_pct=sd, prior_heats=None),
        SLOW_GAIN * np.nanmean(np.abs(error[newest])),
    )
    for half_life, prior_heats in SLOW_STATES:
        candidate = SlowState(residual_sd_pct=sd, half_life_heats=half_life, prior_heats=prior_heats)
        mae = np.nanmean(np.abs(error[newest] - slow_correction(error, lags[newest], candidate)))
        if mae < smallest:
            best, smallest = candidate, mae
    return _at(fitted.model, best)


def _interval_factor(
    model: ElementModel,
    trees: dict[str, str],
    shell: StationModel,
    element: str,
    heats: pl.DataFrame,
    newer: pl.DataFrame,
    lags: NDArray[np.intp],
) -> float:
    """Split-conformal: the quantile of |result - prediction| / sd on heats newer than those the model learnt
    from."""
    seen = predict(_one(shell, element, model), element, trees, heats, lags=lags)
    is_newer = np.asarray((heats["completed_at"] >= newer["completed_at"].min()).to_numpy())
    score = np.sort(
        (np.abs(seen.final_pct - seen.predicted_pct) / seen.sd_pct)[
            is_newer & ~np.isnan(seen.final_pct - seen.predicted_pct)
        ]
    )
    if len(score) < MIN_HEATS:
        return 1.6448536269514722
    return float(max(score[min(math.ceil((len(score) + 1) * LEVEL), len(score)) - 1], 0.1))


def _trust(shell: StationModel, heats: pl.DataFrame, priors: Mapping[str, ElementModel]) -> float:
    """How far the scale is trusted: the share that makes the increments of what is mainly added fit best
    (errors in variables)."""
    losses = np.zeros(len(TRUSTS))
    for element, prior in priors.items():
        if prior.added_high_pct is None:
            continue
        for i, trust in enumerate(TRUSTS):
            station = msgspec.structs.replace(
                shell, steel_mass_t=msgspec.structs.replace(shell.steel_mass_t, trust=trust)
            )
            known = terms(station, element, prior, heats)
            use = physics.usable(known)
            known = type(known)(*(values[use] for values in known))
            losses[i] += np.log(
                max(
                    physics.robust_sd(
                        physics.fit(known, np.zeros((use.sum(), 0)), prior, np.zeros(0)).residual_pct
                    ),
                    1e-9,
                )
            )
    return TRUSTS[int(np.argmin(losses))] if np.any(losses) else 1.0


def _prior(station: str, element: str, heats: pl.DataFrame) -> ElementModel | None:
    """The literature's model, with the plant's own usual first analysis; `added_high_pct` marks what is
    mainly added."""
    prior = prior_element(station, element)
    if prior is None:
        return None
    first, final = column(heats, f"first.{element}"), column(heats, f"final.{element}")
    measured = first[~np.isnan(first)]
    if len(measured) >= MIN_HEATS and len(measured) < heats.height:
        spread = max(physics.robust_sd(measured), 0.02 * float(np.median(measured)))
        prior = msgspec.structs.replace(
            prior, assumed_first=AssumedFirst(pct=float(np.median(measured)), sd_pct=spread)
        )
    added = np.nan_to_num(column(heats, f"added_kg.{element}")) / (10 * column(heats, "steel_mass_t"))
    known = final[~np.isnan(final)]
    enough = len(known) >= MIN_HEATS
    if len(measured) < MIN_HEATS and prior.assumed_first is not None and enough:
        # Nobody measures it before. Where it is no alloying element here, what the results leave after the
        # additions is its
        # usual value; how far it strays is then part of the noise that heats show, also once somebody does
        # measure it.
        left = np.median((final - prior.recovery * added)[~np.isnan(final)])
        usual = (
            float(max(left, 0.0))
            if np.median(added) < MAINLY_ADDED * np.median(known)
            else prior.assumed_first.pct
        )
        prior = msgspec.structs.replace(
            prior, assumed_first=AssumedFirst(pct=usual, sd_pct=0.1 * prior.noise_sd_pct)
        )
    if not enough or np.median(added) < MAINLY_ADDED * np.median(known):
        return prior
    return msgspec.structs.replace(prior, added_high_pct=_high(added))


def _features(heats: pl.DataFrame) -> list[Feature]:
    """Features that most heats have and that vary."""
    found = []
    for name in feature_columns(heats):
        values = column(heats, f"f.{name}")
        values = values[~np.isnan(values)]
        first_analysis = name.endswith("_pct") and not name.startswith("slag_") and name not in FIRST_ANALYSES
        if (
            first_analysis
            or name == "steel_mass_t"
            or len(values) < KNOWN_SHARE * heats.height
            or _low(values) >= _high(values)
        ):
            continue
        found.append(
            Feature(
                name=name,
                unit=feature_unit(name),
                low=_low(values),
                high=_high(values),
                default=float(np.median(values)),
            )
        )
    return found


def _apparent_recovery(known: Terms) -> float | None:
    """Median of (last - first) / added, as plants reckon it: without dilution and offset."""
    some = known.added_pct > 0.3 * np.median(known.added_pct)
    some &= known.added_pct > 0
    if some.sum() < MIN_HEATS:
        return None
    return float(np.median((known.final_pct[some] - known.first_pct[some]) / known.added_pct[some]))


def _one(shell: StationModel, element: str, model: ElementModel) -> StationModel:
    return msgspec.structs.replace(shell, elements={element: model})


def _at(model: ElementModel, slow_state: SlowState) -> ElementModel:
    return msgspec.structs.replace(model, slow_state=slow_state)


def _tree_kinds(model: ElementModel) -> list[str]:
    return [kind for kind, tree in (("recovery", model.recovery_tree), ("offset", model.offset_tree)) if tree]


def _low(values: Vector) -> float:
    return float(np.nanquantile(values, 0.002, method="lower"))


def _high(values: Vector) -> float:
    return float(np.nanquantile(values, 0.998, method="higher"))


def _scale(values: Vector) -> float:
    return float(np.std(values)) or 1.0
