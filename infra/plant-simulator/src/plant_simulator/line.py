"""One furnace line, heat after heat: the hidden truth, what the plant sees of it, the crew's temper and the instruments' chance."""

from collections.abc import Iterator
from dataclasses import dataclass

from plant_simulator import hidden, instruments, steelmaker
from plant_simulator.catalogue import Catalogue
from plant_simulator.hidden import HiddenHeats
from plant_simulator.instruments import Noise, ObservedHeats
from plant_simulator.parameters import Parameters
from plant_simulator.steelmaker import Tempers
from plant_simulator.tables import rows


@dataclass(frozen=True)
class Heats:
    """The same heats from every side. `observed` and `tempers` are all that the steelmaker goes by."""

    hidden: HiddenHeats
    noise: Noise
    observed: ObservedHeats
    tempers: Tempers


def play(plant: Catalogue, parameters: Parameters, seed: int, first_heat_no: int, count: int) -> Iterator[Heats]:
    """`count` heats from `first_heat_no` on (0 is without end), in blocks; the same heats for the same seed, wherever one starts."""
    wanted = count or None
    for block in hidden.draw(plant, parameters, seed, first_heat_no):
        noise = instruments.draw_noise(parameters, seed, block.heat_no, len(plant.additives))
        observed = instruments.observe_before(parameters, block, noise)
        tempers = steelmaker.draw_tempers(plant, parameters, seed, block.heat_no)
        start = max(0, first_heat_no - int(block.heat_no[0]))
        cut = slice(start, None if wanted is None else start + wanted)
        heats = Heats(rows(block, cut), rows(noise, cut), rows(observed, cut), rows(tempers, cut))
        yield heats
        if wanted is not None:
            wanted -= len(heats.hidden.heat_no)
            if wanted <= 0:
                return
