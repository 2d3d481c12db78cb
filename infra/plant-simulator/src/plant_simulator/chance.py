"""Random numbers by purpose: what is drawn for one purpose never shifts what is drawn for another."""

import numpy as np

from plant_simulator.elements import Floats

LOTS, HIDDEN, INSTRUMENTS, STEELMAKER, MESSAGES, RECALIBRATION = range(6)


def generator(purpose: int, *keys: int) -> np.random.Generator:
    """A generator that follows from its purpose and keys (seed first) alone."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([purpose, *keys])))


def with_memory(state: Floats, fresh: Floats, memory: float) -> Floats:
    """Standard normals with lag-1 autocorrelation `memory`, from standard normals `fresh` (time first) and
    the last `state`.
    """
    out = np.empty_like(fresh)
    gain = np.sqrt(1 - memory**2)
    for step in range(len(fresh)):
        state = memory * state + gain * fresh[step]
        out[step] = state
    return out
