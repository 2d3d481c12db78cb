"""Which plant, and which of its heats: the one place where policies ask the engine for heats."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from plant_simulator import plants, scenarios
from plant_simulator.bulk import Block, Policy, simulate
from plant_simulator.catalogue import STATIONS, TAPPING, Catalogue
from plant_simulator.elements import ELEMENTS, Floats
from plant_simulator.parameters import Parameters
from plant_simulator.policies.cases import Cases

NONE = "none"


class Scene(NamedTuple):
    """One plant and what happens to it: scenarios as NAME@HEAT, with commas between."""

    seed: int
    parameter_set: int = 0
    scenario: str = NONE


def named(seed: int, started: Sequence[scenarios.Started]) -> Scene:
    """Scenarios as a command line names them; another plant's figures come with its parameters."""
    return Scene(seed, scenario=",".join(f"{name}@{start}" for name, start in started) or NONE)


def figures_of(parameters: Parameters, scene: Scene) -> Parameters:
    """The figures of this scene's plant: the given ones, or those of another plant drawn by its number."""
    return plants.draw(scene.parameter_set) if scene.parameter_set else parameters


def blocks_of(
    plant: Catalogue,
    parameters: Parameters,
    scene: Scene,
    lines: int | Sequence[int],
    heats_per_line: int,
    policy: Policy | None = None,
) -> Iterator[Block]:
    """The scene's heats as its steelmaker (or the policy) treats them.

    Raises BadSettingError for a scenario that is none.
    """
    figures = figures_of(parameters, scene)
    names = [] if scene.scenario == NONE else scene.scenario.split(",")
    change = scenarios.change(plant, [scenarios.parse(name) for name in names])
    return simulate(plant, figures, scene.seed, lines, heats_per_line, policy, change)


def cases_of(
    plant: Catalogue,
    parameters: Parameters,
    scene: Scene,
    station: str,
    lines: int | Sequence[int],
    heats_per_line: int,
) -> Iterator[Cases]:
    """The scene's treatments at a station, in blocks; heats come to the ladle furnace as the steelmaker
    tapped them.
    """
    for both in both_stations(plant, parameters, scene, lines, heats_per_line):
        yield both[station]


def both_stations(
    plant: Catalogue, parameters: Parameters, scene: Scene, lines: int | Sequence[int], heats_per_line: int
) -> Iterator[dict[str, Cases]]:
    """The same heats at tapping and at the ladle furnace, block by block."""
    size = lines if isinstance(lines, int) else len(lines)
    last = np.full((size, 2, len(ELEMENTS)), np.nan)
    for block in blocks_of(plant, parameters, scene, lines, heats_per_line):
        truth = block.heats.hidden
        factors = np.stack([truth.undissolved_factor, truth.ladle.undissolved_factor], axis=1)
        before = np.concatenate([last, factors])[: len(factors)]
        last = factors[-size:]
        yield {station: _cases(block, station, before) for station in STATIONS}


def _cases(block: Block, station: str, dissolution_before: Floats) -> Cases:
    is_tapping = station == TAPPING
    here = block.tapping if is_tapping else block.ladle
    return Cases(
        station=station,
        heats=block.heats.hidden,
        hidden=block.heats.hidden if is_tapping else block.ladles,
        noise=block.heats.noise.tapping if is_tapping else block.heats.noise.ladle,
        observed=here.before,
        steelmaker_kg=here.decided_kg,
        dissolution_before=dissolution_before,
    )
