"""The hidden state of heats before additions:

what is truly in the ladle, the slag and the lots. Never leaves the simulator.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from plant_simulator.catalogue import Catalogue
from plant_simulator.chance import HIDDEN, generator, with_memory
from plant_simulator.elements import ELEMENTS, Booleans, Floats, Integers, vector
from plant_simulator.lots import Ledger, lots_in_bins
from plant_simulator.parameters import Parameters

BLOCK_HEATS = 256


@dataclass(frozen=True)
class HiddenHeats:
    """The truth, one row per heat; nothing here depends on what anybody adds."""

    heat_no: Integers
    grade: Integers  # position in the catalogue
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


@dataclass
class _Memory:
    """What one heat leaves to the next."""

    scrap: Floats
    dissolution: Floats
    grade: int
    campaign_left: int


def draw(
    plant: Catalogue, parameters: Parameters, seed: int, first_heat_no: int = 1
) -> Iterator[HiddenHeats]:
    """Whole blocks of BLOCK_HEATS heats without end, from the one that holds `first_heat_no` on.

    The same heat for the same seed, wherever one starts.
    """
    ledger = Ledger(plant, parameters, seed)
    rng = generator(HIDDEN, seed)
    memory = _Memory(rng.standard_normal(len(ELEMENTS)), rng.standard_normal(len(ELEMENTS)), 0, 0)
    start = 1
    while True:
        block = _block(plant, parameters, seed, start, memory, ledger)
        start += BLOCK_HEATS
        if start > first_heat_no:
            yield block


def _block(
    plant: Catalogue, parameters: Parameters, seed: int, start: int, memory: _Memory, ledger: Ledger
) -> HiddenHeats:
    p, n = parameters, BLOCK_HEATS
    rng = generator(HIDDEN, seed, start)
    heat_no = np.arange(start, start + n)
    grade, is_first = _campaigns(plant, p, rng, n, memory)

    oxygen_ppm = p.oxygen_median_ppm * np.exp(p.oxygen_sd_log * rng.standard_normal(n))
    scrap = with_memory(memory.scrap, rng.standard_normal((n, len(ELEMENTS))), p.scrap_memory)
    memory.scrap = scrap[-1]
    chemistry = np.maximum(
        vector(p.tap_pct)
        + vector(p.tap_sd_pct) * rng.standard_normal((n, len(ELEMENTS)))
        + vector(p.residual_pct)
        + vector(p.residual_sd_pct) * scrap,
        0,
    )
    chemistry[:, 0] = (
        p.carbon_oxygen_product / oxygen_ppm * np.exp(p.tap_carbon_sd_log * rng.standard_normal(n))
    )

    taphole_heats = (heat_no + seed * 37) % max(1, int(p.taphole_life_heats))
    worn = p.taphole_wear_kg_t * taphole_heats / p.taphole_life_heats
    reacts = _beta(rng, p.slag_reacts_mean, p.slag_reacts_sd, n)
    dissolution = with_memory(
        memory.dissolution, rng.standard_normal((n, len(ELEMENTS))), p.undissolved_memory
    )
    memory.dissolution = dissolution[-1]
    lots = lots_in_bins(ledger, heat_no)
    return HiddenHeats(
        heat_no=heat_no,
        grade=grade,
        is_first_of_campaign=is_first,
        steel_mass_t=p.steel_mass_t + p.steel_mass_sd_t * rng.standard_normal(n),
        temperature_c=p.tap_temperature_c + p.tap_temperature_sd_c * rng.standard_normal(n),
        oxygen_ppm=oxygen_ppm,
        chemistry_pct=chemistry,
        carry_over_kg_t=p.carry_over_median_kg_t * np.exp(p.carry_over_sd_log * rng.standard_normal(n))
        + worn,
        slag_feo_pct=np.maximum(p.slag_feo_pct + p.slag_feo_sd_pct * rng.standard_normal(n), 0),
        slag_mno_pct=np.maximum(p.slag_mno_pct + p.slag_mno_sd_pct * rng.standard_normal(n), 0),
        slag_reacts_share=reacts,
        air_oxygen_kg_t=p.air_oxygen_median_kg_t * np.exp(p.air_oxygen_sd_log * rng.standard_normal(n)),
        undissolved_factor=np.exp(p.undissolved_sd_log * dissolution),
        heat_loss_c=p.tap_heat_loss_c + p.tap_heat_loss_sd_c * rng.standard_normal(n),
        taphole_heats=taphole_heats,
        lot_no=lots.lot_no,
        true_assay_pct=lots.true_assay_pct,
        certificate_pct=lots.certificate_pct,
        price_per_t=lots.price_per_t,
    )


def _campaigns(
    plant: Catalogue, parameters: Parameters, rng: np.random.Generator, count: int, memory: _Memory
) -> tuple[Integers, Booleans]:
    """Grades in sequences; never two sequences of one grade one after the other, where another is made."""
    shortest, longest = int(parameters.campaign_min_heats), int(parameters.campaign_max_heats)
    shares = np.array([g.campaign_share for g in plant.grades])
    grade, is_first = np.empty(count, dtype=np.int64), np.zeros(count, dtype=np.bool_)
    for heat in range(count):
        if memory.campaign_left == 0:
            others = np.where(np.arange(len(shares)) == memory.grade, 0.0, shares)
            chances = others if others.sum() > 0 else shares
            memory.grade = int(rng.choice(len(shares), p=chances / chances.sum()))
            memory.campaign_left = int(rng.integers(shortest, longest + 1))
            is_first[heat] = True
        grade[heat] = memory.grade
        memory.campaign_left -= 1
    return grade, is_first


def _beta(rng: np.random.Generator, mean: float, sd: float, count: int) -> Floats:
    """Beta-distributed shares of this mean and sd."""
    size = mean * (1 - mean) / sd**2 - 1
    return rng.beta(mean * size, (1 - mean) * size, count)
