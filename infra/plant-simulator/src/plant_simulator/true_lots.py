"""What is truly in the lots of a line: for who judges afterwards, and for nobody who plays."""

from typing import Any

import numpy as np

from plant_simulator.catalogue import Catalogue
from plant_simulator.chance import CHUNK_HEATS
from plant_simulator.elements import ELEMENTS
from plant_simulator.lots import Bins, lot_name
from plant_simulator.parameters import Parameters


def true_lots(
    plant: Catalogue, parameters: Parameters, seed: int, line: int, heats: int
) -> list[dict[str, Any]]:
    """Return the lots of the first `heats` heats of a line, as they came into use: `additive`, `lot`,
    `first_heat_no`, and by element what the certificate says and what is truly in it, wt %. What a scenario
    puts into a bin is not among them: its docstring says what that is.
    """
    bins = Bins(plant, parameters, seed, np.array([line]))
    found, known = list[dict[str, Any]](), set[tuple[int, int]]()
    for first in range(1, heats + 1, CHUNK_HEATS):
        lots = bins.chunk(first, min(CHUNK_HEATS, heats + 1 - first))
        for step, numbers in enumerate(lots.lot_no.tolist()):
            for j, number in enumerate(numbers):
                if (j, number) in known:
                    continue
                known.add((j, number))
                pairs = zip(
                    ELEMENTS, lots.certificate_pct[step, j].tolist(), lots.true_assay_pct[step, j].tolist(),
                    strict=True,
                )  # fmt: skip
                found.append(
                    {
                        "additive": plant.additive_names[j],
                        "lot": lot_name(plant.additives[j], number),
                        "first_heat_no": first + step,
                        "assay": {e: {"certificate_pct": c, "true_pct": t} for e, c, t in pairs if c > 0},
                    }
                )
    return found
