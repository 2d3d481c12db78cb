"""One budget of false alarms for the whole plant, and what every single look may spend of it.

Every test here looks at a number that is normal with mean 0 and known variance while nothing is wrong, and
alarms where it is beyond a limit. The expected number of false alarms is at most the sum of the tail
probabilities of all looks (union bound; whatever hangs together with whatever else). So the budget, in false
alarms per `HEATS` heats, is shared out over the kinds of tests, and within a kind over all the looks that it
takes in as many heats; `tests/diagnosis/test_budget.py` adds the looks up. How often a lot is looked at, and
what each look may spend, was chosen on simulated replays of a low lot: judge its delays on other seeds.
"""

import math
from statistics import NormalDist
from typing import Literal

Kind = Literal["lot", "element", "scale", "grade", "input", "people"]

FALSE_ALARMS, HEATS = 1.0, 2000
TREATMENTS = 2 * HEATS  # a heat is treated at tapping and at the ladle furnace

SHARES: dict[Kind, float] = {
    "lot": 0.81,
    "element": 0.07,
    "scale": 0.03,
    "grade": 0.02,
    "input": 0.03,
    "people": 0.04,
}
LOOK_EVERY = 10  # treatments, where windows are looked at

_NORMAL = NormalDist()


def limit(kind: Kind, looks_in_all: float) -> float:
    """Return the limit, in standard deviations, of a two-sided look of a kind that takes `looks_in_all` looks
    in `HEATS` heats.
    """
    return two_sided(FALSE_ALARMS * SHARES[kind] / max(1.0, looks_in_all))


def two_sided(chance: float) -> float:
    """Return the limit that a standard normal number is beyond, on either side, with this chance."""
    return -_NORMAL.inv_cdf(min(0.5, chance) / 2)


def as_sure_as(limit: float, seen: float) -> float:
    """Return the limit that is as seldom passed where the standard deviation was estimated from `seen`
    independent values, and is not known: Student's, by Wallace's approximation (Ann. Math. Stat. 30, 1959).
    """
    seen = max(2.0, seen)
    further = limit * (8 * seen + 3) / (8 * seen + 1)
    return math.sqrt(seen * math.expm1(further**2 / seen))


def looks_of_windows(charts: int, windows: int) -> float:
    """Return how many looks `charts` charts with `windows` windows each take in `HEATS` heats."""
    return charts * windows * TREATMENTS / LOOK_EVERY
