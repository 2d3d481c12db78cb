"""The bins while the plant runs: what lot and how much is in each, and what Level 2 tells of it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np

from plant_simulator import events
from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import Floats
from plant_simulator.lots import Ledger, Lot

FIRST_FILLING, REFILL_BELOW = 0.8, 0.25
COUNT_EVERY_HEATS = 2

Fact = tuple[str, str, dict[str, Any]]
"""Type, subject and data of an event."""


class Bins:
    """Follows stock by what really fell.

    A new lot fills its bin, and so does a delivery of the same lot when it runs low.
    """

    def __init__(self, plant: Catalogue, ledger: Ledger, plant_id: str, first_heat_no: int) -> None:
        self._plant, self._ledger, self._plant_id = plant, ledger, plant_id
        self._lots: list[Lot] = [lots[-1] for lots in ledger.until(first_heat_no)]
        self._sizes = plant.per_additive("bin_kg")
        self.stock_kg: Floats = np.floor(FIRST_FILLING * self._sizes)

    def opening(self, now: datetime) -> Iterator[Fact]:
        """All that Level 2 says of its bins when it comes up."""
        for position in range(len(self._lots)):
            yield self._lot(position, 0.0, now)
            yield self._price(position, now)
            yield self._count(position, now)

    def news(self, heat_no: int, now: datetime) -> Iterator[Fact]:
        """What is to be told before this heat:

        lots and prices that changed, deliveries, a count of one bin now and then.
        """
        for position, lots in enumerate(self._ledger.until(heat_no)):
            newest, last = lots[-1], self._lots[position]
            is_low = self.stock_kg[position] < REFILL_BELOW * self._sizes[position]
            if newest.lot_no != last.lot_no or is_low:
                received_kg = float(np.floor(self._sizes[position] - self.stock_kg[position]))
                self._lots[position] = newest
                self.stock_kg[position] += received_kg
                yield self._lot(position, received_kg, now)
            if newest.price_per_t != last.price_per_t:
                yield self._price(position, now)
        if heat_no % COUNT_EVERY_HEATS == 0:
            yield self._count(heat_no // COUNT_EVERY_HEATS % len(self._lots), now)

    def take(self, tipped_kg: Floats) -> None:
        """These kilograms fell out of the bins."""
        self.stock_kg = np.maximum(self.stock_kg - tipped_kg, 0.0)

    def _lot(self, position: int, received_kg: float, now: datetime) -> Fact:
        additive = self._plant.additives[position]
        data = events.lot_received(self._plant_id, additive, self._lots[position], received_kg, now)
        return events.LOT, f"{self._plant_id}/{additive.additive}", data

    def _price(self, position: int, now: datetime) -> Fact:
        additive = self._plant.additives[position]
        data = events.price_changed(
            self._plant, self._plant_id, additive, self._lots[position].price_per_t, now
        )
        return events.PRICE, f"{self._plant_id}/{additive.additive}", data

    def _count(self, position: int, now: datetime) -> Fact:
        additive = self._plant.additives[position]
        data = events.stock_counted(self._plant_id, additive, float(np.floor(self.stock_kg[position])), now)
        return events.STOCK, f"{self._plant_id}/{additive.additive}", data
