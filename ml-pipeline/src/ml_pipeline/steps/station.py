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
    UsualFirst,
)
from model_service.priors import STATIONS, prior_element, prior_oxygen, unknown_element

from ml_pipeline.steps import physics
from ml_pipeline.steps.columns import Vector, column
from ml_pipeline.steps.outcome import Terms, measured, terms
from ml_pipeline.steps.prepare import elements_of, feature_columns
from ml_pipeline.steps.priors import OwnPrior, believed
from ml_pipeline.steps.split import newest_heats

MIN_HEATS = 30
VAGUE_SD = 0.1
"""Of a recovery that the literature hardly knows."""
UNASKED_SD = 0.02
MIN_OF_GRADE = 10
"""Heats of a grade that tell what its first analysis usually is."""
LEAST_STRAY = 0.02
"""Of the usual first analysis: nothing is believed to stray less."""
LEVEL = 0.9
MAINLY_ADDED = 0.2
"""Share of the final content above which an element is alloyed here, and tells of the mass."""
KNOWN_SHARE = 0.3
"""A feature that fewer heats have is no feature."""
FIRST_ANALYSES = ("c_pct", "si_pct", "mn_pct")
"""First analyses that may be features; carbon at tap stands for oxygen."""
CARRY_OVER = "slag_carry_over_kg_t"
MUCH = 0.2
"""Of the largest addition: under it, oxygen takes too little to be seen."""
TRUSTS = tuple(i / 10 for i in range(1, 11))
TRUST_HEATS = 20_000
"""Newest heats that are enough to tell one tenth from the next."""
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
    return _trusting_slag(_trusting(shell, _trust(shell, heats, priors)), heats, priors)


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
        of_grade = {
            str(grade): _usual(values)
            for (grade,), some in heats.group_by("grade", maintain_order=True)
            if len(values := measured(column(some, f"first.{element}"))) >= MIN_OF_GRADE
        }
        every = _usual(firsts)
        assumed = AssumedFirst(pct=every.pct, sd_pct=every.sd_pct, by_grade=dict(sorted(of_grade.items())))
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
    brought = (added > 0) & ~np.isnan(first + final)
    if prior.recovery_sd >= VAGUE_SD and not alloyed and brought.sum() >= MIN_HEATS:
        # What is taken out of the steel (sulphur) is taken out of what additions bring too. More cannot be
        # learnt of what comes in unasked: the heats that get it differ in what they had.
        stays = (added * final)[brought].sum() / (added * (first + added))[brought].sum()
        left = min(prior.recovery, float(stays))
        prior = msgspec.structs.replace(prior, recovery=left, recovery_sd=UNASKED_SD)
    return msgspec.structs.replace(prior, added_high_pct=seen_range(added)[1] if alloyed else None)


def _usual(firsts: Vector) -> UsualFirst:
    """Median, and the deviation from it of all but the gross errors: grades apart count, as one of them may
    be what is not measured."""
    middle, least = float(np.median(firsts)), LEAST_STRAY * float(np.median(firsts))
    low, high = np.quantile(firsts, (0.005, 0.995))
    strays = np.clip(firsts, low, high) - middle
    return UsualFirst(pct=middle, sd_pct=max(float(np.sqrt(np.mean(strays**2))), least))


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
    heats = newest_heats(heats, TRUST_HEATS)
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


def _trusting_slag(
    shell: StationModel, heats: pl.DataFrame, priors: Mapping[str, ElementModel]
) -> StationModel:
    """The station with the plant's usual carried-over slag, and the estimate of it trusted as far as it tells
    what oxygen took in the newest heats."""
    newest = heats.sort("completed_at", "heat_uid", "treatment_no").tail(TRUST_HEATS)
    estimates = (
        measured(column(newest, f"f.{CARRY_OVER}")) if f"f.{CARRY_OVER}" in newest.columns else np.zeros(0)
    )
    estimates = estimates[estimates > 0]
    if shell.oxygen is None or len(estimates) < MIN_HEATS:
        return shell
    usual, found = float(np.median(estimates)), list[tuple[float, StationModel]]()
    for trust in TRUSTS:
        oxygen = msgspec.structs.replace(shell.oxygen, carry_over_kg_t=usual, slag_trust=trust)
        station = msgspec.structs.replace(shell, oxygen=oxygen)
        told = [_left(station, e, priors[e], newest) for e in sorted(oxygen.kg_per_kg.keys() & priors.keys())]
        found.append((sum(told), station))
    return min(found, key=lambda pair: pair[0])[1]


def _left(station: StationModel, element: str, prior: ElementModel, heats: pl.DataFrame) -> float:
    """Logarithm of what is left unexplained where much of the element is added; 0 where it hardly ever is."""
    known = physics.only_usable(terms(station, element, prior, heats))
    much = known.added_pct > MUCH * float(np.max(known.added_pct, initial=0.0))
    if much.sum() < MIN_HEATS:
        return 0.0
    known = Terms(*(values[much] for values in known))
    fitted = physics.fit(known, np.zeros((len(known.added_pct), 0)), prior, np.zeros(0))
    return float(np.log(max(physics.robust_sd(fitted.residual_pct), 1e-9)))


def _trusting(shell: StationModel, trust: float) -> StationModel:
    mass = msgspec.structs.replace(shell.steel_mass_t, trust=trust)
    return msgspec.structs.replace(shell, steel_mass_t=mass)
