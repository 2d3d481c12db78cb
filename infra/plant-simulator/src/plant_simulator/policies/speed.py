"""How fast the plant makes heats in bulk, and whether they are the same each time: the simulator's own
bench.
"""

import hashlib
import os
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
    """`digest` is of every decision and every result, seen and hidden; memory is this process's peak."""

    heats: int
    seconds: float
    heats_per_s: float
    peak_mb: float
    digest: str


def measure(plant: Catalogue, parameters: Parameters, seed: int, heats: int, lines: int = LINES) -> Speed:
    """Make at least this many heats on one core, both stations, with the steelmaker deciding."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    per_line = -(-heats // lines)
    digest, made, seconds = hashlib.sha256(), 0, 0.0
    begun = time.perf_counter()
    for block in simulate(plant, parameters, seed, lines, per_line):
        seconds += time.perf_counter() - begun
        made += len(block.heats.hidden.heat_no)
        for table in (
            block.tapping.decided_kg,
            block.ladle.after.chemistry_pct,
            block.treated.metal.chemistry_pct,
        ):
            digest.update(np.ascontiguousarray(table).tobytes())
        begun = time.perf_counter()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Speed(made, seconds, made / seconds, peak_mb, digest.hexdigest())
