"""Which limits bind and what relief would save; which cannot be met, by how much, and what stops them."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from model_service.contracts import Additive, Limit, Money, Unreached
from model_service.limited import CARBON_EQUIVALENT, TEMPERATURE, Side
from model_service.linear_program import Optimum, solve
from model_service.problem import Problem

_REACHED_SD = 0.01  # a shortage smaller than this share of an sd is none
_WORTH_SD = (
    0.2  # a limit stops another if one sd, or 100 kg, of relief takes off so much (outside, each counts 4)
)
_RELIEF_KG = 100.0
_DUST = 1e-9  # a price below it is none
_KINDS: dict[str, Literal["window_min", "window_max"]] = {"min": "window_min", "max": "window_max"}
_OTHERS: dict[str, tuple[Literal["temperature", "carbon_equivalent"], Literal["pct", "c"]]] = {
    CARBON_EQUIVALENT: ("carbon_equivalent", "pct"),
    TEMPERATURE: ("temperature", "c"),
}


def unreached_limits(
    problem: Problem, optimum: Optimum, sides: Sequence[Side], offers: Sequence[Additive]
) -> list[Unreached]:
    """Return the limits that cannot be held with their confidence, shortages in their own units."""
    short = [
        (limit, side, amount)
        for limit, (side, amount) in enumerate(zip(sides, optimum.short_sd.tolist(), strict=True))
        if amount > _REACHED_SD
    ]
    if not short:
        return []
    stoppers = [limit.limit for limit in binding_limits(problem, _stopping(problem), sides, offers, None)]
    return [
        Unreached(
            limit=side.name,
            short_by=amount * side.sd,
            unit=_unit(side),
            stopped_by=[stopper for stopper in stoppers if stopper != side.name]
            or [_no_means(problem, limit, side)],
        )
        for limit, side, amount in short
    ]


def binding_limits(
    problem: Problem,
    optimum: Optimum,
    sides: Sequence[Side],
    offers: Sequence[Additive],
    currency: str | None,
) -> list[Limit]:
    """Return the limits whose relief would save something: windows first, then amounts of additives.

    Without `currency` no prices are given: where a limit cannot be met, duals tell of shortage, not of money.
    """

    def money(amount: float) -> Money | None:
        return None if currency is None else Money(amount=amount, currency=currency)

    windows = [
        Limit(
            limit=side.name,
            kind=_OTHERS[side.of][0] if side.of in _OTHERS else _KINDS[side.side],
            element=None if side.of in _OTHERS else side.of,
            bound=side.bound,
            unit=_unit(side),
            price_per_unit=money(price / side.sd),
        )
        for side, price in zip(sides, optimum.price.tolist(), strict=True)
        if price > _DUST * side.sd
    ]
    amounts = []
    for j, price in enumerate(optimum.upper_price.tolist()):
        if price > _DUST:
            offer, most_kg = offers[j], float(problem.upper_kg[j])
            by_stock = offer.stock_kg is not None and offer.stock_kg <= most_kg + 1e-9
            kind: Literal["stock_kg", "max_kg"] = "stock_kg" if by_stock else "max_kg"
            amounts.append(
                Limit(
                    limit=f"{offer.additive}.{kind}",
                    kind=kind,
                    additive=offer.additive,
                    bound=most_kg,
                    unit="kg",
                    price_per_unit=money(price),
                )
            )
    return windows + amounts


def _unit(side: Side) -> Literal["pct", "c"]:
    return _OTHERS[side.of][1] if side.of in _OTHERS else "pct"


def _stopping(problem: Problem) -> Optimum:
    """Return the optimum with money no object, with prices only of limits that hold it back in earnest.

    Any additive dilutes every other element a little, so nearly all limits have some price; most are dust.
    """
    optimum, least = solve(problem, free=True), _WORTH_SD * problem.shortage_price
    return optimum._replace(
        price=np.where(optimum.price > least, optimum.price, 0.0),
        upper_price=np.where(optimum.upper_price * _RELIEF_KG > least, optimum.upper_price, 0.0),
    )


def _no_means(problem: Problem, limit: int, side: Side) -> str:
    if side.of in _OTHERS:
        return "the heat as it is, whatever is added"
    if side.side == "max":
        return f"nothing takes {side.of} out of the steel"
    if not (problem.per_kg[limit] > 0).any() and not problem.growth[limit].any():
        return f"no additive that is offered contains {side.of}"
    return f"no additive that is offered and may be tipped brings enough {side.of}"
