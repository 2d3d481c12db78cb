"""What the plant can see: spectrometer, probes, scales, with their noise, gaps and false readings (B3, B6.9).

Observed tables hold readings only. All noise of a heat is drawn beforehand, so that a reading is a function
of the truth and the heat's noise.
"""

from dataclasses import dataclass

import numpy as np

from plant_simulator.chance import INSTRUMENTS, RECALIBRATION, generator
from plant_simulator.elements import ELEMENTS, INDEX, Booleans, Floats, Integers, vector
from plant_simulator.hidden import HiddenHeats
from plant_simulator.parameters import Parameters
from plant_simulator.tapping import HiddenResults

DETECTION_LIMIT_PCT = vector({"Si": 0.005, "Mo": 0.002, "V": 0.002, "Al": 0.002}, default=0.0005)
DECIMALS = vector({"P": 4, "S": 4, "V": 4, "Al": 4}, default=3)


@dataclass(frozen=True)
class ObservedHeats:
    """Readings before additions.

    NaN is not measured; `is_below` marks analyses under the detection limit that `chemistry_pct` then holds.
    """

    heat_no: Integers
    grade: Integers
    is_first_of_campaign: Booleans
    steel_mass_t: Floats
    temperature_c: Floats
    oxygen_ppm: Floats
    chemistry_pct: Floats
    is_below: Booleans
    carry_over_kg_t: Floats
    slag_feo_pct: Floats
    slag_mno_pct: Floats
    taphole_heats: Integers
    lot_no: Integers
    certificate_pct: Floats
    price_per_t: Floats


@dataclass(frozen=True)
class ObservedResults:
    """Readings after additions, and the kilograms by the bin scales (heat, additive)."""

    chemistry_pct: Floats
    is_below: Booleans
    steel_mass_t: Floats
    temperature_c: Floats
    weighed_kg: Floats


@dataclass(frozen=True)
class Noise:
    """Every instrument's chance numbers for some heats:

    standard normals `z_`, uniforms `u_`, and the spectrometer's slow error.
    """

    z_before: Floats
    z_after: Floats
    spectrometer_rel: Floats
    u_unhomogenised: Floats
    z_silicon: Floats
    z_mass: Floats
    u_mass: Floats
    z_temperature: Floats
    u_temperature: Floats
    z_oxygen: Floats
    u_oxygen: Floats
    u_sample: Floats
    z_slag: Floats
    u_slag: Floats
    z_bin: Floats
    z_scale: Floats


def draw_noise(parameters: Parameters, seed: int, heat_no: Integers, additives: int) -> Noise:
    """Noise of these heats; a block of heats starts a new stream (keyed by its first heat)."""
    n, rng = len(heat_no), generator(INSTRUMENTS, seed, int(heat_no[0]))
    z, u = rng.standard_normal, rng.random
    return Noise(
        z_before=z((n, len(ELEMENTS))),
        z_after=z((n, len(ELEMENTS))),
        spectrometer_rel=_slow_error(parameters, seed, heat_no),
        u_unhomogenised=u(n),
        z_silicon=z(n),
        z_mass=z((n, 2)),
        u_mass=u((n, 2)),
        z_temperature=z((n, 2)),
        u_temperature=u((n, 2)),
        z_oxygen=z((n, 2)),
        u_oxygen=u(n),
        u_sample=u(n),
        z_slag=z((n, 3)),
        u_slag=u(n),
        z_bin=z((n, additives)),
        z_scale=z((n, additives)),
    )


def observe_before(parameters: Parameters, heats: HiddenHeats, noise: Noise) -> ObservedHeats:
    """What Level 2 knows when it registers the heats."""
    p = parameters
    chemistry, is_below = _analyse(p, heats.chemistry_pct, noise.z_before, noise)
    has_sample = (noise.u_sample >= p.first_sample_missing_rate)[:, None]
    oxygen = heats.oxygen_ppm * np.exp(p.oxygen_probe_process_sd_log * noise.z_oxygen[:, 0])
    oxygen = oxygen * (1 + p.oxygen_probe_sd_rel * noise.z_oxygen[:, 1])
    false_oxygen = np.where(noise.u_oxygen < p.oxygen_invalid_rate / 2, 9999.0, 0.0)
    has_slag = noise.u_slag < p.slag_analysis_rate
    return ObservedHeats(
        heat_no=heats.heat_no,
        grade=heats.grade,
        is_first_of_campaign=heats.is_first_of_campaign,
        steel_mass_t=_weigh_steel(p, heats.steel_mass_t, noise, 0),
        temperature_c=_read_temperature(p, heats.temperature_c, noise, 0),
        oxygen_ppm=np.where(noise.u_oxygen < p.oxygen_invalid_rate, false_oxygen, np.round(oxygen)),
        chemistry_pct=np.where(has_sample, chemistry, np.nan),
        is_below=is_below & has_sample,
        carry_over_kg_t=np.round(
            heats.carry_over_kg_t * np.exp(p.carry_over_estimate_sd_log * noise.z_slag[:, 0]), 1
        ),
        slag_feo_pct=_slag(p, heats.slag_feo_pct, noise.z_slag[:, 1], has_slag),
        slag_mno_pct=_slag(p, heats.slag_mno_pct, noise.z_slag[:, 2], has_slag),
        taphole_heats=heats.taphole_heats,
        lot_no=heats.lot_no,
        certificate_pct=heats.certificate_pct,
        price_per_t=heats.price_per_t,
    )


def observe_after(
    parameters: Parameters, results: HiddenResults, tipped_kg: Floats, noise: Noise
) -> ObservedResults:
    """The final sample, and what the scales wrote down of what really fell."""
    p = parameters
    chemistry, is_below = _analyse(p, results.chemistry_pct, noise.z_after, noise)
    unmixed = noise.u_unhomogenised < p.unhomogenised_rate
    silicon = chemistry[:, INDEX["Si"]] + np.where(unmixed, p.unhomogenised_si_sd_pct * noise.z_silicon, 0)
    chemistry[:, INDEX["Si"]] = np.round(np.maximum(silicon, DETECTION_LIMIT_PCT[INDEX["Si"]]), 3)
    scale_sd_kg = np.maximum(p.bin_scale_sd_kg, p.bin_scale_sd_rel * tipped_kg)
    weighed = np.round(np.maximum(tipped_kg + scale_sd_kg * noise.z_scale, 0))
    return ObservedResults(
        chemistry_pct=chemistry,
        is_below=is_below,
        steel_mass_t=_weigh_steel(p, results.steel_mass_t, noise, 1),
        temperature_c=_read_temperature(p, results.temperature_c, noise, 1),
        weighed_kg=np.where(tipped_kg > 0, np.maximum(weighed, 1), 0.0),
    )


def tip(parameters: Parameters, decided_kg: Floats, noise: Noise) -> Floats:
    """What really falls (kg) when these kilograms are asked for: the truth, which only the scales see."""
    fell = np.maximum(decided_kg + parameters.bin_remainder_sd_kg * noise.z_bin, 0)
    return np.where(decided_kg > 0, fell, 0.0)


def _analyse(p: Parameters, true_pct: Floats, z: Floats, noise: Noise) -> tuple[Floats, Booleans]:
    sd = np.maximum(vector(p.spectrometer_sd_pct), 0) + vector(p.spectrometer_sd_rel) * true_pct
    read = np.maximum(true_pct * (1 + noise.spectrometer_rel) + sd * z, 0)
    scale = 10**DECIMALS
    is_below = read < DETECTION_LIMIT_PCT
    return np.where(is_below, DETECTION_LIMIT_PCT, np.round(read * scale) / scale), is_below


def _slow_error(p: Parameters, seed: int, heat_no: Integers) -> Floats:
    """The spectrometer's relative error (heat, element), another one after each recalibration."""
    period = (heat_no - 1) // max(1, int(p.recalibration_heats))
    known = {
        k: generator(RECALIBRATION, seed, k).standard_normal(len(ELEMENTS)) for k in set(period.tolist())
    }
    slow: Floats = vector(p.spectrometer_bias_sd_rel) * np.array([known[k] for k in period.tolist()])
    return slow


def _weigh_steel(p: Parameters, true_t: Floats, noise: Noise, reading: int) -> Floats:
    read = np.round(true_t * (1 + p.mass_sd_rel * noise.z_mass[:, reading]), 1)
    return np.where(noise.u_mass[:, reading] < p.mass_typo_rate, read * 2, read)


def _read_temperature(p: Parameters, true_c: Floats, noise: Noise, reading: int) -> Floats:
    read = np.round(true_c + p.temperature_sd_c * noise.z_temperature[:, reading])
    return np.where(noise.u_temperature[:, reading] < p.temperature_invalid_rate, 0.0, read)


def _slag(p: Parameters, true_pct: Floats, z: Floats, has_slag: Booleans) -> Floats:
    return np.where(has_slag, np.round(np.maximum(true_pct * (1 + p.slag_analysis_sd_rel * z), 0), 1), np.nan)
