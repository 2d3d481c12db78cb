"""Policies side by side on the very same heats: cost, in-window rates, misses priced, regret to the
all-knowing one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from plant_simulator.catalogue import MISS_PRICE, Catalogue
from plant_simulator.elements import Floats, Integers
from plant_simulator.errors import BadSettingError
from plant_simulator.parameters import Parameters
from plant_simulator.policies import belief, cases, reference
from plant_simulator.policies.cases import Cases
from plant_simulator.policies.optimum import by_confidence, by_price_of_a_miss
from plant_simulator.policies.reference import Policy

AIMS = tuple(np.round(np.arange(0.10, 0.71, 0.05), 2).tolist())
CONFIDENCES = (0.80, 0.90, 0.95, 0.98, 0.99, 0.995, 0.999)


@dataclass(frozen=True)
class Standing:
    """One policy over some heats. Money per tonne; `in_window` in truth, also by grade; `regret` to the first
    policy of the comparison, heat by heat (common random numbers), `regret_se` its standard error.
    """

    policy: str
    heats: int
    cost_per_t: float
    in_window: float
    in_window_by_sample: float
    total_per_t: float
    regret_per_t: float
    regret_se: float
    in_window_by_grade: Mapping[str, float]


NAMES = (
    reference.ALL_KNOWING,
    reference.CEILING,
    reference.INFORMED,
    reference.HANDBOOK,
    reference.STEELMAKER,
)
CEILING_MISS_PRICE = 1e5
"""Dearer than any alloy, so that all margin is bought that there is."""


def named(name: str, aim: float | None, confidence: float | None, miss_price: float) -> Policy:
    """A reference policy by its name. Raises BadSettingError for a name that is none, and for shares that
    are none.
    """
    for what, share in (("--aim", aim), ("--confidence", confidence)):
        if share is not None and not 0 < share < 1:
            raise BadSettingError(f"{share}", what, "above 0, under 1")
    by_price = by_price_of_a_miss(miss_price)
    ladder = by_price if confidence is None else by_confidence(confidence, miss_price)
    policies = {
        reference.ALL_KNOWING: reference.all_knowing(),
        reference.CEILING: reference.informed(
            by_price_of_a_miss(CEILING_MISS_PRICE), belief.but_for_the_sample
        ),
        reference.INFORMED: reference.informed(ladder),
        reference.HANDBOOK: reference.handbook_rule(aim),
        reference.STEELMAKER: reference.the_steelmaker,
    }
    if name not in policies:
        raise BadSettingError(f"no policy {name!r}", "--name", ", ".join(NAMES))
    return policies[name]


def compare(
    plant: Catalogue,
    parameters: Parameters,
    blocks: Iterable[Cases],
    policies: Mapping[str, Policy],
    miss_price: float = MISS_PRICE,
) -> list[Standing]:
    """Every policy on the same heats, in the order given; the first is what regret is measured against."""
    parts: dict[str, list[cases.Score]] = {name: [] for name in policies}
    made = list[Integers]()
    for block in blocks:
        made.append(block.observed.grade)
        for name, policy in policies.items():
            outcome = cases.do(plant, parameters, block, policy(plant, parameters, block))
            parts[name].append(cases.score(plant, block, outcome))
    totals = {
        name: np.concatenate([s.total_per_t(miss_price) for s in scores]) for name, scores in parts.items()
    }
    best, grade = next(iter(totals.values())), np.concatenate(made)
    standings = []
    for name in policies:
        held = np.concatenate([s.in_window for s in parts[name]])
        of_grade = {plant.grades[g].grade: float(held[grade == g].mean()) for g in np.unique(grade)}
        standings.append(_standing(name, parts[name], totals[name], totals[name] - best, of_grade))
    return standings


def tuned_aim(
    plant: Catalogue,
    parameters: Parameters,
    blocks: Sequence[Cases],
    in_window: float | None = None,
    miss_price: float = MISS_PRICE,
) -> float:
    """The handbook's aim fraction that reaches this true in-window rate at least cost; without a rate, the
    one with the least cost and misses; where none reaches it, the surest. Tune on other heats than those it
    is judged on.
    """
    standings = compare(
        plant, parameters, blocks, {str(f): reference.handbook_rule(f) for f in AIMS}, miss_price
    )
    if in_window is None:
        return float(min(standings, key=lambda s: s.total_per_t).policy)
    enough = [s for s in standings if s.in_window >= in_window]
    chosen = min(enough, key=lambda s: s.cost_per_t) if enough else max(standings, key=lambda s: s.in_window)
    return float(chosen.policy)


def text(standings: Sequence[Standing], currency: str) -> str:
    """The comparison as an aligned table."""
    head = ("policy", "heats", f"{currency}/t", "in window", "by sample", "with misses", "regret", "+-")
    lines = [head] + [
        (
            s.policy,
            str(s.heats),
            f"{s.cost_per_t:.3f}",
            f"{s.in_window:.2%}",
            f"{s.in_window_by_sample:.2%}",
            f"{s.total_per_t:.3f}",
            f"{s.regret_per_t:.3f}",
            f"{s.regret_se:.3f}",
        )
        for s in standings
    ]
    return aligned(lines)


def text_by_grade(standings: Sequence[Standing]) -> str:
    """True in-window rates by grade as an aligned table."""
    head = ("in window", *(s.policy for s in standings))
    grades = standings[0].in_window_by_grade
    return aligned([head, *((g, *(f"{s.in_window_by_grade[g]:.1%}" for s in standings)) for g in grades)])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Cells under each other, the first column to the left."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _standing(
    name: str,
    scores: list[cases.Score],
    total: Floats,
    regret: Floats,
    in_window_by_grade: Mapping[str, float],
) -> Standing:
    cost_per_t = np.concatenate([s.cost / s.steel_mass_t for s in scores])
    return Standing(
        policy=name,
        heats=len(total),
        cost_per_t=float(cost_per_t.mean()),
        in_window=float(np.concatenate([s.in_window for s in scores]).mean()),
        in_window_by_sample=float(np.concatenate([s.in_window_by_sample for s in scores]).mean()),
        total_per_t=float(total.mean()),
        regret_per_t=float(regret.mean()),
        regret_se=float(regret.std() / np.sqrt(len(regret))),
        in_window_by_grade=in_window_by_grade,
    )
