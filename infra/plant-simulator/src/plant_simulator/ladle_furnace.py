"""What becomes of a heat at the ladle furnace: waiting, arc, trim, slag, fade (B6, step 8).

Pure and vectorised like `tapping`, whose result is where it starts from.
"""

from dataclasses import dataclass

import numpy as np

from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import AL, INDEX, Floats, Integers, vector
from plant_simulator.hidden import HiddenHeats, LadleChance
from plant_simulator.parameters import Parameters
from plant_simulator.tapping import HiddenResults, dissolve, weighted

MNO_PER_MN = 71 / 55
MN, SI, S, N = (INDEX[e] for e in ("Mn", "Si", "S", "N"))


@dataclass(frozen=True)
class HiddenLadles:
    """The truth when heats come to the ladle furnace: what tapping left, one row per heat."""

    line: Integers
    heat_no: Integers
    grade: Integers
    is_al_killed: Integers
    steel_mass_t: Floats
    temperature_c: Floats
    chemistry_pct: Floats  # (heat, element)
    slag_kg_t: Floats
    slag_feo_pct: Floats
    slag_mno_pct: Floats
    lot_no: Integers
    true_assay_pct: Floats
    certificate_pct: Floats
    price_per_t: Floats
    chance: LadleChance


@dataclass(frozen=True)
class HiddenTreatments:
    """The truth after the ladle furnace. `metal` is what `tapping` tells too; arc energy, kWh/t."""

    metal: HiddenResults
    arc_kwh_t: Floats
    slag_mno_pct: Floats


def arrive(parameters: Parameters, heats: HiddenHeats, tapped: HiddenResults) -> HiddenLadles:
    """The heats as they come to the ladle furnace after tapping."""
    p, chance = parameters, heats.ladle
    left = heats.carry_over_kg_t * (1 - heats.slag_reacts_share)
    burnt_mn_kg_t = tapped.oxidised_kg[..., MN] / heats.steel_mass_t
    mno_kg_t = left * heats.slag_mno_pct / 100 + p.mn_loss_to_slag_share * MNO_PER_MN * burnt_mn_kg_t
    slag_kg_t = chance.slag_kg_t + heats.carry_over_kg_t
    return HiddenLadles(
        line=heats.line,
        heat_no=heats.heat_no,
        grade=heats.grade,
        is_al_killed=heats.is_al_killed,
        steel_mass_t=tapped.steel_mass_t,
        temperature_c=tapped.temperature_c - p.waiting_loss_c_per_min * chance.since_tap_min,
        chemistry_pct=tapped.chemistry_pct,
        slag_kg_t=slag_kg_t,
        slag_feo_pct=100 * 0.3 * left * heats.slag_feo_pct / 100 / slag_kg_t,
        slag_mno_pct=100 * mno_kg_t / slag_kg_t,
        lot_no=heats.lot_no,
        true_assay_pct=heats.true_assay_pct,
        certificate_pct=heats.certificate_pct,
        price_per_t=heats.price_per_t,
        chance=chance,
    )


def ladle_furnace(
    plant: Catalogue, parameters: Parameters, ladles: HiddenLadles, tipped_kg: Floats
) -> HiddenTreatments:
    """The heats after these kilograms (heat, additive) were really tipped at the ladle furnace."""
    p, chance, mass_t = parameters, ladles.chance, ladles.steel_mass_t[..., None]
    added_kg, undissolved_kg = dissolve(
        plant,
        tipped_kg,
        ladles.true_assay_pct,
        vector(p.ladle_furnace_undissolved_share) * chance.undissolved_factor,
    )
    chill_c = weighted(tipped_kg, plant.per_additive("chill_c_per_kg_t")) / ladles.steel_mass_t
    without_arc_c = ladles.temperature_c + chill_c - p.ladle_loss_c_per_min * chance.treatment_min
    arc_kwh_t = np.maximum(chance.final_temperature_c - without_arc_c, 0) / p.arc_c_per_kwh_t
    arc_min = arc_kwh_t / p.arc_kwh_t_per_min

    reduced_kg_t = chance.mno_reduced_share * ladles.slag_kg_t * ladles.slag_mno_pct / 100
    before_kg = ladles.chemistry_pct * mass_t * 10
    there_kg = before_kg + added_kg - undissolved_kg
    lost_kg, gained_kg = np.zeros_like(added_kg), np.zeros_like(added_kg)
    gained_kg[..., MN] = p.mn_per_mno * reduced_kg_t * ladles.steel_mass_t
    lost_kg[..., SI] = np.minimum(p.si_per_mno * reduced_kg_t * ladles.steel_mass_t, 0.5 * there_kg[..., SI])
    fade_pct = p.al_fade_pct_per_10_min / 10 * chance.treatment_min * chance.al_fade_factor
    lost_kg[..., AL] = np.minimum(fade_pct * ladles.steel_mass_t * 10, 0.8 * there_kg[..., AL])
    lost_kg[..., S] = (1 - chance.sulphur_left_share) * there_kg[..., S]
    gained_kg[..., N] = p.nitrogen_pct_per_10_min / 10 * arc_min * ladles.steel_mass_t * 10

    after_kg = there_kg - lost_kg + gained_kg
    iron_kg = weighted(tipped_kg, plant.per_additive("iron_share"))
    steel_mass_t = ladles.steel_mass_t + ((after_kg - before_kg).sum(axis=-1) + iron_kg) / 1000
    metal = HiddenResults(
        chemistry_pct=after_kg / steel_mass_t[..., None] / 10,
        steel_mass_t=steel_mass_t,
        temperature_c=without_arc_c + p.arc_c_per_kwh_t * arc_kwh_t,
        added_kg=added_kg,
        undissolved_kg=undissolved_kg,
        oxidised_kg=lost_kg,
        reverted_kg=gained_kg,
        iron_kg=iron_kg,
        oxygen_kg_t=np.zeros_like(steel_mass_t),
        oxygen_left_kg_t=np.zeros_like(steel_mass_t),
    )
    slag_mno_pct = ladles.slag_mno_pct * (1 - chance.mno_reduced_share)
    return HiddenTreatments(metal, arc_kwh_t, slag_mno_pct)
