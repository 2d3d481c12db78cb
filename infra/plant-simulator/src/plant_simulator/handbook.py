"""The handbook rule, over many heats at once: kg = (aim - now) x mass / (assay x nominal recovery).

The rule itself is data and is described beside its golden cases in the contract `handbook-rule`, which a test
holds this module to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from plant_simulator.elements import Booleans, Floats

TINY = 1e-9


@dataclass(frozen=True)
class Offers:
    """What can be tipped: assays in wt % (heat, additive, element), the rest in kg (one per additive)."""

    assay_pct: Floats
    stock_kg: Floats
    max_kg: Floats
    min_kg: Floats
    increment_kg: Floats
    is_offered: Booleans
    taken_share: Floats | float = 1.0  # of what the rule would take of each, (heat, additive)


@dataclass(frozen=True)
class Figure:
    """What the rule adds (heat, additive), what it expects (heat, element) and which elements it had to skip.

    An element that is not known is NaN.
    """

    added_kg: Floats
    is_skipped: Booleans
    now_pct: Floats
    effect_pct_per_kg: Floats  # (heat, additive, element)

    @property
    def predicted_pct(self) -> Floats:
        """By the rule's own recoveries, (heat, element)."""
        predicted: Floats = self.now_pct + (self.added_kg[:, :, None] * self.effect_pct_per_kg).sum(axis=1)
        return predicted


class Rule(NamedTuple):
    """The steps of an entry, and per heat its nominal recoveries and assumed contents (heat, element)."""

    steps: Sequence[Mapping[str, Any]]
    recovery: Floats
    assumed_pct: Floats


def rule_of(entry: Mapping[str, Any], elements: Sequence[str]) -> Rule:
    """One entry of the handbook, the same for every heat."""
    recovery = np.array([[entry["nominal_recovery"].get(e, 1.0) for e in elements]])
    assumed = np.array([[entry.get("assumed_pct", {}).get(e, np.nan) for e in elements]])
    return Rule(entry["steps"], recovery, assumed)


def work_out(
    rule: Rule,
    elements: Sequence[str],
    additives: Sequence[str],
    now_pct: Floats,
    aim_pct: Floats,
    steel_mass_t: Floats,
    offers: Offers,
) -> Figure:
    """Apply a rule to heats.

    `now_pct` and `aim_pct` are (heat, element), NaN where not measured or nothing is asked for; names that
    the rule has and the arrays have not are passed over.
    """
    of_element = {e: i for i, e in enumerate(elements)}
    of_additive = {a: j for j, a in enumerate(additives)}
    now = np.where(np.isnan(now_pct), rule.assumed_pct, now_pct)
    mass_kg = steel_mass_t * 1000
    added = np.zeros((len(now), len(additives)))
    skipped = np.zeros(now.shape, dtype=np.bool_)
    most = np.minimum(
        np.broadcast_to(offers.stock_kg, added.shape), np.broadcast_to(offers.max_kg, added.shape)
    )
    taken_share = np.broadcast_to(offers.taken_share, added.shape)
    effect = offers.assay_pct * np.broadcast_to(rule.recovery, now.shape)[:, None, :] / mass_kg[:, None, None]
    gap = aim_pct - now

    for step in rule.steps:
        e = of_element.get(step["element"])
        if e is None:
            continue
        skipped[:, e] |= np.isnan(now[:, e]) & ~np.isnan(aim_pct[:, e])
        limits = [of_element[x] for x in step.get("not_beyond_aim_of", ()) if x in of_element]
        for name in step["additives"]:
            j = of_additive.get(name)
            if j is None:
                continue
            wanted = _kg_to_aim(gap[:, e], effect[:, j, e])
            is_of_use = offers.is_offered[:, j] & (wanted > 0)
            if not is_of_use.any():
                continue
            for limit in limits:
                wanted = np.fmin(wanted, _kg_to_aim(gap[:, limit], effect[:, j, limit]))
            wanted = np.where(is_of_use, wanted * taken_share[:, j], 0.0)
            kg = _tippable(wanted, added[:, j], most[:, j], offers, j)
            added[:, j] += kg
            gap -= kg[:, None] * effect[:, j]
    return Figure(added, skipped, now, effect)


def aims(window_min: Floats, window_aim: Floats, window_max: Floats) -> Floats:
    """`aim`; else the middle of min and max; else min; a window with only max asks for nothing (NaN)."""
    middle = np.where(np.isnan(window_max), window_min, (window_min + window_max) / 2)
    return np.where(np.isnan(window_aim), middle, window_aim)


def _kg_to_aim(gap: Floats, per_kg: Floats) -> Floats:
    """Kilograms that close a gap, 0 where there is none; NaN where the alloy has nothing of the element, or
    aim or content isn't known.
    """
    return np.divide(np.maximum(gap, 0), per_kg, out=np.full_like(gap, np.nan), where=per_kg > 0)


def _tippable(wanted: Floats, taken: Floats, most: Floats, offers: Offers, j: int) -> Floats:
    step = float(offers.increment_kg[j])
    nearest = np.floor(wanted / step + 0.5 + TINY) * step
    largest = np.floor(most / step + TINY) * step - taken
    kg = np.maximum(np.minimum(nearest, largest), 0)
    least = float(offers.min_kg[j])
    total = taken + kg
    is_small = (total > 0) & (total < least)
    is_raised = is_small & (total >= least / 2) & (least <= most)
    return np.where(is_raised, least - taken, np.where(is_small, 0.0, kg))
