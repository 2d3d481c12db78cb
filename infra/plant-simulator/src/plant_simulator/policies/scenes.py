"""Which plant, and which of its heats: the one place where policies ask the engine for heats."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from plant_simulator.bulk import Block, simulate
from plant_simulator.catalogue import TAPPING, Catalogue
from plant_simulator.elements import ELEMENTS, Floats
from plant_simulator.errors import BadSettingError
from plant_simulator.parameters import Parameters
from plant_simulator.policies.cases import Cases


class Scene(NamedTuple):
    """One plant and what happens to it."""

    seed: int
    parameter_set: int = 0
    scenario: str = "none"


def figures_of(parameters: Parameters, scene: Scene) -> Parameters:
    """The figures of this scene's plant."""
    if scene.parameter_set or scene.scenario != "none":
        raise BadSettingError(f"{scene}", "the scene", "parameter_set 0, scenario none")
    return parameters


def blocks_of(
    plant: Catalogue, parameters: Parameters, scene: Scene, lines: int | Sequence[int], heats_per_line: int
) -> Iterator[Block]:
    """The scene's heats as its steelmaker treats them."""
    return simulate(plant, figures_of(parameters, scene), scene.seed, lines, heats_per_line)


def cases_of(
    plant: Catalogue,
    parameters: Parameters,
    scene: Scene,
    station: str,
    lines: int | Sequence[int],
    heats_per_line: int,
) -> Iterator[Cases]:
    """The scene's treatments at a station, in blocks; heats come to the ladle furnace as the steelmaker tapped them."""
    size = lines if isinstance(lines, int) else len(lines)
    last = np.full((size, 2, len(ELEMENTS)), np.nan)
    for block in blocks_of(plant, parameters, scene, lines, heats_per_line):
        truth = block.heats.hidden
        factors = np.stack([truth.undissolved_factor, truth.ladle.undissolved_factor], axis=1)
        before = np.concatenate([last, factors])[: len(factors)]
        last = factors[-size:]
        yield _cases(block, station, before)


def _cases(block: Block, station: str, dissolution_before: Floats) -> Cases:
    is_tapping = station == TAPPING
    here = block.tapping if is_tapping else block.ladle
    return Cases(
        station=station,
        heats=block.heats.hidden,
        hidden=block.heats.hidden if is_tapping else block.ladles,
        noise=block.heats.noise.tapping if is_tapping else block.heats.noise.ladle,
        observed=here.before,
        tapped_observed=block.tapping.before,
        tapped_kg=block.tapping.after.weighed_kg,
        steelmaker_kg=here.decided_kg,
        dissolution_before=dissolution_before,
    )
