"""Hard limits, whoever recommends: what is offered, stock, maximum, and what could be true at all."""

from collections.abc import Sequence

from backend.shapes import Addition, Additive

# Above any carbon or low-alloy grade of METALLURGY's table (about 40 kg/t); high-alloy steel is not made
# in the ladle.
MOST_KG_PER_T = 150.0
# The smallest and largest ladles, t; what is outside is a slip of the scale or the keyboard.
PLAUSIBLE_STEEL_T = (1.0, 500.0)
# Scales and floating point: a gram is nothing.
GRAM = 1e-3


def broken_limits(
    additions: Sequence[Addition], offers: Sequence[Additive], steel_mass_t: float
) -> list[str]:
    """What is wrong with the additions, each in a sentence with the limit; empty where nothing is."""
    offered = {offer.additive: offer for offer in offers}
    total_kg: dict[str, float] = {}
    for addition in additions:
        total_kg[addition.additive] = total_kg.get(addition.additive, 0.0) + addition.added_kg
    broken = []
    least_t, most_t = PLAUSIBLE_STEEL_T
    if not least_t <= steel_mass_t <= most_t:
        broken.append(f"{steel_mass_t:g} t of steel is not between {least_t:g} and {most_t:g} t")
    for name, added_kg in total_kg.items():
        offer = offered.get(name)
        if offer is None:
            broken.append(f"{name} is not among what can be added: {', '.join(offered) or 'nothing'}")
            continue
        if offer.stock_kg is not None and added_kg > offer.stock_kg + GRAM:
            broken.append(f"{name} {added_kg:g} kg is more than the {offer.stock_kg:g} kg in stock")
        if offer.max_kg is not None and added_kg > offer.max_kg + GRAM:
            broken.append(f"{name} {added_kg:g} kg is more than {offer.max_kg:g} kg per treatment")
    whole_kg = sum(total_kg.values())
    if whole_kg > MOST_KG_PER_T * steel_mass_t:
        broken.append(
            f"{whole_kg:g} kg in {steel_mass_t:g} t of steel is more than {MOST_KG_PER_T:g} kg per tonne"
        )
    return broken


def differences(
    decided: Sequence[Addition], recommended: Sequence[Addition], offers: Sequence[Additive]
) -> list[str]:
    """Additives whose kilograms differ by more than their increment and more than 2 %: an override.

    The one that differs by the most kilograms first.
    """
    increments = {offer.additive: offer.increment_kg for offer in offers}
    kg: dict[str, list[float]] = {}
    for side, additions in enumerate((decided, recommended)):
        for addition in additions:
            kg.setdefault(addition.additive, [0.0, 0.0])[side] += addition.added_kg
    found = [
        (abs(by_person - by_product), name)
        for name, (by_person, by_product) in kg.items()
        if abs(by_person - by_product) > max(increments.get(name, 0.0), 0.02 * by_product) + GRAM
    ]
    return [name for _, name in sorted(found, key=lambda differing: -differing[0])]
