"""What is truly in the lots is what the heats of the line were made with."""

import numpy as np

from plant_simulator import catalogue, line
from plant_simulator.elements import ELEMENTS
from plant_simulator.lots import lot_name
from plant_simulator.parameters import Parameters
from plant_simulator.true_lots import true_lots

PLANT, FIGURES = catalogue.load(), Parameters()


def test_true_lots_are_those_of_the_lines_heats() -> None:
    heats = 200
    found = true_lots(PLANT, FIGURES, 5, 0, heats)
    hidden = line.first(PLANT, FIGURES, 5, heats).hidden

    of_heats = set()
    for j, additive in enumerate(PLANT.additives):
        of_heats |= {(PLANT.additive_names[j], lot_name(additive, n)) for n in hidden.lot_no[:, j].tolist()}
    assert {(one["additive"], one["lot"]) for one in found} == of_heats
    for one in found:
        j, row = PLANT.additive_names.index(one["additive"]), one["first_heat_no"] - 1
        assert lot_name(PLANT.additives[j], int(hidden.lot_no[row, j])) == one["lot"]
        for element, assay in one["assay"].items():
            e = ELEMENTS.index(element)
            assert np.isclose(assay["true_pct"], hidden.true_assay_pct[row, j, e])
            assert np.isclose(assay["certificate_pct"], hidden.certificate_pct[row, j, e])
