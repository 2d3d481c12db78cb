"""Reference policies: kilograms to ask the bins for, from a heat's sides.

| policy | knows |
|---|---|
| all-knowing | the truth of the heat and everything that chance will do to it |
| ceiling | the truth of the heat but for its first chemistry, of which it has the sample |
| informed | the plant's true parameters, every lot's assay, the heats before, this heat's readings |
| handbook | this heat's readings, nominal recoveries |
| steelmaker | as the handbook, with his habits |
"""

from collections.abc import Callable

import numpy as np

from plant_simulator import handbook, steelmaker
from plant_simulator.catalogue import TAPPING, Catalogue
from plant_simulator.elements import AL, ELEMENTS, Booleans, Floats
from plant_simulator.instruments import tip
from plant_simulator.parameters import Parameters
from plant_simulator.policies import belief
from plant_simulator.policies.cases import Cases, most_kg, part_of, treat, windows_of
from plant_simulator.policies.optimum import LEAST_SD_PCT, Affine, Ladder, Solver, expected
from plant_simulator.tables import rows

ALL_KNOWING, CEILING, INFORMED = "all-knowing", "ceiling", "informed"
HANDBOOK, STEELMAKER = "handbook", "steelmaker"

Policy = Callable[[Catalogue, Parameters, Cases], Floats]
"""Decided kilograms (heat, additive)."""

Believe = Callable[[Catalogue, Parameters, Cases], belief.Belief]
"""Possible truths of each heat."""

Around = Callable[[Floats], Affine]
"""What is to be expected of kilograms near these."""

INFORMED_REACHES_KG = ((np.inf, True), (np.inf, True), (200.0, True), (40.0, True), (10.0, True))
KNOWING_REACHES_KG = (
    *((np.inf, True), (np.inf, True), (200.0, True), (100.0, False), (80.0, True), (50.0, False)),
    *((40.0, True), (30.0, False), (20.0, True), (20.0, False), (10.0, True), (20.0, False)),
    *((5.0, True), (10.0, False), (3.0, False)),
)
"""How far each linear program may go from where it starts (without a limit it would jump between corners),
and whether aluminium may move: the outcome has a kink where aluminium has taken all the oxygen it can. The
first programs start from the answer before, the careful ones from the best so far.
"""

LOST_SD, LOST_REL = 1.5, 0.05
"""A window this far out of reach (standard deviations, and relative to its limit) is given up: no alloy is
spent on it.
"""

EXACT_PRICE_PER_PCT = 1e5
"""More than any alloy costs per wt % of its element in a heat: so no window is given up to save alloys."""

CAREFUL_FROM, GIVES_UP_FROM, LEAST_SOURCE_PCT = 2, 4, 0.5
STEP_KG, FEW_HEATS, SLOPES_FROM, BAGS_REACH_KG = 2.0, 32, 8, 30.0


def handbook_rule(aim_fraction: float | None = None) -> Policy:
    """The handbook rule at the grade's own aim, or at a fraction of each window (0 is min, 1 is max), but
    for the aluminium that kills a heat at tapping.
    """

    def policy(plant: Catalogue, parameters: Parameters, cases: Cases) -> Floats:
        return handbook_kg(plant, parameters, cases, aim_fraction)

    return policy


def handbook_kg(
    plant: Catalogue, parameters: Parameters, cases: Cases, aim_fraction: float | None = None
) -> Floats:
    """What the rule says (heat, additive), in whole bags."""
    seen, bounds = cases.observed, plant.bounds(cases.station)
    low, aim, high = (bound[seen.grade, seen.is_al_killed] for bound in bounds)
    aim = handbook.aims(low, aim, high)
    if aim_fraction is not None:
        at = low + aim_fraction * (high - low)
        if cases.station == TAPPING:
            at[:, AL] = np.nan  # what aluminium is for is oxygen: its aim is not a matter of cost
        aim = np.where(np.isnan(at), aim, at)
    added = np.zeros((len(cases), len(plant.additives)))
    kinds = set(zip(seen.grade.tolist(), seen.is_al_killed.tolist(), strict=True))
    for grade, killed in sorted(kinds):
        of = np.flatnonzero((seen.grade == grade) & (seen.is_al_killed == killed))
        some = rows(seen, of)
        added[of] = handbook.work_out(
            rule=handbook.rule_of(plant.entry(cases.station, grade, bool(killed)), ELEMENTS),
            elements=ELEMENTS,
            additives=plant.additive_names,
            now_pct=steelmaker.contents(plant, cases.station, some),
            aim_pct=aim[of],
            steel_mass_t=steelmaker.believed_mass_t(parameters, some),
            offers=steelmaker.offers(plant, some, np.ones_like(some.is_offered)),
        ).added_kg
    return added


def the_steelmaker(_: Catalogue, __: Parameters, cases: Cases) -> Floats:
    """What the crew decided in these heats, without advice."""
    return cases.steelmaker_kg


def all_knowing() -> Policy:
    """The cheapest kilograms whose true outcome holds every window, chance included. A bound: not held to
    whole bags.
    """

    def policy(plant: Catalogue, parameters: Parameters, cases: Cases) -> Floats:
        def look(some: Cases) -> Around:
            def around(decided_kg: Floats) -> Affine:
                tipped = tip(parameters, decided_kg, some.noise)
                now = treat(plant, parameters, some.hidden, tipped).chemistry_pct
                slope = _slopes(plant, parameters, some.hidden, tipped, now)
                return Affine(now - np.einsum("na,nae->ne", decided_kg, slope), slope, np.zeros_like(now))

            return around

        hard = Ladder(1.0, (np.inf,), (EXACT_PRICE_PER_PCT * LEAST_SD_PCT,))
        return _search(plant, parameters, cases, look, hard, KNOWING_REACHES_KG, in_bags=False)

    return policy


def informed(ladder: Ladder, believe: Believe = belief.possible) -> Policy:
    """The cheapest kilograms whose outcome, as far as it can be known, holds the windows as surely as
    `ladder` asks. With `belief.but_for_the_sample` and misses that cost all the world, what is in window is
    the ceiling of whoever has to go by a sample.
    """

    def policy(plant: Catalogue, parameters: Parameters, cases: Cases) -> Floats:
        z_bin = belief.normals(belief.POSSIBLE_HEATS, len(plant.additives))

        def look(some: Cases) -> Around:
            possible = believe(plant, parameters, some)
            few = belief.some_of(possible, SLOPES_FROM)

            def around(decided_kg: Floats) -> Affine:
                decided = decided_kg[:, None]
                sd_kg = np.minimum(parameters.bin_remainder_sd_kg, parameters.bin_remainder_sd_rel * decided)
                tipped = np.maximum(decided + sd_kg * z_bin, 0)
                now = treat(plant, parameters, possible, tipped).chemistry_pct
                slope = _slopes_of(plant, parameters, few, decided)
                mean = now.mean(axis=1)
                return Affine(mean - np.einsum("na,nae->ne", decided_kg, slope), slope, now.std(axis=1))

            return around

        return _search(plant, parameters, cases, look, ladder, INFORMED_REACHES_KG, in_bags=True)

    return policy


def _search(
    plant: Catalogue,
    parameters: Parameters,
    cases: Cases,
    look: Callable[[Cases], Around],
    ladder: Ladder,
    reaches_kg: tuple[tuple[float, bool], ...],
    *,
    in_bags: bool,
) -> Floats:
    """Linear programs around the last answer, from the handbook's on; the best of them counts;
    then each alloy is brought to whole bags, the coarsest first, while the finer ones still make up for it.
    """
    solver = Solver()
    answer, largest = handbook_kg(plant, parameters, cases), most_kg(plant, cases)
    windows = windows_of(plant, cases)
    has_source = ((largest > 0)[..., None] & (cases.observed.certificate_pct > LEAST_SOURCE_PCT)).any(axis=1)
    windows[0][~has_source] = np.nan
    is_al = np.array([np.argmax(a.assay_pct) == AL for a in plant.additives])
    usual_t = parameters.steel_mass_t
    price, step = cases.hidden.price_per_t / 1000, plant.per_additive("increment_kg")
    for first in range(0, len(cases), FEW_HEATS):
        part = slice(first, first + FEW_HEATS)
        kg, around = answer[part], look(part_of(cases, part))
        low, high = windows[0][part].copy(), windows[1][part].copy()
        _give_up(around(np.zeros_like(kg)), np.zeros_like(kg), low, high, 0.001 * kg.sum(axis=1) / usual_t)
        at = around(kg)
        best, best_kg, best_worth = at, kg, np.full(len(kg), np.inf)
        for number, (reach_kg, is_al_free) in enumerate(reaches_kg):
            if number >= CAREFUL_FROM:
                kg, at = best_kg, best
            if number >= GIVES_UP_FROM:
                _give_up(at, kg, low, high)
                best_worth = _worth(best, best_kg, low, high, price[part], ladder)
            reach = np.where(is_al & (not is_al_free), 0.0, reach_kg)
            least, most = np.maximum(kg - reach, 0), np.minimum(kg + reach, largest[part])
            kg = solver.cheapest(at, low, high, price[part], most, least, ladder)
            at = around(kg)
            worth = _worth(at, kg, low, high, price[part], ladder)
            is_better = worth < best_worth
            best, best_kg = _mixed(is_better, at, best), np.where(is_better[:, None], kg, best_kg)
            best_worth = np.minimum(worth, best_worth)
        kg, at, reach = best_kg, best, np.full(len(step), BAGS_REACH_KG)
        least, most = np.maximum(kg - reach, 0), np.minimum(kg + reach, largest[part])
        for size in sorted(set(step.tolist()), reverse=True) if in_bags else ():
            of_size = step == size
            kg[:, of_size] = np.floor(kg[:, of_size] / size + 0.5) * size
            least[:, of_size] = most[:, of_size] = kg[:, of_size]
            if size > step.min():
                kg = solver.cheapest(at, low, high, price[part], most, least, ladder)
        answer[part] = kg
    return answer


def _worth(affine: Affine, kg: Floats, low: Floats, high: Floats, price: Floats, ladder: Ladder) -> Floats:
    """What these kilograms cost, with what their margins lack, per heat."""
    mean, sd = expected(affine, kg), np.maximum(affine.sd_pct, LEAST_SD_PCT)
    lacks = sum(
        np.where(np.isnan(z), 0.0, ladder.price_of(np.nan_to_num(z)))
        for z in ((mean - low) / sd, (high - mean) / sd)
    )
    worth: Floats = (kg * price).sum(axis=1) + np.sum(lacks, axis=1)
    return worth


def _mixed(is_first: Booleans, first: Affine, second: Affine) -> Affine:
    """Of some heats the first, of the others the second."""
    return Affine(
        np.where(is_first[:, None], first.base_pct, second.base_pct),
        np.where(is_first[:, None, None], first.slope, second.slope),
        np.where(is_first[:, None], first.sd_pct, second.sd_pct),
    )


def _give_up(affine: Affine, kg: Floats, low: Floats, high: Floats, dilution: Floats | float = 0.0) -> None:
    """Strike out (NaN) the limits that are out of reach: above the maximum before anything is added, but for
    the dilution that additions bring; or still out after the programs have done what they can.
    """
    mean = expected(affine, kg)
    slack = LOST_SD * affine.sd_pct
    if np.ndim(dilution):
        high[mean * (1 - np.asarray(dilution)[:, None]) > high + slack] = np.nan
        return
    high[mean > high * (1 + LOST_REL) + slack] = np.nan
    low[mean < low * (1 - LOST_REL) - slack] = np.nan


def _slopes_of(plant: Catalogue, parameters: Parameters, few: belief.Belief, decided_kg: Floats) -> Floats:
    """Mean slope over some possible heats (heat, additive, element)."""
    at = np.repeat(decided_kg, SLOPES_FROM, axis=1)
    now = treat(plant, parameters, few, at).chemistry_pct
    slope: Floats = _slopes(plant, parameters, few, at, now).mean(axis=1)
    return slope


def _slopes(
    plant: Catalogue, parameters: Parameters, hidden: belief.Belief, tipped_kg: Floats, now_pct: Floats
) -> Floats:
    """d chemistry / d kilogram (..., additive, element) by forward differences."""
    columns = []
    for additive in range(tipped_kg.shape[-1]):
        more = tipped_kg.copy()
        more[..., additive] += STEP_KG
        columns.append((treat(plant, parameters, hidden, more).chemistry_pct - now_pct) / STEP_KG)
    return np.stack(columns, axis=-2)
