"""One furnace line, heat after heat:

the hidden truth, what the plant sees of it, the crew's temper and the instruments' chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from plant_simulator import hidden, instruments, reporting, steelmaker
from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import Integers
from plant_simulator.hidden import HiddenHeats
from plant_simulator.instruments import Noise, ObservedHeats
from plant_simulator.parameters import Parameters
from plant_simulator.reporting import Reporting
from plant_simulator.steelmaker import Tempers
from plant_simulator.tables import rows


@dataclass(frozen=True)
class Heats:
    """The same heats from every side. `observed` and `tempers` are all that the steelmaker goes by."""

    hidden: HiddenHeats
    noise: Noise
    observed: ObservedHeats
    tempers: Tempers
    reporting: Reporting


def play(
    plant: Catalogue, parameters: Parameters, seed: int, first_heat_no: int, count: int
) -> Iterator[Heats]:
    """`count` heats from `first_heat_no` on (0 is without end), in blocks; the same heats for the same seed,
    wherever one starts.
    """
    wanted = count or None
    for block in hidden.draw(plant, parameters, seed, first_heat_no):
        noise = instruments.draw_noise(parameters, seed, block.heat_no, len(plant.additives))
        observed = instruments.observe_before(parameters, block, noise)
        tempers = steelmaker.draw_tempers(plant, parameters, seed, block.heat_no)
        reports = reporting.draw(parameters, seed, block.heat_no)
        start = max(0, first_heat_no - int(block.heat_no[0]))
        cut = slice(start, None if wanted is None else start + wanted)
        heats = pick(Heats(block, noise, observed, tempers, reports), cut)
        yield heats
        if wanted is not None:
            wanted -= len(heats.hidden.heat_no)
            if wanted <= 0:
                return


def pick(heats: Heats, index: slice | Integers) -> Heats:
    """Some of the heats, from every side."""
    return Heats(
        rows(heats.hidden, index),
        rows(heats.noise, index),
        rows(heats.observed, index),
        rows(heats.tempers, index),
        rows(heats.reporting, index),
    )
