"""How fast the plant makes heats in bulk, and whether they are the same each time: the simulator's own
bench.
"""

import hashlib
import resource
import time
from dataclasses import dataclass

import numpy as np

from plant_simulator.bulk import simulate
from plant_simulator.catalogue import Catalogue
from plant_simulator.parameters import Parameters

LINES = 512


@dataclass(frozen=True)
class Speed:
    """`heats_per_core_s` is by processor time, so other work on the machine does not count; memory is this
    process's peak; `digest` is of tapping's decisions and of the last results, seen and hidden.
    """

    heats: int
    seconds: float
    heats_per_s: float
    heats_per_core_s: float
    peak_mb: float
    digest: str


def measure(plant: Catalogue, parameters: Parameters, seed: int, heats: int, lines: int = LINES) -> Speed:
    """Make at least this many heats on one core, both stations, with the steelmaker deciding."""
    per_line = -(-heats // lines)
    digest, made, seconds, core_seconds = hashlib.sha256(), 0, 0.0, 0.0
    begun, begun_core = time.perf_counter(), time.process_time()
    for block in simulate(plant, parameters, seed, lines, per_line):
        seconds += time.perf_counter() - begun
        core_seconds += time.process_time() - begun_core
        made += len(block.heats.hidden.heat_no)
        for table in (
            block.tapping.decided_kg,
            block.ladle.after.chemistry_pct,
            block.treated.metal.chemistry_pct,
        ):
            digest.update(np.ascontiguousarray(table).tobytes())
        begun, begun_core = time.perf_counter(), time.process_time()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Speed(made, seconds, made / seconds, made / core_seconds, peak_mb, digest.hexdigest())
