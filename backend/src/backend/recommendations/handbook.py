"""The plant handbook's rule: kg = (aim - now) x mass / (assay x nominal recovery), step by step.

A pure function of values. The rule's text, and the golden cases that hold every implementation to it, are a
contract (handbook-rule).
"""

from collections.abc import Sequence
from math import floor, isfinite
from typing import NamedTuple

from backend.errors import RefusedError
from backend.shapes import Addition, Additive, Analysis, Below, HandbookEntry, Heat, Money, Window

# Multiples of an increment are counted in floating point: a hair below a whole number is that number.
HAIR = 1e-9


class HandbookAnswer(NamedTuple):
    """What the rule adds, its cost (None where nothing is offered), and the chemistry it expects, wt %."""

    additions: list[Addition]
    cost: Money | None
    predicted_pct: dict[str, float]
    skipped: list[str]


def by_handbook(heat: Heat, offers: Sequence[Additive], entry: HandbookEntry) -> HandbookAnswer:
    """Apply the rule to the heat with what is offered; RefusedError where offers have several currencies."""
    now_pct = dict(entry.assumed_pct) | _known_pct(heat.chemistry)
    aims = {element: aim for element, window in heat.windows.items() if (aim := _aim(window)) is not None}
    offered = {offer.additive: offer for offer in offers}
    mass_kg = heat.steel_mass_t * 1000.0
    taken_kg: dict[str, float] = {}
    skipped: list[str] = []

    def recovery(element: str) -> float:
        return entry.nominal_recovery.get(element, 1.0)

    def to_aim_kg(element: str, offer: Additive) -> float:
        missing_pct = aims[element] - now_pct[element]
        return missing_pct * mass_kg / (offer.assay[element] * recovery(element))

    for step in entry.steps:
        if step.element not in aims:
            continue
        if step.element not in now_pct:
            if step.element not in skipped:
                skipped.append(step.element)
            continue
        for name in step.additives:
            offer = offered.get(name)
            if (
                offer is None
                or offer.assay.get(step.element, 0.0) <= 0
                or now_pct[step.element] >= aims[step.element]
            ):
                continue
            wanted_kg = to_aim_kg(step.element, offer)
            for other in step.not_beyond_aim_of:
                if other in aims and other in now_pct and offer.assay.get(other, 0.0) > 0:
                    wanted_kg = min(wanted_kg, to_aim_kg(other, offer))
            added_kg = _tipped_kg(wanted_kg, taken_kg.get(name, 0.0), offer)
            taken_kg[name] = taken_kg.get(name, 0.0) + added_kg
            for element, assay_pct in offer.assay.items():
                if element in now_pct:
                    now_pct[element] += added_kg * assay_pct * recovery(element) / mass_kg

    additions = [
        Addition(additive=offer.additive, lot=offer.lot, added_kg=taken_kg[offer.additive])
        for offer in offers
        if taken_kg.get(offer.additive, 0.0) > 0
    ]
    return HandbookAnswer(additions, cost_of(additions, offers), now_pct, skipped)


def cost_of(additions: Sequence[Addition], offers: Sequence[Additive]) -> Money | None:
    """Cost at the offers' prices; None where nothing is offered."""
    prices = {offer.additive: offer.price_per_t for offer in offers}
    currencies = sorted({price.currency for price in prices.values()})
    if not currencies:
        return None
    if len(currencies) > 1:
        raise RefusedError(
            where="$.additives", what=f"prices in {', '.join(currencies)}", allowed="one currency"
        )
    amount = sum(addition.added_kg * prices[addition.additive].amount / 1000.0 for addition in additions)
    return Money(amount=amount, currency=currencies[0])


def _known_pct(chemistry: dict[str, Analysis]) -> dict[str, float]:
    """What was measured, wt %; below a detection limit counts as half of it."""
    return {
        element: analysis.below / 2 if isinstance(analysis, Below) else analysis
        for element, analysis in chemistry.items()
        if analysis is not None
    }


def _aim(window: Window) -> float | None:
    """The aim, else the middle, else the minimum; a window with only a maximum asks for nothing."""
    if window.aim is not None:
        return window.aim
    if window.min is not None and window.max is not None:
        return (window.min + window.max) / 2
    return window.min


def _tipped_kg(wanted_kg: float, taken_kg: float, offer: Additive) -> float:
    """The wanted kilograms in the scale's steps, within stock and maximum, and no less than can be tipped."""
    step_kg = offer.increment_kg
    most_kg = min(limit for limit in (offer.stock_kg, offer.max_kg, float("inf")) if limit is not None)
    room_kg = most_kg - taken_kg
    if not isfinite(wanted_kg):
        return 0.0  # a mass or an assay that cannot be
    steps = floor(max(wanted_kg, 0.0) / step_kg + 0.5)
    if room_kg < steps * step_kg:
        steps = max(0, floor(room_kg / step_kg + HAIR))
    total_kg = taken_kg + steps * step_kg
    if 0 < total_kg < offer.min_kg:
        return offer.min_kg - taken_kg if total_kg >= offer.min_kg / 2 and offer.min_kg <= most_kg else 0.0
    return steps * step_kg
