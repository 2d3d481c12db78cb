"""Furnace lines, heat after heat:

the hidden truth, the crew's temper, the instruments' chance and Level 2's habits, before anything is added.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from plant_simulator import hidden, instruments, reporting, steelmaker
from plant_simulator.catalogue import Catalogue
from plant_simulator.chance import CHUNK_HEATS
from plant_simulator.elements import Booleans, Integers
from plant_simulator.hidden import HiddenHeats
from plant_simulator.instruments import Noise
from plant_simulator.parameters import Parameters
from plant_simulator.reporting import Reporting
from plant_simulator.steelmaker import Tempers
from plant_simulator.tables import rows, stack


@dataclass(frozen=True)
class Heats:
    """The same heats from every side; the truth and the chances of who looks at it."""

    hidden: HiddenHeats
    noise: Noise
    tempers: Tempers
    reporting: Reporting


Change = Callable[[Heats], Heats]
"""What a scenario does to heats before anybody has seen them."""


def draw(
    plant: Catalogue,
    parameters: Parameters,
    seed: int,
    lines: Integers,
    change: Change | None = None,
) -> Iterator[Heats]:
    """Heats of these lines from their first on, in chunks of CHUNK_HEATS steps, without end."""
    sides = zip(
        hidden.draw(plant, parameters, seed, lines),
        instruments.draw_noise(parameters, seed, lines, len(plant.additives)),
        steelmaker.draw_tempers(plant, parameters, seed, lines),
        reporting.draw(parameters, seed, lines),
        strict=False,
    )
    for chunk in sides:
        heats = Heats(*chunk)
        yield heats if change is None else change(heats)


def one_by_one(
    plant: Catalogue,
    parameters: Parameters,
    seed: int,
    first_heat_no: int = 1,
    line: int = 0,
) -> Iterator[Heats]:
    """The heats of one line from `first_heat_no` on, without end; the same wherever one starts."""
    for number, chunk in enumerate(draw(plant, parameters, seed, np.array([line]))):
        for step in range(CHUNK_HEATS):
            if number * CHUNK_HEATS + step + 1 >= first_heat_no:
                yield rows(chunk, slice(step, step + 1))


def pick(heats: Heats, index: slice | Integers | Booleans) -> Heats:
    """Some of the heats, from every side."""
    return rows(heats, index)


def first(plant: Catalogue, parameters: Parameters, seed: int, heats: int, lines: int = 1) -> Heats:
    """The first heats of lines 0 to `lines` - 1, ordered by step, then line."""
    chunks, wanted = [], heats * lines
    for chunk in draw(plant, parameters, seed, np.arange(lines)):
        chunks.append(chunk)
        wanted -= CHUNK_HEATS * lines
        if wanted <= 0:
            return rows(stack(chunks), slice(0, heats * lines))
    raise AssertionError("a line never ends")
