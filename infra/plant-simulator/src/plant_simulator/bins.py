"""The bins while the plant runs: what lot and how much is in each, and what Level 2 tells of it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np

from plant_simulator import events
from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import Floats
from plant_simulator.instruments import ObservedHeats

FIRST_FILLING, REFILL_BELOW = 0.8, 0.25
COUNT_EVERY_HEATS = 2

Fact = tuple[str, str, dict[str, Any]]
"""Type, subject and data of an event."""


class Bins:
    """Follows stock by what really fell.

    A new lot fills its bin, and so does a delivery of the same lot when it runs low; what is not offered is
    empty.
    """

    def __init__(self, plant: Catalogue, plant_id: str, first: ObservedHeats) -> None:
        self._plant, self._plant_id, self._last = plant, plant_id, first
        self._sizes = plant.per_additive("bin_kg")
        self.stock_kg: Floats = np.where(first.is_offered[0], np.floor(FIRST_FILLING * self._sizes), 0.0)

    def opening(self, now: datetime) -> Iterator[Fact]:
        """All that Level 2 says of its bins when it comes up."""
        for position in range(len(self._sizes)):
            yield self._lot(position, 0.0, now)
            yield self._price(position, now)
            yield self._count(position, now)

    def news(self, heats: ObservedHeats, now: datetime) -> Iterator[Fact]:
        """What is to be told before this heat (a table of one row):

        lots and prices that changed, deliveries, bins that ran empty, a count of one bin now and then.
        """
        last, self._last = self._last, heats
        for position in range(len(self._sizes)):
            if not heats.is_offered[0, position]:
                if self.stock_kg[position] > 0:
                    self.stock_kg[position] = 0.0
                    yield self._count(position, now)
                continue
            is_low = self.stock_kg[position] < REFILL_BELOW * self._sizes[position]
            if heats.lot_no[0, position] != last.lot_no[0, position] or is_low:
                received_kg = float(np.floor(self._sizes[position] - self.stock_kg[position]))
                self.stock_kg[position] += received_kg
                yield self._lot(position, received_kg, now)
                if not last.is_offered[0, position]:
                    yield self._count(position, now)
            if heats.price_per_t[0, position] != last.price_per_t[0, position]:
                yield self._price(position, now)
        heat_no = int(heats.heat_no[0])
        if heat_no % COUNT_EVERY_HEATS == 0:
            yield self._count(heat_no // COUNT_EVERY_HEATS % len(self._sizes), now)

    def take(self, tipped_kg: Floats) -> None:
        """These kilograms fell out of the bins."""
        self.stock_kg = np.maximum(self.stock_kg - tipped_kg, 0.0)

    def _lot(self, position: int, received_kg: float, now: datetime) -> Fact:
        additive = self._plant.additives[position]
        lot_no, certificate = self._last.lot_no[0, position], self._last.certificate_pct[0, position]
        data = events.lot_received(self._plant_id, additive, int(lot_no), certificate, received_kg, now)
        return events.LOT, f"{self._plant_id}/{additive.additive}", data

    def _price(self, position: int, now: datetime) -> Fact:
        additive, price = self._plant.additives[position], float(self._last.price_per_t[0, position])
        data = events.price_changed(self._plant, self._plant_id, additive, price, now)
        return events.PRICE, f"{self._plant_id}/{additive.additive}", data

    def _count(self, position: int, now: datetime) -> Fact:
        additive = self._plant.additives[position]
        data = events.stock_counted(self._plant_id, additive, float(np.floor(self.stock_kg[position])), now)
        return events.STOCK, f"{self._plant_id}/{additive.additive}", data
