"""What becomes of additions in the tap stream: dissolution, deoxidation, dilution, temperature (B6, steps 3
to 7).

Pure and vectorised: every array's leading axes are heats, the last one is the element (or the additive). For
one hidden heat the
result is a function of the kilograms alone, so policies can be compared on the very same heats.
"""

from dataclasses import dataclass

import numpy as np

from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import AL, INDEX, Floats, vector
from plant_simulator.hidden import HiddenHeats
from plant_simulator.parameters import Parameters

FEO_OXYGEN, MNO_OXYGEN, P2O5_PHOSPHORUS = 16 / 72, 16 / 71, 62 / 142


@dataclass(frozen=True)
class HiddenResults:
    """The truth after additions, at either station.

    Masses of elements in kg per heat (heat, element); oxygen in kg per tonne.
    """

    chemistry_pct: Floats
    steel_mass_t: Floats
    temperature_c: Floats
    added_kg: Floats
    undissolved_kg: Floats
    oxidised_kg: Floats
    reverted_kg: Floats
    iron_kg: Floats
    oxygen_kg_t: Floats
    oxygen_left_kg_t: Floats


def tap(plant: Catalogue, parameters: Parameters, heats: HiddenHeats, tipped_kg: Floats) -> HiddenResults:
    """The heats after these kilograms (heat, additive) were really tipped."""
    p, mass_t = parameters, heats.steel_mass_t[..., None]
    added_kg, undissolved_kg = dissolve(
        plant, tipped_kg, heats.true_assay_pct, vector(p.undissolved_share) * heats.undissolved_factor
    )
    dissolved = (added_kg - undissolved_kg) / mass_t

    oxygen = oxygen_to_remove_kg_t(heats)
    burnt = _burnt_kg_t(p, dissolved, oxygen)
    oxidised_kg = burnt * mass_t

    reverted_kg = np.zeros_like(added_kg)
    phosphorus_kg_t = heats.carry_over_kg_t * p.slag_p2o5_pct / 100 * P2O5_PHOSPHORUS * p.phosphorus_reversion
    reverted_kg[..., INDEX["P"]] = phosphorus_kg_t * heats.steel_mass_t
    iron_kg = weighted(tipped_kg, plant.per_additive("iron_share"))

    before_kg = heats.chemistry_pct * mass_t * 10
    after_kg = before_kg + added_kg - undissolved_kg - oxidised_kg + reverted_kg
    steel_mass_t = heats.steel_mass_t + ((after_kg - before_kg).sum(axis=-1) + iron_kg) / 1000
    chill_c = weighted(tipped_kg, plant.per_additive("chill_c_per_kg_t")) / heats.steel_mass_t
    per_oxygen = vector(p.kg_per_kg_oxygen)
    taken = np.divide(burnt, per_oxygen, out=np.zeros_like(burnt), where=per_oxygen > 0).sum(axis=-1)
    return HiddenResults(
        chemistry_pct=after_kg / steel_mass_t[..., None] / 10,
        steel_mass_t=steel_mass_t,
        temperature_c=heats.temperature_c
        - heats.heat_loss_c
        + chill_c
        + p.al_burning_c_per_kg_t * burnt[..., AL],
        added_kg=added_kg,
        undissolved_kg=undissolved_kg,
        oxidised_kg=oxidised_kg,
        reverted_kg=reverted_kg,
        iron_kg=iron_kg,
        oxygen_kg_t=oxygen,
        oxygen_left_kg_t=oxygen - taken,
    )


def dissolve(
    plant: Catalogue, tipped_kg: Floats, true_assay_pct: Floats, undissolved_share: Floats
) -> tuple[Floats, Floats]:
    """Element thrown in and what of it never dissolves, kg (heat, element).

    Added up additive by additive, so that a heat's sum does not depend on how many heats are reckoned at
    once.
    """
    shares = np.minimum(undissolved_share, 0.95)
    factors = plant.per_additive("loss_factor")
    shape = np.broadcast_shapes(tipped_kg.shape[:-1], true_assay_pct.shape[:-2])
    added, undissolved = np.zeros((*shape, shares.shape[-1])), np.zeros((*shape, shares.shape[-1]))
    for position, factor in enumerate(factors.tolist()):
        thrown = tipped_kg[..., position, None] * true_assay_pct[..., position, :] / 100
        added += thrown
        undissolved += thrown * (shares if factor == 1 else np.minimum(factor * shares, 0.95))
    return added, undissolved


def weighted(kg: Floats, weights: Floats) -> Floats:
    """Sum over the additives of kilograms x weight (heat,)."""
    total: Floats = (kg * weights).sum(axis=-1)
    return total


def oxygen_to_remove_kg_t(heats: HiddenHeats) -> Floats:
    """Dissolved, from the carried-over slag, and from air."""
    slag_oxygen = heats.slag_feo_pct / 100 * FEO_OXYGEN + heats.slag_mno_pct / 100 * MNO_OXYGEN
    from_slag = heats.slag_reacts_share * heats.carry_over_kg_t * slag_oxygen
    return heats.oxygen_ppm * 1e-3 + from_slag + heats.air_oxygen_kg_t


def _burnt_kg_t(p: Parameters, dissolved_kg_t: Floats, oxygen_kg_t: Floats) -> Floats:
    """Aluminium burns first; what oxygen is left is shared by affinity x amount."""
    per_oxygen, affinity = vector(p.kg_per_kg_oxygen), vector(p.oxygen_affinity)
    by_al = np.minimum(
        p.al_oxygen_share_of_al * dissolved_kg_t[..., AL] / per_oxygen[AL],
        p.al_oxygen_share_of_oxygen * oxygen_kg_t,
    )
    left = (oxygen_kg_t - by_al)[..., None]
    pull = affinity * dissolved_kg_t
    share = pull / np.maximum(pull.sum(axis=-1, keepdims=True), 1e-12)
    burnt: Floats = np.minimum(p.largest_oxidised_share * dissolved_kg_t, left * share * per_oxygen)
    burnt[..., AL] = by_al * per_oxygen[AL]
    return burnt
