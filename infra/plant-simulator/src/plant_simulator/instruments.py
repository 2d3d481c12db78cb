"""What the plant can see: spectrometer, probes, scales, with their noise, gaps and false readings (B3, B6.9).

Observed tables hold readings only. All noise of a heat is drawn beforehand, so that a reading is a function
of the truth and the heat's noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from plant_simulator.chance import CHUNK_HEATS, INSTRUMENTS, RECALIBRATION, Draws, generator
from plant_simulator.elements import ELEMENTS, INDEX, Booleans, Floats, Integers, vector
from plant_simulator.hidden import HiddenHeats
from plant_simulator.ladle_furnace import HiddenLadles
from plant_simulator.parameters import Parameters
from plant_simulator.tapping import HiddenResults

DETECTION_LIMIT_PCT = vector({"Si": 0.005, "Mo": 0.002, "V": 0.002, "Al": 0.002}, default=0.0005)
DECIMALS = vector(dict.fromkeys(("P", "S", "V", "Al", "Ti", "Nb", "N", "Sn", "Ca"), 4), default=3)
SCALE = 10**DECIMALS


@dataclass(frozen=True)
class ObservedHeats:
    """Readings before additions, at either station; what a station does not measure is NaN.

    NaN is not measured; `is_below` marks analyses under the detection limit that `chemistry_pct` then holds.
    """

    line: Integers
    heat_no: Integers
    grade: Integers
    is_al_killed: Integers
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
    is_offered: Booleans  # (heat, additive): False where the bin is empty
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
class ResultNoise:
    """Chance of the instruments at one station, after additions: standard normals `z_`, uniforms `u_`."""

    z_sample: Floats  # (heat, element)
    z_silicon: Floats
    u_unhomogenised: Floats
    z_mass: Floats
    u_mass: Floats
    z_temperature: Floats
    u_temperature: Floats
    z_bin: Floats  # (heat, additive)
    z_scale: Floats  # (heat, additive)
    scale_bias_rel: Floats
    spectrometer_rel: Floats  # (heat, element): the spectrometer's slow error


@dataclass(frozen=True)
class Noise:
    """Every instrument's chance numbers for some heats; `is_oxygen_sent` and `is_offered` are facts of the
    plant that only scenarios change.
    """

    z_sample: Floats
    spectrometer_rel: Floats
    z_mass: Floats
    u_mass: Floats
    z_temperature: Floats
    u_temperature: Floats
    z_oxygen: Floats  # (heat, 2)
    u_oxygen: Floats
    u_sample: Floats
    z_slag: Floats  # (heat, 3)
    u_slag: Floats
    z_arrival: Floats  # (heat, 4): temperature, FeO, MnO, mass at the ladle furnace
    u_arrival: Floats  # (heat, 2): temperature, sample
    is_oxygen_sent: Booleans
    is_offered: Booleans  # (heat, additive)
    tapping: ResultNoise
    ladle: ResultNoise


def draw_noise(parameters: Parameters, seed: int, lines: Integers, additives: int) -> Iterator[Noise]:
    """Noise of the heats of `hidden.draw`, chunk by chunk."""
    chunk, elements, n = 0, len(ELEMENTS), CHUNK_HEATS * len(lines)
    slow = _SlowError(parameters, seed, lines)
    while True:
        d = Draws(INSTRUMENTS, seed, lines, chunk, 3 * elements + 4 * additives + 19, 13)
        error = slow.chunk(chunk)

        def result(d: Draws = d, error: Floats = error) -> ResultNoise:
            return ResultNoise(
                z_sample=d.normals(elements),
                z_silicon=d.normal(),
                u_unhomogenised=d.uniform(),
                z_mass=d.normal(),
                u_mass=d.uniform(),
                z_temperature=d.normal(),
                u_temperature=d.uniform(),
                z_bin=d.normals(additives),
                z_scale=d.normals(additives),
                scale_bias_rel=np.zeros(n),
                spectrometer_rel=error,
            )

        yield Noise(
            z_sample=d.normals(elements),
            spectrometer_rel=error,
            z_mass=d.normal(),
            u_mass=d.uniform(),
            z_temperature=d.normal(),
            u_temperature=d.uniform(),
            z_oxygen=d.normals(2),
            u_oxygen=d.uniform(),
            u_sample=d.uniform(),
            z_slag=d.normals(3),
            u_slag=d.uniform(),
            z_arrival=d.normals(4),
            u_arrival=np.stack([d.uniform(), d.uniform()], axis=1),
            is_oxygen_sent=np.ones(n, dtype=np.bool_),
            is_offered=np.ones((n, additives), dtype=np.bool_),
            tapping=result(),
            ladle=result(),
        )
        chunk += 1


def observe_before(parameters: Parameters, heats: HiddenHeats, noise: Noise) -> ObservedHeats:
    """What Level 2 knows when it registers the heats for tapping."""
    p = parameters
    chemistry, is_below = _analyse(p, heats.chemistry_pct, noise.z_sample, noise.spectrometer_rel)
    has_sample = (noise.u_sample >= p.first_sample_missing_rate)[:, None]
    oxygen = heats.oxygen_ppm * np.exp(p.oxygen_probe_process_sd_log * noise.z_oxygen[:, 0])
    oxygen = np.round(oxygen * (1 + p.oxygen_probe_sd_rel * noise.z_oxygen[:, 1]))
    false_oxygen = np.where(noise.u_oxygen < p.oxygen_invalid_rate / 2, 9999.0, 0.0)
    oxygen = np.where(noise.u_oxygen < p.oxygen_invalid_rate, false_oxygen, oxygen)
    has_slag = noise.u_slag < p.slag_analysis_rate
    return ObservedHeats(
        line=heats.line,
        heat_no=heats.heat_no,
        grade=heats.grade,
        is_al_killed=heats.is_al_killed,
        is_first_of_campaign=heats.is_first_of_campaign,
        steel_mass_t=_weigh_steel(p, heats.steel_mass_t, noise.z_mass, noise.u_mass),
        temperature_c=_read_temperature(p, heats.temperature_c, noise.z_temperature, noise.u_temperature),
        oxygen_ppm=np.where(noise.is_oxygen_sent, oxygen, np.nan),
        chemistry_pct=np.where(has_sample, chemistry, np.nan),
        is_below=is_below & has_sample,
        carry_over_kg_t=np.round(
            heats.carry_over_kg_t * np.exp(p.carry_over_estimate_sd_log * noise.z_slag[:, 0]), 1
        ),
        slag_feo_pct=_slag(p, heats.slag_feo_pct, noise.z_slag[:, 1], has_slag, 1),
        slag_mno_pct=_slag(p, heats.slag_mno_pct, noise.z_slag[:, 2], has_slag, 1),
        taphole_heats=heats.taphole_heats,
        is_offered=noise.is_offered,
        lot_no=heats.lot_no,
        certificate_pct=heats.certificate_pct,
        price_per_t=heats.price_per_t,
    )


def observe_arrival(
    parameters: Parameters,
    ladles: HiddenLadles,
    tapped: ObservedHeats,
    result: ObservedResults,
    noise: Noise,
) -> ObservedHeats:
    """What Level 2 knows when it registers the heats for the ladle furnace: tapping's result is its X."""
    p, z, u = parameters, noise.z_arrival, noise.u_arrival
    has_sample = (u[:, 1] >= p.ladle_sample_missing_rate)[:, None]
    has_slag = noise.u_slag < p.slag_analysis_rate
    unknown = np.full(len(ladles.heat_no), np.nan)
    return ObservedHeats(
        line=tapped.line,
        heat_no=tapped.heat_no,
        grade=tapped.grade,
        is_al_killed=tapped.is_al_killed,
        is_first_of_campaign=tapped.is_first_of_campaign,
        steel_mass_t=_weigh_steel(p, ladles.steel_mass_t, z[:, 3], np.ones(len(unknown))),
        temperature_c=_read_temperature(p, ladles.temperature_c, z[:, 0], u[:, 0]),
        oxygen_ppm=unknown,
        chemistry_pct=np.where(has_sample, result.chemistry_pct, np.nan),
        is_below=result.is_below & has_sample,
        carry_over_kg_t=unknown,
        slag_feo_pct=_slag(p, ladles.slag_feo_pct, z[:, 1], has_slag, 2),
        slag_mno_pct=_slag(p, ladles.slag_mno_pct, z[:, 2], has_slag, 2),
        taphole_heats=tapped.taphole_heats,
        is_offered=tapped.is_offered,
        lot_no=tapped.lot_no,
        certificate_pct=tapped.certificate_pct,
        price_per_t=tapped.price_per_t,
    )


def observe_after(
    parameters: Parameters, results: HiddenResults, tipped_kg: Floats, noise: ResultNoise
) -> ObservedResults:
    """The final sample, and what the scales wrote down of what really fell."""
    p, si = parameters, INDEX["Si"]
    chemistry, is_below = _analyse(p, results.chemistry_pct, noise.z_sample, noise.spectrometer_rel)
    unmixed = noise.u_unhomogenised < p.unhomogenised_rate
    silicon = chemistry[:, si] + np.where(unmixed, p.unhomogenised_si_sd_pct * noise.z_silicon, 0)
    chemistry[:, si] = np.round(np.maximum(silicon, DETECTION_LIMIT_PCT[si]), 3)
    scale_sd_kg = np.maximum(p.bin_scale_sd_kg, p.bin_scale_sd_rel * tipped_kg)
    scale_sd_kg = np.minimum(scale_sd_kg, p.hand_scale_sd_rel * tipped_kg)
    read = tipped_kg * (1 + noise.scale_bias_rel[:, None]) + scale_sd_kg * noise.z_scale
    weighed = np.round(np.maximum(read, 0))
    return ObservedResults(
        chemistry_pct=chemistry,
        is_below=is_below,
        steel_mass_t=_weigh_steel(p, results.steel_mass_t, noise.z_mass, noise.u_mass),
        temperature_c=_read_temperature(p, results.temperature_c, noise.z_temperature, noise.u_temperature),
        weighed_kg=np.where(tipped_kg > 0, np.maximum(weighed, 1), 0.0),
    )


def tip(parameters: Parameters, decided_kg: Floats, noise: ResultNoise) -> Floats:
    """What really falls (kg) when these kilograms are asked for: the truth, which only the scales see.

    The bins are run until the scale shows what was asked for, so a scale that shows too little tips too much.
    What is asked for in small amounts falls with a smaller error (it is weighed by hand).
    """
    sd_kg = np.minimum(parameters.bin_remainder_sd_kg, parameters.bin_remainder_sd_rel * decided_kg)
    fell = np.maximum(decided_kg / (1 + noise.scale_bias_rel[:, None]) + sd_kg * noise.z_bin, 0)
    return np.where(decided_kg > 0, fell, 0.0)


def _analyse(p: Parameters, true_pct: Floats, z: Floats, spectrometer_rel: Floats) -> tuple[Floats, Booleans]:
    sd = vector(p.spectrometer_sd_pct) + vector(p.spectrometer_sd_rel) * true_pct
    read = np.maximum(true_pct * (1 + spectrometer_rel) + sd * z, 0)
    is_below = read < DETECTION_LIMIT_PCT
    return np.where(is_below, DETECTION_LIMIT_PCT, np.round(read * SCALE) / SCALE), is_below


class _SlowError:
    """The spectrometer's relative error of some lines, another one after each recalibration."""

    def __init__(self, parameters: Parameters, seed: int, lines: Integers) -> None:
        self._sd, self._seed, self._lines = vector(parameters.spectrometer_bias_sd_rel), seed, lines
        self._every = max(1, int(parameters.recalibration_heats))
        self._period, self._error = -1, np.zeros((len(lines), len(ELEMENTS)))

    def chunk(self, number: int) -> Floats:
        """(heat, element)"""
        out = np.empty((CHUNK_HEATS, *self._error.shape))
        for step in range(CHUNK_HEATS):
            period = (number * CHUNK_HEATS + step) // self._every
            if period != self._period:
                self._period = period
                fresh = [generator(RECALIBRATION, self._seed, int(line), period) for line in self._lines]
                self._error = self._sd * np.array([rng.standard_normal(len(ELEMENTS)) for rng in fresh])
            out[step] = self._error
        return out.reshape(-1, len(ELEMENTS))


def _weigh_steel(p: Parameters, true_t: Floats, z: Floats, u: Floats) -> Floats:
    read = np.round(true_t * (1 + p.mass_sd_rel * z), 1)
    return np.where(u < p.mass_typo_rate, read * 2, read)


def _read_temperature(p: Parameters, true_c: Floats, z: Floats, u: Floats) -> Floats:
    return np.where(u < p.temperature_invalid_rate, 0.0, np.round(true_c + p.temperature_sd_c * z))


def _slag(p: Parameters, true_pct: Floats, z: Floats, has_slag: Booleans, decimals: int) -> Floats:
    read = np.round(np.maximum(true_pct * (1 + p.slag_analysis_sd_rel * z), 0), decimals)
    return np.where(has_slag, read, np.nan)
