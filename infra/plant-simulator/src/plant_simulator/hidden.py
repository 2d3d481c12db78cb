"""The hidden state of heats before additions:

what is truly in the ladle, the slag and the lots. Never leaves the simulator.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from plant_simulator.catalogue import Catalogue
from plant_simulator.chance import CHUNK_HEATS, HIDDEN, Draws, generator, with_memory
from plant_simulator.elements import ELEMENTS, Booleans, Floats, Integers, vector
from plant_simulator.lots import Bins
from plant_simulator.parameters import Parameters


@dataclass(frozen=True)
class LadleChance:
    """What chance has in store for a heat at the ladle furnace, whatever was added before."""

    since_tap_min: Floats
    treatment_min: Floats
    undissolved_factor: Floats  # (heat, element)
    slag_kg_t: Floats  # besides what was carried over
    mno_reduced_share: Floats
    al_fade_factor: Floats
    sulphur_left_share: Floats
    final_temperature_c: Floats


@dataclass(frozen=True)
class HiddenHeats:
    """The truth, one row per heat; nothing here depends on what anybody adds."""

    line: Integers
    heat_no: Integers  # counted within the line, from 1
    grade: Integers  # position in the catalogue
    is_al_killed: Integers  # position in DEOXIDATIONS
    is_first_of_campaign: Booleans
    steel_mass_t: Floats
    temperature_c: Floats
    oxygen_ppm: Floats
    chemistry_pct: Floats  # (heat, element)
    carry_over_kg_t: Floats
    slag_feo_pct: Floats
    slag_mno_pct: Floats
    slag_reacts_share: Floats
    air_oxygen_kg_t: Floats
    undissolved_factor: Floats  # (heat, element): multiplies the median undissolved share
    heat_loss_c: Floats
    taphole_heats: Integers
    lot_no: Integers  # (heat, additive)
    true_assay_pct: Floats  # (heat, additive, element)
    certificate_pct: Floats  # (heat, additive, element): what the plant believes
    price_per_t: Floats  # (heat, additive)
    ladle: LadleChance


def draw(plant: Catalogue, parameters: Parameters, seed: int, lines: Integers) -> Iterator[HiddenHeats]:
    """The heats of some lines from their first on, in chunks of CHUNK_HEATS steps without end; the rows of a
    chunk are ordered by step, then line. A line's heats depend on the seed and the line alone.
    """
    furnace = _Furnace(plant, parameters, seed, lines)
    chunk = 0
    while True:
        yield furnace.chunk(chunk)
        chunk += 1


class _Furnace:
    """What one heat leaves to the next, for some lines: scrap mix, dissolution, campaign, lots."""

    def __init__(self, plant: Catalogue, parameters: Parameters, seed: int, lines: Integers) -> None:
        self._plant, self._p, self._seed, self._lines = plant, parameters, seed, lines
        starts = [generator(HIDDEN, seed, int(line)) for line in lines]
        first = np.array([rng.standard_normal((3, len(ELEMENTS))) for rng in starts])
        self._scrap, self._tapping, self._ladle = first[:, 0], first[:, 1], first[:, 2]
        self._grade = np.full(len(lines), -1)
        self._left = np.zeros(len(lines), dtype=np.int64)
        self._bins = Bins(plant, parameters, seed, lines)

    def chunk(self, number: int) -> HiddenHeats:
        p, lines, elements = self._p, self._lines, len(ELEMENTS)
        d = Draws(HIDDEN, self._seed, lines, number, 4 * elements + 15, 4)
        first_heat_no = number * CHUNK_HEATS + 1
        heat_no = np.repeat(np.arange(first_heat_no, first_heat_no + CHUNK_HEATS), len(lines))
        line = np.tile(lines, CHUNK_HEATS)
        grade, is_first = self._campaigns(d.uniform(), d.uniform())

        oxygen_ppm = p.oxygen_median_ppm * np.exp(p.oxygen_sd_log * d.normal())
        scrap = self._remembered("_scrap", d.normals(elements), p.scrap_memory)
        chemistry = np.maximum(
            vector(p.tap_pct)
            + vector(p.tap_sd_pct) * d.normals(elements)
            + vector(p.residual_pct)
            + vector(p.residual_sd_pct) * scrap,
            0,
        )
        chemistry[:, 0] = p.carbon_oxygen_product / oxygen_ppm * np.exp(p.tap_carbon_sd_log * d.normal())

        life = max(1, int(p.taphole_life_heats))
        taphole_heats = (heat_no + line * 37 + self._seed * 37) % life
        carry_over = p.carry_over_median_kg_t * np.exp(p.carry_over_sd_log * d.normal())
        memory = vector(p.ladle_furnace_undissolved_memory)
        stir = 1 + (p.short_stir_factor - 1) * (np.stack([d.uniform(), d.uniform()]) < p.short_stir_rate)
        tapping = self._remembered("_tapping", d.normals(elements), p.undissolved_memory)
        ladle = self._remembered("_ladle", d.normals(elements), memory)
        lots = self._bins.chunk(first_heat_no, CHUNK_HEATS)
        minutes = np.array([g.treatment_min for g in self._plant.grades])[grade]
        left = 1 - np.array([g.sulphur_removed_share for g in self._plant.grades])[grade]
        return HiddenHeats(
            line=line,
            heat_no=heat_no,
            grade=grade,
            is_al_killed=np.array([int(g.is_al_killed) for g in self._plant.grades])[grade],
            is_first_of_campaign=is_first,
            steel_mass_t=p.steel_mass_t + p.steel_mass_sd_t * d.normal(),
            temperature_c=p.tap_temperature_c + p.tap_temperature_sd_c * d.normal(),
            oxygen_ppm=oxygen_ppm,
            chemistry_pct=chemistry,
            carry_over_kg_t=carry_over + p.taphole_wear_kg_t * taphole_heats / life,
            slag_feo_pct=np.maximum(p.slag_feo_pct + p.slag_feo_sd_pct * d.normal(), 0),
            slag_mno_pct=np.maximum(p.slag_mno_pct + p.slag_mno_sd_pct * d.normal(), 0),
            air_oxygen_kg_t=p.air_oxygen_median_kg_t * np.exp(p.air_oxygen_sd_log * d.normal()),
            undissolved_factor=np.exp(p.undissolved_sd_log * tapping) * stir[0][:, None],
            heat_loss_c=p.tap_heat_loss_c + p.tap_heat_loss_sd_c * d.normal(),
            taphole_heats=taphole_heats,
            lot_no=lots.lot_no,
            true_assay_pct=lots.true_assay_pct,
            certificate_pct=lots.certificate_pct,
            price_per_t=lots.price_per_t,
            ladle=LadleChance(
                since_tap_min=np.maximum(p.since_tap_min + p.since_tap_sd_min * d.normal(), 5),
                treatment_min=minutes * np.maximum(1 + p.treatment_sd_rel * d.normal(), 0.4),
                undissolved_factor=np.exp(vector(p.ladle_furnace_undissolved_sd_log) * ladle)
                * stir[1][:, None],
                slag_kg_t=p.ladle_slag_kg_t * np.exp(p.ladle_slag_sd_log * d.normal()),
                al_fade_factor=np.exp(p.al_fade_sd_log * d.normal()),
                sulphur_left_share=np.minimum(left * np.exp(p.sulphur_left_sd_log * d.normal()), 1),
                final_temperature_c=p.final_temperature_c + p.final_temperature_sd_c * d.normal(),
                mno_reduced_share=d.beta(p.mno_reduced_mean, p.mno_reduced_sd),
            ),
            slag_reacts_share=d.beta(p.slag_reacts_mean, p.slag_reacts_sd),
        )

    def _remembered(self, name: str, fresh: Floats, memory: float | Floats) -> Floats:
        """Numbers with memory from fresh ones (heat, element); keeps the last for the next chunk."""
        shape = (CHUNK_HEATS, len(self._lines), -1)
        out = with_memory(getattr(self, name), fresh.reshape(shape), memory)
        setattr(self, name, out[-1])
        return out.reshape(fresh.shape)

    def _campaigns(self, u_grade: Floats, u_length: Floats) -> tuple[Integers, Booleans]:
        """Grades in sequences; never two of one grade one after the other, where another is made."""
        shortest, longest = int(self._p.campaign_min_heats), int(self._p.campaign_max_heats)
        chances = _next_grade(np.array([g.campaign_share for g in self._plant.grades]))
        size = len(self._lines)
        grade = np.empty((CHUNK_HEATS, size), dtype=np.int64)
        is_first = np.zeros((CHUNK_HEATS, size), dtype=np.bool_)
        u_grade, u_length = u_grade.reshape(grade.shape), u_length.reshape(grade.shape)
        for step in range(CHUNK_HEATS):
            is_over = self._left == 0
            following = (u_grade[step][:, None] >= chances[self._grade]).sum(axis=1)
            self._grade = np.where(is_over, following, self._grade)
            length = shortest + np.floor(u_length[step] * (longest - shortest + 1)).astype(np.int64)
            self._left = np.where(is_over, length, self._left) - 1
            grade[step], is_first[step] = self._grade, is_over
        return grade.reshape(-1), is_first.reshape(-1)


def _next_grade(shares: Floats) -> Floats:
    """Cumulated chances of the next grade after each grade; the last row is for the first campaign of all."""
    table = np.empty((len(shares) + 1, len(shares)))
    for last in range(len(shares) + 1):
        others = np.where(np.arange(len(shares)) == last, 0.0, shares)
        chances = others if others.sum() > 0 else shares
        table[last] = np.cumsum(chances) / chances.sum()
    made = np.flatnonzero(shares > 0)[-1]
    table[:, made:] = 1.0  # rounding must not leave a gap above the last grade that is made
    return table
