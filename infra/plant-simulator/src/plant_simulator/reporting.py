"""How Level 2 reports: mostly in time, sometimes late, twice, or wrong at first and corrected."""

from dataclasses import dataclass

from plant_simulator.chance import MESSAGES, generator
from plant_simulator.elements import Booleans, Floats, Integers
from plant_simulator.parameters import Parameters


@dataclass(frozen=True)
class Reporting:
    """What will happen to the reports of each heat, drawn beforehand."""

    is_late: Booleans
    is_twice: Booleans
    is_corrected: Booleans
    is_weight_corrected: Booleans
    has_extra_sample: Booleans
    slip_rel: Floats  # how wrong a first report is that will be corrected, relative


def draw(parameters: Parameters, seed: int, heat_no: Integers) -> Reporting:
    """Reports of a block of heats (keyed by its first heat)."""
    p, rng = parameters, generator(MESSAGES, seed, int(heat_no[0]))
    u = rng.random((6, len(heat_no)))
    return Reporting(
        is_late=u[0] < p.late_result_rate,
        is_twice=u[1] < p.duplicate_rate,
        is_corrected=u[2] < p.corrected_result_rate,
        is_weight_corrected=u[3] < p.corrected_weight_rate,
        has_extra_sample=u[4] < p.extra_sample_rate,
        slip_rel=0.02 + 0.08 * u[5],
    )
