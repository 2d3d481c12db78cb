"""Lots in the bins: when they change, what is truly in them, and what their certificates say.

A lot follows from (seed, additive, lot number) alone; a `Ledger` only remembers when each came.
"""

from dataclasses import dataclass, field

import numpy as np

from plant_simulator.catalogue import Additive, Catalogue
from plant_simulator.chance import LOTS, generator
from plant_simulator.elements import Floats, Integers
from plant_simulator.parameters import Parameters


@dataclass(frozen=True)
class Lot:
    """`true_assay_pct` is hidden; the plant knows `certificate_pct`.

    In the bin from `first_heat_no` to before `next_heat_no`.
    """

    lot: str
    lot_no: int
    first_heat_no: int
    next_heat_no: int
    true_assay_pct: Floats
    certificate_pct: Floats
    price_per_t: float


@dataclass
class Ledger:
    """The lots of each additive so far, in order."""

    plant: Catalogue
    parameters: Parameters
    seed: int
    lots: list[list[Lot]] = field(init=False)

    def __post_init__(self) -> None:
        self.lots = [[] for _ in self.plant.additives]

    def until(self, heat_no: int) -> list[list[Lot]]:
        """For each additive its lots up to the one in the bin at `heat_no`."""
        for position, (additive, known) in enumerate(zip(self.plant.additives, self.lots, strict=True)):
            while not known or known[-1].next_heat_no <= heat_no:
                known.append(
                    _next_lot(additive, position, known[-1] if known else None, self.parameters, self.seed)
                )
        return [[lot for lot in known if lot.first_heat_no <= heat_no] for known in self.lots]


@dataclass(frozen=True)
class LotsInBins:
    """Per heat and additive:

    lot number, true assay and certificate (heat, additive, element; wt %), price per tonne.
    """

    lot_no: Integers
    true_assay_pct: Floats
    certificate_pct: Floats
    price_per_t: Floats


def lots_in_bins(ledger: Ledger, heat_no: Integers) -> LotsInBins:
    """The lots that these heats (numbers ascending) draw from."""
    columns = []
    for known in ledger.until(int(heat_no[-1])):
        recent = [lot for lot in known if lot.next_heat_no > heat_no[0]]
        at = np.searchsorted([lot.first_heat_no for lot in recent], heat_no, side="right") - 1
        columns.append(
            (
                np.array([lot.lot_no for lot in recent])[at],
                np.array([lot.true_assay_pct for lot in recent])[at],
                np.array([lot.certificate_pct for lot in recent])[at],
                np.array([lot.price_per_t for lot in recent])[at],
            )
        )
    return LotsInBins(*(np.stack(column, axis=1) for column in zip(*columns, strict=True)))


def lot_name(additive: Additive, lot_no: int) -> str:
    """The plant's name of a lot."""
    return f"{additive.lot_prefix}-{lot_no:04d}"


def _next_lot(additive: Additive, position: int, last: Lot | None, parameters: Parameters, seed: int) -> Lot:
    lot_no = last.lot_no + 1 if last else 1
    first = last.next_heat_no if last else 1
    rng = generator(LOTS, seed, position, lot_no)
    shortest, longest = parameters.lot_life_min_heats, parameters.lot_life_max_heats
    life = np.clip(
        shortest + rng.exponential(max(parameters.lot_life_mean_heats - shortest, 0)), shortest, longest
    )
    if last is None:
        life *= rng.random()
    true_assay = np.maximum(
        additive.assay_pct + additive.lot_sd_pct * rng.standard_normal(additive.assay_pct.shape), 0
    )
    error = (
        parameters.certificate_error_share
        * additive.lot_sd_pct
        * rng.standard_normal(additive.assay_pct.shape)
    )
    room = 100 - 100 * additive.iron_share
    true_assay *= min(1.0, room / true_assay.sum())
    certificate = np.maximum(true_assay + error, 0).round(2)
    certificate = certificate * min(1.0, 99.99 / float(certificate.sum()))
    price = last.price_per_t if last else additive.price_per_t
    if rng.random() < parameters.price_change_rate:
        price = float(
            np.round(additive.price_per_t * np.exp(parameters.price_sd_rel * rng.standard_normal()), -1)
        )
    return Lot(
        lot=lot_name(additive, lot_no),
        lot_no=lot_no,
        first_heat_no=first,
        next_heat_no=first + max(1, round(float(life))),
        true_assay_pct=true_assay,
        certificate_pct=certificate,
        price_per_t=price,
    )
