"""The plant handbook's rule, what a plant does without a model: contract `handbook-rule`.

kg = (aim - now) x mass / (assay x nominal recovery)
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from model_service.contracts import Addition, Additive, HandbookEntry, HandbookStep, Heat, Money
from model_service.errors import Fault, RuleRefused
from model_service.features import measured_pct
from model_service.outcome import aim_pct

_GRAIN = 1e-9  # of an increment: so that 5.0 / 0.1 counts as 50 increments


class HandbookResult(NamedTuple):
    """What the rule adds, what it expects by its own recoveries, and elements it had to leave out."""

    additions: list[Addition]
    cost: Money | None
    predicted_pct: dict[str, float]
    skipped: list[str]


def handbook_additions(heat: Heat, offers: Sequence[Additive], entry: HandbookEntry) -> HandbookResult:
    """Apply the rule; cost is None where nothing is offered. Raises RuleRefused on mixed currencies."""
    currencies = sorted({offer.price_per_t.currency for offer in offers})
    if len(currencies) > 1:
        fault = Fault("$.additives", f"prices in {', '.join(currencies)}", "prices in one currency")
        raise RuleRefused("The handbook rule needs prices in one currency", [fault])
    now = _known_pct(heat, entry)
    added_kg = [0.0] * len(offers)
    by_name: dict[str, list[tuple[int, Additive]]] = {}
    for i, offer in enumerate(offers):
        by_name.setdefault(offer.additive, []).append((i, offer))
    skipped: list[str] = []
    for step in entry.steps:
        aim = aim_pct(heat.windows.get(step.element))
        if step.element not in now:
            skipped += [step.element] if step.element not in skipped else []
            continue
        if aim is None:
            continue
        for name in step.additives:
            for i, offer in by_name.get(name, ()):
                if offer.assay.get(step.element, 0.0) > 0 and now[step.element] < aim:
                    wanted = _wanted_kg(heat, offer, entry, step, now, aim)
                    kilograms = _tippable_kg(wanted, offer, added_kg[i])
                    added_kg[i] += kilograms
                    _move(now, kilograms, offer, entry, heat.steel_mass_t)
    cost = sum(kg * offer.price_per_t.amount / 1000 for kg, offer in zip(added_kg, offers, strict=True))
    return HandbookResult(
        [
            Addition(additive=offer.additive, lot=offer.lot, added_kg=kg)
            for kg, offer in zip(added_kg, offers, strict=True)
            if kg > 0
        ],
        Money(amount=cost, currency=currencies[0]) if currencies else None,
        now,
        skipped,
    )


def _known_pct(heat: Heat, entry: HandbookEntry) -> dict[str, float]:
    measured = {element: measured_pct(analysis) for element, analysis in heat.chemistry.items()}
    return {**entry.assumed_pct, **{element: pct for element, pct in measured.items() if pct is not None}}


def _wanted_kg(
    heat: Heat,
    offer: Additive,
    entry: HandbookEntry,
    step: HandbookStep,
    now: Mapping[str, float],
    aim: float,
) -> float:
    wanted = _kg_to(aim, step.element, heat, offer, entry, now)
    for other in step.not_beyond_aim_of:
        limit = aim_pct(heat.windows.get(other))
        if limit is not None and other in now and offer.assay.get(other, 0.0) > 0:
            wanted = min(wanted, _kg_to(limit, other, heat, offer, entry, now))
    return max(wanted, 0.0)


def _kg_to(
    aim: float, element: str, heat: Heat, offer: Additive, entry: HandbookEntry, now: Mapping[str, float]
) -> float:
    gain = offer.assay[element] * entry.nominal_recovery.get(element, 1.0)
    return (aim - now[element]) * heat.steel_mass_t * 1000 / gain


def _tippable_kg(wanted_kg: float, offer: Additive, already_kg: float) -> float:
    """Round to the nearest increment (half upwards) within stock and maximum; respect the smallest amount."""
    most = math.inf if offer.stock_kg is None else offer.stock_kg
    most = min(most, math.inf if offer.max_kg is None else offer.max_kg)
    step = offer.increment_kg
    room = math.inf if math.isinf(most) else _whole_steps(most - already_kg, step)
    kilograms = max(min(_whole_steps(wanted_kg + step / 2, step), room), 0.0)
    if math.isinf(kilograms):  # an assay too small to divide by, of an additive without end
        return 0.0
    total = already_kg + kilograms
    if 0 < total < offer.min_kg:
        enough = 2 * total >= offer.min_kg and offer.min_kg <= most
        return offer.min_kg - already_kg if enough else -already_kg
    return kilograms


def _whole_steps(kilograms: float, step: float) -> float:
    steps = kilograms / step + _GRAIN
    return math.floor(steps) * step if math.isfinite(steps) else math.inf


def _move(
    now: dict[str, float], kilograms: float, offer: Additive, entry: HandbookEntry, mass_t: float
) -> None:
    for element, assay in offer.assay.items():
        if element in now:
            now[element] += kilograms * assay * entry.nominal_recovery.get(element, 1.0) / (mass_t * 1000)
