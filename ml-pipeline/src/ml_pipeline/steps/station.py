"""What is known of a station before its elements are fitted: features, mass, and the plant's own priors."""

from collections.abc import Mapping

import msgspec
import numpy as np
import polars as pl
from model_service.features import feature_unit
from model_service.parameters import (
    AssumedFirst,
    ElementModel,
    Feature,
    Range,
    StationModel,
    SteelMass,
)
from model_service.priors import STATIONS, prior_element, prior_oxygen, unknown_element

from ml_pipeline.steps import physics
from ml_pipeline.steps.columns import Vector, column
from ml_pipeline.steps.outcome import measured, terms
from ml_pipeline.steps.prepare import elements_of, feature_columns
from ml_pipeline.steps.priors import OwnPrior, believed

MIN_HEATS = 30
LEVEL = 0.9
MAINLY_ADDED = 0.2
"""Share of the final content above which an element is alloyed here, and tells of the mass."""
KNOWN_SHARE = 0.3
"""A feature that fewer heats have is no feature."""
FIRST_ANALYSES = ("c_pct", "si_pct", "mn_pct")
"""First analyses that may be features; carbon at tap stands for oxygen."""
TRUSTS = tuple(i / 10 for i in range(1, 11))
UNKNOWN_NOISE = 0.02
"""Of the usual content, of an element that the literature's tables leave out."""
LIKE_UNKNOWN = "ladle_furnace"
"""Station whose priors are taken for one that the literature has no figures of."""


def station_shell(station: str, heats: pl.DataFrame, priors: Mapping[str, ElementModel]) -> StationModel:
    """A station's model without elements."""
    mass = column(heats, "steel_mass_t")
    low, high = seen_range(mass)
    shell = StationModel(
        heats=heats.height,
        steel_mass_t=SteelMass(low=low, high=high, nominal=float(np.median(mass)), trust=1.0),
        features=_features(heats),
        elements={},
        interval_level=LEVEL,
        oxygen=prior_oxygen(station),
    )
    return _trusting(shell, _trust(shell, heats, priors))


def plant_priors(
    station: str, heats: pl.DataFrame, own: Mapping[str, OwnPrior] | None = None
) -> dict[str, ElementModel]:
    """The literature's model of every element that has results, with what the plant believes instead and its
    own usual first analyses; a vague one of those that the literature has no figures of."""
    like = station if station in STATIONS else LIKE_UNKNOWN
    found = {e: prior_element(like, e) or _unknown(heats, e) for e in elements_of(heats)}
    return {e: _at_plant(believed(prior, own or {}, e), e, heats) for e, prior in found.items()}


def _unknown(heats: pl.DataFrame, element: str) -> ElementModel:
    finals = measured(column(heats, f"final.{element}"))
    usual = float(np.median(finals)) if len(finals) else 0.0
    return unknown_element(max(UNKNOWN_NOISE * usual, 1e-4), max(10 * usual, 0.01))


def seen_range(values: Vector) -> tuple[float, float]:
    """What nearly all heats lie between: a single wrong reading must not stretch the range."""
    low = float(np.nanquantile(values, 0.002, method="lower"))
    return low, float(np.nanquantile(values, 0.998, method="higher"))


def _at_plant(prior: ElementModel, element: str, heats: pl.DataFrame) -> ElementModel:
    first, final = column(heats, f"first.{element}"), column(heats, f"final.{element}")
    firsts, finals = measured(first), measured(final)
    added = np.nan_to_num(column(heats, f"added_kg.{element}")) / (10 * column(heats, "steel_mass_t"))
    alloyed = len(finals) >= MIN_HEATS and np.median(added) >= MAINLY_ADDED * np.median(finals)
    if MIN_HEATS <= len(firsts) < heats.height:
        spread = max(physics.robust_sd(firsts), 0.02 * float(np.median(firsts)))
        assumed = AssumedFirst(pct=float(np.median(firsts)), sd_pct=spread)
        prior = msgspec.structs.replace(prior, assumed_first=assumed)
    elif len(firsts) < MIN_HEATS <= len(finals) and prior.assumed_first is not None:
        # Nobody measures it before. Where it is not alloyed, what the results leave after the additions is
        # its usual value; how far it strays is part of the noise that heats show, also once it is measured.
        left = max(float(np.median(measured(final - prior.recovery * added))), 0.0)
        usual = prior.assumed_first.pct if alloyed else left
        assumed = AssumedFirst(pct=usual, sd_pct=0.1 * prior.noise_sd_pct)
        prior = msgspec.structs.replace(prior, assumed_first=assumed)
    if len(firsts) >= MIN_HEATS:
        low, high = seen_range(firsts)
        prior = msgspec.structs.replace(prior, first_range=Range(low=low, high=high))
    return msgspec.structs.replace(prior, added_high_pct=seen_range(added)[1] if alloyed else None)


def _features(heats: pl.DataFrame) -> list[Feature]:
    """Features that most heats have and that vary."""
    found = []
    for name in feature_columns(heats):
        values = measured(column(heats, f"f.{name}"))
        first_analysis = name.endswith("_pct") and not name.startswith("slag_")
        if name == "steel_mass_t" or (first_analysis and name not in FIRST_ANALYSES):
            continue
        if len(values) < KNOWN_SHARE * heats.height:
            continue
        low, high = seen_range(values)
        if low < high:
            middle = float(np.median(values))
            found.append(Feature(name=name, unit=feature_unit(name), low=low, high=high, default=middle))
    return found


def _trust(shell: StationModel, heats: pl.DataFrame, priors: Mapping[str, ElementModel]) -> float:
    """How far the scale is trusted: the share with which the increments of alloying elements fit best."""
    losses = np.zeros(len(TRUSTS))
    for element, prior in priors.items():
        if prior.added_high_pct is None:
            continue
        for i, trust in enumerate(TRUSTS):
            known = physics.only_usable(terms(_trusting(shell, trust), element, prior, heats))
            if len(known.added_pct) >= MIN_HEATS:
                fitted = physics.fit(known, np.zeros((len(known.added_pct), 0)), prior, np.zeros(0))
                losses[i] += np.log(max(physics.robust_sd(fitted.residual_pct), 1e-9))
    return TRUSTS[int(np.argmin(losses))] if np.any(losses) else 1.0


def _trusting(shell: StationModel, trust: float) -> StationModel:
    mass = msgspec.structs.replace(shell.steel_mass_t, trust=trust)
    return msgspec.structs.replace(shell, steel_mass_t=mass)
