"""Random numbers by purpose, line and chunk of heats: what is drawn for one of them never shifts what is
drawn for another, so a heat is the same however many lines run, wherever one starts and however blocks are
cut.
"""

import numpy as np

from plant_simulator.elements import Floats, Integers

LOTS, HIDDEN, INSTRUMENTS, STEELMAKER, MESSAGES, RECALIBRATION, SHIFTS, LADLE, PLANTS = range(9)
CHUNK_HEATS = 32
"""Heats of one line whose random numbers come from one stream."""


def generator(purpose: int, *keys: int) -> np.random.Generator:
    """A generator that follows from its purpose and keys (seed first) alone."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([purpose, *keys])))


class Draws:
    """The random numbers of one chunk of all lines, handed out column by column; flat: step by step, line
    by line.
    """

    def __init__(
        self, purpose: int, seed: int, lines: Integers, chunk: int, normals: int, uniforms: int
    ) -> None:
        z = np.empty((CHUNK_HEATS, len(lines), normals))
        u = np.empty((CHUNK_HEATS, len(lines), uniforms))
        self.generators = [generator(purpose, seed, int(line), chunk) for line in lines]
        for position, rng in enumerate(self.generators):
            z[:, position] = rng.standard_normal((CHUNK_HEATS, normals))
            u[:, position] = rng.random((CHUNK_HEATS, uniforms))
        self._z = z.reshape(CHUNK_HEATS * len(lines), normals)
        self._u = u.reshape(CHUNK_HEATS * len(lines), uniforms)
        self._next_z = self._next_u = 0

    def normals(self, width: int) -> Floats:
        """The next `width` columns of standard normals, (heat, width)."""
        self._next_z += width
        return self._z[:, self._next_z - width : self._next_z]

    def normal(self) -> Floats:
        """The next column of standard normals, (heat,)."""
        return self.normals(1)[:, 0]

    def uniforms(self, width: int) -> Floats:
        """The next `width` columns of uniforms, (heat, width)."""
        self._next_u += width
        return self._u[:, self._next_u - width : self._next_u]

    def uniform(self) -> Floats:
        """The next column of uniforms, (heat,)."""
        return self.uniforms(1)[:, 0]

    def beta(self, mean: float, sd: float) -> Floats:
        """Beta-distributed shares of this mean and sd, (heat,). To be asked for after everything else."""
        size = mean * (1 - mean) / sd**2 - 1
        drawn = [rng.beta(mean * size, (1 - mean) * size, CHUNK_HEATS) for rng in self.generators]
        return np.stack(drawn, axis=1).reshape(-1)


def with_memory(state: Floats, fresh: Floats, memory: float | Floats) -> Floats:
    """Standard normals with lag-1 autocorrelation `memory`, from standard normals `fresh` (time first) and
    the last `state`.
    """
    out = np.empty_like(fresh)
    gain = np.sqrt(1 - np.square(memory))
    for step in range(len(fresh)):
        state = memory * state + gain * fresh[step]
        out[step] = state
    return out
