"""What can be known of a heat before its additions, by somebody who knows the plant's true parameters.

He sees the same readings as a recommender, and knows besides: the true assay of every lot, the distributions
that nature and instruments draw from, and how the heats before really went (what a perfect memory of their
results would tell). He does not know this heat's own chance: a belief is a set of possible heats of equal
weight.

At the ladle furnace a recommender is told nothing of the heat's tapping, so neither is he: he knows what
heats of the grade bring there as a rule (from other lines of the plant), and believes the first sample as far
as it deserves beside that; where there is no sample, that is all he knows.
"""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from plant_simulator.catalogue import DEOXIDATIONS, LADLE_FURNACE, Catalogue
from plant_simulator.elements import ELEMENTS, INDEX, Floats, vector
from plant_simulator.hidden import HiddenHeats, LadleChance
from plant_simulator.ladle_furnace import HiddenLadles
from plant_simulator.parameters import Parameters
from plant_simulator.policies import scenes
from plant_simulator.policies.cases import Cases, is_tapping

POSSIBLE_HEATS = 128
C, WIDTH = INDEX["C"], len(ELEMENTS)
DIMENSIONS = 16 + 3 * WIDTH

ARRIVING = ("steel_mass_t", "slag_kg_t", "slag_feo_pct", "slag_mno_pct")
OTHER_SEED, OTHER_HEATS, LEAST_OF_KIND = 900_002, (32, 96), 24

Belief = HiddenHeats | HiddenLadles
"""Hidden heats whose arrays have a second axis of POSSIBLE_HEATS (or of 1, where something is known)."""


_remembered: list[tuple[Catalogue, Parameters, tuple[Floats, Floats]]] = []
"""What came to the ladle furnace of the plant that was asked about last."""


def normals(count: int, dimensions: int) -> Floats:
    """Standard normals (count, dimensions), always the same; means 0 and variances 1 exactly, no correlation
    where half of `count` is as large as `dimensions`.
    """
    half = np.random.default_rng(20260101).standard_normal((count // 2, dimensions))
    if count // 2 >= dimensions:
        half = np.linalg.qr(half)[0]
    half *= np.sqrt(count // 2 / (half**2).sum(axis=0))
    return np.concatenate([half, -half])


def possible(plant: Catalogue, parameters: Parameters, cases: Cases) -> Belief:
    """Possible truths of each heat, given its readings.

    Of the hidden truth only the lots (he knows them) and the heats before (the memory of dissolution) are
    used.
    """
    z = iter(normals(POSSIBLE_HEATS, DIMENSIONS).T)
    return (_heats if is_tapping(cases) else _ladles)(plant, parameters, cases, z)


def but_for_the_sample(plant: Catalogue, parameters: Parameters, cases: Cases) -> Belief:
    """The truth of each heat, recovery and all, but for its chemistry, of which only the readings are
    known.
    """

    def widened(value: Any) -> Any:
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{f.name: widened(getattr(value, f.name)) for f in fields(value)})
        return value[:, None]

    chemistry = possible(plant, parameters, cases).chemistry_pct
    found: Belief = replace(widened(cases.hidden), chemistry_pct=chemistry)
    return found


def some_of(belief: Belief, count: int) -> Belief:
    """The same belief with fewer possibilities, evenly taken."""
    every = POSSIBLE_HEATS // count

    def fewer(value: Any) -> Any:
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{f.name: fewer(getattr(value, f.name)) for f in fields(value)})
        return value[:, ::every] if value.ndim > 1 and value.shape[1] == POSSIBLE_HEATS else value

    found: Belief = fewer(belief)
    return found


def _heats(plant: Catalogue, p: Parameters, cases: Cases, z: Any) -> HiddenHeats:
    truth, seen = cases.heats, cases.observed
    nothing = np.zeros((len(cases), POSSIBLE_HEATS))
    sampled = np.where(seen.is_below, np.nan, seen.chemistry_pct)[:, None]
    sampled_sd = _reading_sd(p, sampled)
    log_carbon, log_carbon_sd = (
        np.log(sampled[..., C]),
        sampled_sd[..., C] / np.maximum(sampled[..., C], 0.01),
    )
    probe = np.where((seen.oxygen_ppm > 20) & (seen.oxygen_ppm < 5000), seen.oxygen_ppm, np.nan)[:, None]
    log_oxygen = _normal(
        next(z),
        np.log(p.oxygen_median_ppm),
        p.oxygen_sd_log,
        (np.log(probe), np.hypot(p.oxygen_probe_process_sd_log, p.oxygen_probe_sd_rel)),
        (np.log(p.carbon_oxygen_product) - log_carbon, np.hypot(p.tap_carbon_sd_log, log_carbon_sd)),
    )
    chemistry = _normal(
        _wide(z),
        vector(p.tap_pct) + vector(p.residual_pct),
        np.hypot(vector(p.tap_sd_pct), vector(p.residual_sd_pct)),
        (sampled, sampled_sd),
    )
    by_oxygen = np.log(p.carbon_oxygen_product) - log_oxygen
    carbon = _normal(next(z), by_oxygen, p.tap_carbon_sd_log, (log_carbon, log_carbon_sd))
    chemistry[..., C] = np.exp(carbon)

    worn = p.taphole_wear_kg_t * seen.taphole_heats[:, None] / p.taphole_life_heats
    fresh = p.carry_over_median_kg_t * np.exp(p.carry_over_sd_log**2 / 2)
    log_sd = np.sqrt(np.log1p(fresh**2 * np.expm1(p.carry_over_sd_log**2) / (fresh + worn) ** 2))
    estimate = np.log(np.maximum(seen.carry_over_kg_t, 0.1))[:, None]
    slag = _normal(
        next(z), np.log(fresh + worn) - log_sd**2 / 2, log_sd, (estimate, p.carry_over_estimate_sd_log)
    )
    feo_sd, mno_sd = p.slag_analysis_sd_rel * p.slag_feo_pct, p.slag_analysis_sd_rel * p.slag_mno_pct
    feo = _normal(next(z), p.slag_feo_pct, p.slag_feo_sd_pct, (seen.slag_feo_pct[:, None], feo_sd))
    mno = _normal(next(z), p.slag_mno_pct, p.slag_mno_sd_pct, (seen.slag_mno_pct[:, None], mno_sd))
    mass = np.where(seen.steel_mass_t > 1.5 * p.steel_mass_t, np.nan, seen.steel_mass_t)[:, None]
    return replace(
        truth,
        true_assay_pct=truth.true_assay_pct[:, None],
        certificate_pct=truth.certificate_pct[:, None],
        steel_mass_t=_normal(
            next(z), p.steel_mass_t, p.steel_mass_sd_t, (mass, p.mass_sd_rel * p.steel_mass_t)
        ),
        oxygen_ppm=np.exp(log_oxygen),
        chemistry_pct=np.maximum(chemistry, 0),
        carry_over_kg_t=np.exp(slag),
        slag_feo_pct=np.maximum(feo, 0),
        slag_mno_pct=np.maximum(mno, 0),
        slag_reacts_share=np.clip(p.slag_reacts_mean + p.slag_reacts_sd * next(z), 0.02, 0.98) + nothing,
        air_oxygen_kg_t=p.air_oxygen_median_kg_t * np.exp(p.air_oxygen_sd_log * next(z)) + nothing,
        undissolved_factor=_dissolution(
            p, cases.dissolution_before[:, 0], np.full(WIDTH, p.undissolved_sd_log), p.undissolved_memory, z
        ),
        temperature_c=p.tap_temperature_c + nothing,
        heat_loss_c=p.tap_heat_loss_c + nothing,
        ladle=_ladle_chance(plant, p, cases, z),
    )


def _ladle_chance(plant: Catalogue, p: Parameters, cases: Cases, z: Any) -> LadleChance:
    nothing, grade = np.zeros((len(cases), POSSIBLE_HEATS)), cases.observed.grade
    minutes = np.array([g.treatment_min for g in plant.grades])[grade]
    left = 1 - np.array([g.sulphur_removed_share for g in plant.grades])[grade]
    reduced = p.mno_reduced_mean + p.mno_reduced_sd * next(z)
    return LadleChance(
        since_tap_min=p.since_tap_min + nothing,
        treatment_min=minutes[:, None] * np.maximum(1 + p.treatment_sd_rel * next(z), 0.4),
        undissolved_factor=_dissolution(
            p,
            cases.dissolution_before[:, 1],
            vector(p.ladle_furnace_undissolved_sd_log),
            vector(p.ladle_furnace_undissolved_memory),
            z,
        ),
        slag_kg_t=p.ladle_slag_kg_t * np.exp(p.ladle_slag_sd_log * next(z)) + nothing,
        mno_reduced_share=np.clip(reduced, 0.01, 0.99) + nothing,
        al_fade_factor=np.exp(p.al_fade_sd_log * next(z)) + nothing,
        sulphur_left_share=np.minimum(left[:, None] * np.exp(p.sulphur_left_sd_log * next(z)), 1),
        final_temperature_c=p.final_temperature_c + nothing,
    )


def _ladles(plant: Catalogue, p: Parameters, cases: Cases, z: Any) -> HiddenLadles:
    """What heats of the grade bring, brought to agree with this heat's readings."""
    truth, seen = cases.hidden, cases.observed
    assert isinstance(truth, HiddenLadles)  # noqa: S101 (asked for above)
    mean, spread = _arrivals(plant, p)
    of = seen.grade, seen.is_al_killed
    drawn = np.stack([next(z) for _ in range(WIDTH + len(ARRIVING))], axis=-1)
    came = mean[of][:, None] + np.einsum("zi,nij->nzj", drawn, spread[of])
    mass_t, slag_kg_t, feo_pct, mno_pct = (came[..., WIDTH + i] for i in range(len(ARRIVING)))
    sampled = np.where(seen.is_below, np.nan, seen.chemistry_pct)
    mass = np.where(seen.steel_mass_t > 1.5 * p.steel_mass_t, np.nan, seen.steel_mass_t)
    feo_sd, mno_sd = (
        p.slag_analysis_sd_rel * np.maximum(pct, 0.1) for pct in (seen.slag_feo_pct, seen.slag_mno_pct)
    )
    return replace(
        truth,
        true_assay_pct=truth.true_assay_pct[:, None],
        certificate_pct=truth.certificate_pct[:, None],
        steel_mass_t=_agreed(mass_t, mass, p.mass_sd_rel * mass),
        chemistry_pct=np.maximum(_agreed(came[..., :WIDTH], sampled, _reading_sd(p, sampled)), 0),
        slag_kg_t=np.maximum(slag_kg_t, 1),
        slag_feo_pct=np.maximum(_agreed(feo_pct, seen.slag_feo_pct, feo_sd), 0),
        slag_mno_pct=np.maximum(_agreed(mno_pct, seen.slag_mno_pct, mno_sd), 0),
        temperature_c=np.repeat(seen.temperature_c[:, None], POSSIBLE_HEATS, axis=1),
        chance=_ladle_chance(plant, p, cases, z),
    )


def _arrivals(plant: Catalogue, p: Parameters) -> tuple[Floats, Floats]:
    """Of each grade and practice (grade, is_al_killed), from other lines of the plant: mean of chemistry and
    ARRIVING, and a square root of their covariance.
    """
    if not (_remembered and _remembered[0][0] is plant and _remembered[0][1] is p):
        blocks = list(scenes.cases_of(plant, p, scenes.Scene(OTHER_SEED), LADLE_FURNACE, *OTHER_HEATS))
        came = np.concatenate([_brought(block) for block in blocks])
        grade = np.concatenate([block.observed.grade for block in blocks])
        killed = np.concatenate([block.observed.is_al_killed for block in blocks])
        kinds = (len(plant.grades), len(DEOXIDATIONS))
        mean, spread = np.zeros((*kinds, came.shape[1])), np.zeros((*kinds, came.shape[1], came.shape[1]))
        for kind in np.ndindex(kinds):
            of_kind = came[(grade == kind[0]) & (killed == kind[1])]
            some = of_kind if len(of_kind) > LEAST_OF_KIND else came
            values, vectors = np.linalg.eigh(np.cov(some, rowvar=False))
            mean[kind], spread[kind] = some.mean(axis=0), (vectors * np.sqrt(np.maximum(values, 0))).T
        _remembered[:] = [(plant, p, (mean, spread))]
    return _remembered[0][2]


def _brought(ladles: Cases) -> Floats:
    columns = [getattr(ladles.hidden, name)[:, None] for name in ARRIVING]
    return np.concatenate([ladles.hidden.chemistry_pct, *columns], axis=1)


def _agreed(values: Floats, reading: Floats, reading_sd: Floats) -> Floats:
    """Possible values (heat, possibility, ...) moved and drawn together as a normal quantity is by a
    reading.
    """
    mean, sd = values.mean(axis=1, keepdims=True), values.std(axis=1, keepdims=True)
    weight, reading = 1 / np.maximum(sd, 1e-12) ** 2, np.expand_dims(reading, 1)
    more = np.where(np.isnan(reading), 0.0, 1 / np.maximum(np.expand_dims(reading_sd, 1), 1e-12) ** 2)
    centre = (mean * weight + np.where(np.isnan(reading), 0.0, reading) * more) / (weight + more)
    agreed: Floats = centre + (values - mean) * np.sqrt(weight / (weight + more))
    return agreed


def _dissolution(p: Parameters, before: Floats, sd_log: Floats, memory: Floats | float, z: Any) -> Floats:
    """Possible dissolution factors (heat, possibility, element) after a heat that had these; NaN where there
    was none.
    """
    memory = np.where(np.isnan(before), 0.0, memory)[:, None]
    state = np.log(np.where(np.isnan(before), 1.0, before))[:, None] / np.maximum(sd_log, 1e-9)
    drawn = np.exp(sd_log * (memory * state + np.sqrt(1 - memory**2) * _wide(z)))
    stirred_short = np.arange(POSSIBLE_HEATS) < p.short_stir_rate * POSSIBLE_HEATS
    possible: Floats = drawn * np.where(stirred_short, p.short_stir_factor, 1.0)[:, None]
    return possible


def _wide(z: Any) -> Floats:
    """Standard normals (possibility, element)."""
    return np.stack([next(z) for _ in range(WIDTH)], axis=-1)


def _reading_sd(p: Parameters, chemistry_pct: Floats) -> Floats:
    slow = vector(p.spectrometer_bias_sd_rel) * chemistry_pct
    fast = vector(p.spectrometer_sd_pct) + vector(p.spectrometer_sd_rel) * chemistry_pct
    sd: Floats = np.hypot(fast, slow)
    return sd


def _normal(
    z: Floats, mean: Floats | float, sd: Floats | float, *readings: tuple[Floats, Floats | float]
) -> Floats:
    """Possible values (heat, possibility, ...) of a normal quantity after independent readings (value, sd);
    NaN is none.

    `z` is (possibility, ...), everything else has an axis for possibilities too.
    """
    weight = 1 / np.maximum(np.asarray(sd, dtype=np.float64), 1e-12) ** 2
    total = mean * weight
    for value, reading_sd in readings:
        more = np.where(np.isnan(value), 0.0, 1 / np.maximum(reading_sd, 1e-12) ** 2)
        weight, total = weight + more, total + np.where(np.isnan(value), 0.0, value) * more
    return np.asarray(total / weight + z / np.sqrt(weight), dtype=np.float64)
