"""Additions that follow from the grade and from chance alone: what a model is judged on.

In a plant's own past the steelmaker closes the loop (little silicon before means more ferrosilicon), so
errors on it say little of what one kilogram does. Here kilograms are independent of chemistry, oxygen, slag
and mass.
"""

from itertools import product

import numpy as np

from plant_simulator import handbook
from plant_simulator.bulk import Policy, View
from plant_simulator.catalogue import LADLE_FURNACE, STATIONS, Catalogue
from plant_simulator.chance import generator
from plant_simulator.elements import ELEMENTS, Floats
from plant_simulator.parameters import Parameters

RANDOMISED = 1001
"""Purpose of these random numbers, apart from all of the plant's own."""

LEAST_FACTOR, MOST_FACTOR = 0.5, 1.5
OTHER_RATE, OTHER_GAIN_PCT = 0.2, 0.08
"""How often a heat also gets some of an alloy, whatever its grade, and how much of its main element that
brings at most.
"""


def randomised(plant: Catalogue, parameters: Parameters, seed: int) -> Policy:
    """Kilograms in whole bags: the grade's usual ones times 0.5 to 1.5, each alloy by itself, and now and
    then some of any alloy that the grade allows. They follow from the seed, the heat's name, its grade and
    station alone.
    """
    usual = {station: _usual_kg(plant, parameters, station) for station in STATIONS}
    main_pct = np.array([a.assay_pct.max() for a in plant.additives])
    other_kg = OTHER_GAIN_PCT * parameters.steel_mass_t * 1000 / main_pct
    step = plant.per_additive("increment_kg")
    largest = np.floor(plant.per_additive("max_kg") / step)

    def policy(view: View, number: int) -> Floats:
        seen = view.heats
        place = STATIONS.index(view.station)
        u = np.array(
            [
                generator(RANDOMISED, seed, int(line), number, place).random((3, len(step)))
                for line in seen.line
            ]
        )
        kg = usual[view.station][seen.grade, seen.is_al_killed]
        kg = kg * (LEAST_FACTOR + (MOST_FACTOR - LEAST_FACTOR) * u[:, 0])
        kg = kg + np.where(u[:, 1] < OTHER_RATE, other_kg * u[:, 2], 0.0)
        bags = np.minimum(np.floor(kg / step + 0.5), largest) * step
        return np.where(seen.is_offered & ~plant.is_forbidden[seen.grade], bags, 0.0)

    return policy


def _usual_kg(plant: Catalogue, parameters: Parameters, station: str) -> Floats:
    """What the handbook rule gives the usual heat of a grade (grade, is_al_killed, additive), by the typical
    assays.
    """
    bounds = plant.bounds(station)
    aim = handbook.aims(*bounds)
    grades, killings = aim.shape[:2]
    usual = np.zeros((grades, killings, len(plant.additives)))
    assays = np.array([a.assay_pct for a in plant.additives])
    before = plant.usual_arrival_pct if station == LADLE_FURNACE else np.full_like(aim, np.nan)
    for grade, killed in product(range(grades), range(killings)):
        usual[grade, killed] = handbook.work_out(
            rule=handbook.rule_of(plant.entry(station, grade, bool(killed)), ELEMENTS),
            elements=ELEMENTS,
            additives=plant.additive_names,
            now_pct=before[grade, killed][None],
            aim_pct=aim[grade, killed][None],
            steel_mass_t=np.array([parameters.steel_mass_t]),
            offers=handbook.Offers(
                assay_pct=assays[None],
                stock_kg=np.full(len(assays), np.inf),
                max_kg=plant.per_additive("max_kg"),
                min_kg=np.zeros(len(assays)),
                increment_kg=plant.per_additive("increment_kg"),
                is_offered=~plant.is_forbidden[grade][None],
            ),
        ).added_kg[0]
    return usual
