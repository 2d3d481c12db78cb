"""Is a recommendation still of today? What has changed since it was made, in sentences. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from backend.recommendations.limits import GRAM

Offer = Mapping[str, Any]


def stale_because(
    additions: Sequence[Mapping[str, Any]],
    offers_then: Sequence[Offer],
    offers_now: Sequence[Offer],
    revision_then: int,
    revision_now: int,
) -> list[str]:
    """What has changed that could make another recommendation; empty where nothing has.

    Stock counts only where it decides: what was recommended is not there any more, or there was too little.
    """
    reasons = []
    if revision_then != revision_now:
        reasons.append(f"the heat was corrected: revision {revision_now}")
    recommended_kg: dict[str, float] = {}
    for addition in additions:
        name = addition["additive"]
        recommended_kg[name] = recommended_kg.get(name, 0.0) + addition["added_kg"]
    today = {offer["additive"]: offer for offer in offers_now}
    then = {offer["additive"]: offer for offer in offers_then}
    reasons += [f"{name} can be added now" for name in today if name not in then]
    for name, before in then.items():
        after = today.get(name)
        if after is None:
            reasons.append(f"{name} cannot be added any more")
            continue
        if after["price_per_t"]["amount"] != before["price_per_t"]["amount"]:
            reasons.append(f"the price of {name} changed")
        if (after["lot"], after["assay"]) != (before["lot"], before["assay"]):
            reasons.append(f"{name} comes from lot {after['lot'] or 'unknown'}")
        if _stock_decides(recommended_kg.get(name, 0.0), before, after):
            reasons.append(f"the stock of {name} changed to {after['stock_kg']:g} kg")
    return reasons


def _stock_decides(recommended_kg: float, before: Offer, after: Offer) -> bool:
    if after["stock_kg"] is None:
        return False
    too_little_now = recommended_kg > after["stock_kg"] + GRAM
    was_too_little = (
        before["stock_kg"] is not None and recommended_kg > before["stock_kg"] - before["increment_kg"]
    )
    return too_little_now or (was_too_little and after["stock_kg"] > before["stock_kg"])
