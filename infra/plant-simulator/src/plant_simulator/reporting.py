"""How Level 2 reports: mostly in time, sometimes late, twice, or wrong at first and corrected; and which
heats come to nothing or go elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from plant_simulator.chance import MESSAGES, Draws
from plant_simulator.elements import Booleans, Floats, Integers
from plant_simulator.parameters import Parameters


@dataclass(frozen=True)
class Reports:
    """What will happen to the reports of one station, drawn beforehand."""

    is_late: Booleans
    is_twice: Booleans
    is_corrected: Booleans
    is_weight_corrected: Booleans
    has_extra_sample: Booleans
    slip_rel: Floats  # how wrong a first report is that will be corrected, relative


@dataclass(frozen=True)
class Reporting:
    """What will happen to the reports of each heat."""

    is_cancelled: Booleans
    is_diverted: Booleans  # told as another grade at first, then diverted to the one it is made for
    u_first_grade: Floats
    tapping: Reports
    ladle: Reports


def draw(parameters: Parameters, seed: int, lines: Integers) -> Iterator[Reporting]:
    """Reports of the heats of `hidden.draw`, chunk by chunk."""
    p, chunk = parameters, 0
    while True:
        d = Draws(MESSAGES, seed, lines, chunk, 0, 15)

        def reports(d: Draws = d) -> Reports:
            return Reports(
                is_late=d.uniform() < p.late_result_rate,
                is_twice=d.uniform() < p.duplicate_rate,
                is_corrected=d.uniform() < p.corrected_result_rate,
                is_weight_corrected=d.uniform() < p.corrected_weight_rate,
                has_extra_sample=d.uniform() < p.extra_sample_rate,
                slip_rel=0.02 + 0.08 * d.uniform(),
            )

        yield Reporting(
            is_cancelled=d.uniform() < p.cancelled_rate,
            is_diverted=d.uniform() < p.diverted_rate,
            u_first_grade=d.uniform(),
            tapping=reports(),
            ladle=reports(),
        )
        chunk += 1
