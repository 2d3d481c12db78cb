"""Which limits bind and what relief would save; which cannot be met, by how much, and what stops them."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from model_service.contracts import Additive, Limit, Money, Unreached
from model_service.limited import CARBON_EQUIVALENT, TEMPERATURE
from model_service.linear_program import Optimum, Problem, shortage_price, solve, unit_pct

_REACHED_SD = 0.01  # a shortage smaller than this share of an sd is none
_WORTH_SD = (
    0.2  # a limit stops another if one sd, or 100 kg, of relief takes off so much (outside, each counts 4)
)
_RELIEF_KG = 100.0
_OTHERS: dict[str, tuple[Literal["temperature", "carbon_equivalent"], Literal["pct", "c"]]] = {
    CARBON_EQUIVALENT: ("carbon_equivalent", "pct"),
    TEMPERATURE: ("temperature", "c"),
}


def unreached_limits(
    problem: Problem, optimum: Optimum, elements: Sequence[str], offers: Sequence[Additive]
) -> list[Unreached]:
    """Return the window limits that cannot be held with their confidence, shortages in wt %."""
    unit = unit_pct(problem)
    short = [
        (f"{element}.{side}", e, float(amount[e]))
        for e, element in enumerate(elements)
        for side, amount in (("min", optimum.low_short_pct), ("max", optimum.high_short_pct))
        if amount[e] > _REACHED_SD * unit[e]
    ]
    if not short:
        return []
    stoppers = [limit.limit for limit in binding_limits(problem, _stopping(problem), elements, offers, None)]
    return [
        Unreached(
            limit=name,
            short_by=amount,
            unit=_OTHERS[elements[e]][1] if elements[e] in _OTHERS else "pct",
            stopped_by=[stopper for stopper in stoppers if stopper != name] or [_no_means(problem, name, e)],
        )
        for name, e, amount in short
    ]


def binding_limits(
    problem: Problem,
    optimum: Optimum,
    elements: Sequence[str],
    offers: Sequence[Additive],
    currency: str | None,
) -> list[Limit]:
    """Return the limits whose relief would save something: windows first, then amounts of additives.

    Without `currency` no prices are given: where a limit cannot be met, duals tell of shortage, not of money.
    """

    def price(amount: float) -> Money | None:
        return None if currency is None else Money(amount=amount, currency=currency)

    windows = [
        Limit(
            limit=f"{element}.{side}",
            kind=_OTHERS[element][0]
            if element in _OTHERS
            else "window_min"
            if side == "min"
            else "window_max",
            element=None if element in _OTHERS else element,
            bound=float(bound[e]),
            unit=_OTHERS[element][1] if element in _OTHERS else "pct",
            price_per_unit=price(float(prices[e])),
        )
        for e, element in enumerate(elements)
        for side, bound, prices in (
            ("min", problem.low_pct, optimum.low_price),
            ("max", problem.high_pct, optimum.high_price),
        )
        if prices[e] > 1e-9
    ]
    amounts = []
    for j in np.flatnonzero(optimum.upper_price > 1e-9):
        offer = offers[int(j)]
        by_stock = offer.stock_kg is not None and offer.stock_kg <= problem.upper_kg[j] + 1e-9
        kind = "stock_kg" if by_stock else "max_kg"
        amounts.append(
            Limit(
                limit=f"{offer.additive}.{kind}",
                kind="stock_kg" if by_stock else "max_kg",
                additive=offer.additive,
                bound=float(problem.upper_kg[j]),
                unit="kg",
                price_per_unit=price(float(optimum.upper_price[j])),
            )
        )
    return windows + amounts


def _stopping(problem: Problem) -> Optimum:
    """Return the optimum with money no object, with prices only of limits that hold it back in earnest.

    Any additive dilutes every other element a little, so nearly all limits have some price; most are dust.
    """
    optimum, unit = solve(problem, free=True), unit_pct(problem)
    least = _WORTH_SD * shortage_price(problem)
    return optimum._replace(
        low_price=np.where(optimum.low_price * unit > least, optimum.low_price, 0.0),
        high_price=np.where(optimum.high_price * unit > least, optimum.high_price, 0.0),
        upper_price=np.where(optimum.upper_price * _RELIEF_KG > least, optimum.upper_price, 0.0),
    )


def _no_means(problem: Problem, name: str, e: int) -> str:
    element = name.split(".")[0]
    if element in _OTHERS:
        return "the heat as it is, whatever is added"
    if name.endswith(".max"):
        return f"nothing takes {element} out of the steel"
    if not np.any(problem.added_per_kg[:, e] > 0):
        return f"no additive that is offered contains {element}"
    return f"no additive that is offered and may be tipped brings enough {element}"
