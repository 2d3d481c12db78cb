"""Lots in the bins: when they change, what is truly in them, and what their certificates say.

A lot follows from (seed, line, additive, lot number) alone.
"""

from dataclasses import dataclass

import numpy as np

from plant_simulator.catalogue import Additive, Catalogue
from plant_simulator.chance import LOTS, generator
from plant_simulator.elements import ELEMENTS, Booleans, Floats, Integers
from plant_simulator.parameters import Parameters


@dataclass(frozen=True)
class LotsInBins:
    """Per heat and additive:

    lot number, true assay (hidden) and certificate (heat, additive, element; wt %), price per tonne.
    """

    lot_no: Integers
    true_assay_pct: Floats
    certificate_pct: Floats
    price_per_t: Floats


class Bins:
    """The lots in the bins of some lines, heat after heat."""

    def __init__(self, plant: Catalogue, parameters: Parameters, seed: int, lines: Integers) -> None:
        self._plant, self._p, self._seed, self._lines = plant, parameters, seed, lines
        shape = (len(lines), len(plant.additives))
        self._assay = np.stack([a.assay_pct for a in plant.additives])
        self._lot_sd = np.stack([a.lot_sd_pct for a in plant.additives]) * parameters.lot_sd_factor
        self._room = 100 - 100 * plant.per_additive("iron_share")
        self._typical_price = plant.per_additive("price_per_t")
        self._lot_no = np.zeros(shape, dtype=np.int64)
        self._next_heat_no = np.ones(shape, dtype=np.int64)
        self._true = np.zeros((*shape, len(ELEMENTS)))
        self._certificate = np.zeros((*shape, len(ELEMENTS)))
        self._price = np.broadcast_to(self._typical_price, shape).copy()

    def chunk(self, first_heat_no: int, heats: int) -> LotsInBins:
        """The lots that the next heats draw from, (heat and line, additive); heats must follow each other."""
        shape = (heats, *self._lot_no.shape)
        lots = LotsInBins(
            np.empty(shape, dtype=np.int64),
            np.empty((*shape, len(ELEMENTS))),
            np.empty((*shape, len(ELEMENTS))),
            np.empty(shape),
        )
        for step in range(heats):
            is_over = self._next_heat_no <= first_heat_no + step
            if is_over.any():
                self._change(is_over)
            lots.lot_no[step] = self._lot_no
            lots.true_assay_pct[step] = self._true
            lots.certificate_pct[step] = self._certificate
            lots.price_per_t[step] = self._price
        n, additives = shape[0] * shape[1], shape[2]
        return LotsInBins(
            lots.lot_no.reshape(n, additives),
            lots.true_assay_pct.reshape(n, additives, -1),
            lots.certificate_pct.reshape(n, additives, -1),
            lots.price_per_t.reshape(n, additives),
        )

    def _change(self, is_over: Booleans) -> None:
        p, elements = self._p, len(ELEMENTS)
        line, additive = np.nonzero(is_over)
        is_first = self._lot_no[line, additive] == 0
        self._lot_no[line, additive] += 1
        z, u = np.empty((len(line), 2 * elements + 1)), np.empty((len(line), 3))
        numbers = self._lot_no[line, additive]
        for row, keys in enumerate(
            zip(self._lines[line].tolist(), additive.tolist(), numbers.tolist(), strict=True)
        ):
            rng = generator(LOTS, self._seed, *keys)
            z[row], u[row] = rng.standard_normal(2 * elements + 1), rng.random(3)
        shortest, longest = p.lot_life_min_heats, p.lot_life_max_heats
        life = np.clip(
            shortest - max(p.lot_life_mean_heats - shortest, 0) * np.log1p(-u[:, 0]), shortest, longest
        )
        life = np.where(is_first, life * u[:, 1], life)
        true = np.maximum(self._assay[additive] + self._lot_sd[additive] * z[:, :elements], 0)
        true *= np.minimum(1.0, self._room[additive] / true.sum(axis=1))[:, None]
        error = p.certificate_error_share * self._lot_sd[additive] * z[:, elements : 2 * elements]
        certificate = np.maximum(true + error, 0).round(2)
        self._true[line, additive] = true
        self._certificate[line, additive] = (
            certificate * np.minimum(1.0, 99.99 / certificate.sum(axis=1))[:, None]
        )
        typical = self._typical_price[additive]
        moved = np.round(typical * np.exp(p.price_sd_rel * z[:, -1]), -1)
        self._price[line, additive] = np.where(
            u[:, 2] < p.price_change_rate, moved, self._price[line, additive]
        )
        self._next_heat_no[line, additive] += np.maximum(1, np.round(life).astype(np.int64))


def lot_name(additive: Additive, lot_no: int) -> str:
    """The plant's name of a lot."""
    return f"{additive.lot_prefix}-{lot_no:04d}"
