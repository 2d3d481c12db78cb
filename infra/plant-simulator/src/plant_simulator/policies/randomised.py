"""Additions that follow from the grade and from chance alone: what a model is judged on.

In a plant's own past the steelmaker closes the loop (little silicon before means more ferrosilicon), so errors on it say
little of what one kilogram does. Here kilograms are independent of chemistry, oxygen, slag and mass.
"""

import numpy as np

from plant_simulator import handbook, steelmaker
from plant_simulator.catalogue import Catalogue
from plant_simulator.chance import generator
from plant_simulator.elements import ELEMENTS, Floats, Integers
from plant_simulator.parameters import Parameters

RANDOMISED = 1001
"""Purpose of these random numbers, apart from all of the plant's own."""

LEAST_FACTOR, MOST_FACTOR = 0.5, 1.5
OTHER_RATE, OTHER_GAIN_PCT = 0.2, 0.08
"""How often a heat also gets some of an alloy, whatever its grade, and how much of its main element that brings at most."""


def randomised_kg(
    plant: Catalogue, parameters: Parameters, seed: int, grade: Integers, heat_no: Integers
) -> Floats:
    """Kilograms (heat, additive) in whole bags: the grade's usual ones times 0.5 to 1.5, each alloy by itself, and now
    and then some of any alloy. The same for the same seed and heat number.
    """
    usual = np.array([_usual_kg(plant, parameters, position) for position in range(len(plant.grades))])
    u = np.array([generator(RANDOMISED, seed, int(n)).random((3, usual.shape[1])) for n in heat_no])
    main_pct = np.array([a.assay_pct.max() for a in plant.additives])
    other = OTHER_GAIN_PCT * parameters.steel_mass_t * 1000 / main_pct
    kg = usual[grade] * (LEAST_FACTOR + (MOST_FACTOR - LEAST_FACTOR) * u[:, 0])
    kg += np.where(u[:, 1] < OTHER_RATE, other * u[:, 2], 0.0)
    step = plant.per_additive("increment_kg")
    bags: Floats = np.minimum(np.floor(kg / step + 0.5), np.floor(plant.per_additive("max_kg") / step)) * step
    return bags


def _usual_kg(plant: Catalogue, parameters: Parameters, position: int) -> Floats:
    """What the handbook rule gives the average heat of a grade, by the typical assays."""
    grade = plant.grades[position]
    unknown = np.full((1, len(ELEMENTS)), np.nan)
    typical = np.array([[a.assay_pct for a in plant.additives]])
    usual: Floats = handbook.work_out(
        entry=plant.handbook_entry(steelmaker.STATION, grade.grade),
        elements=ELEMENTS,
        additives=plant.additive_names,
        now_pct=unknown,
        aim_pct=handbook.aims(grade.min_pct, grade.aim_pct, grade.max_pct)[None],
        steel_mass_t=np.array([parameters.steel_mass_t]),
        offers=steelmaker.offers(plant, typical, np.ones((1, len(plant.additives)), np.bool_)),
    ).added_kg[0]
    return usual
