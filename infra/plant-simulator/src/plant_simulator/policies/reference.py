"""Reference policies: kilograms to ask the bins for, from a heat's sides.

| policy | knows |
|---|---|
| all-knowing | the truth of the heat and everything that chance will do to it |
| informed | the plant's true parameters, every lot's assay, the heats before, this heat's readings |
| handbook | this heat's readings, nominal recoveries |
| steelmaker | as the handbook, with his habits |
"""

from collections.abc import Callable

import numpy as np

from plant_simulator import handbook, steelmaker
from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import ELEMENTS, Floats
from plant_simulator.instruments import tip
from plant_simulator.parameters import Parameters
from plant_simulator.policies import belief
from plant_simulator.policies.cases import Cases, most_kg, part_of, treat, windows_of
from plant_simulator.policies.optimum import Affine, Ladder, Solver
from plant_simulator.tables import rows

ALL_KNOWING, INFORMED, HANDBOOK, STEELMAKER = "all-knowing", "informed", "handbook", "steelmaker"

Policy = Callable[[Catalogue, Parameters, Cases], Floats]
"""Decided kilograms (heat, additive)."""

Around = Callable[[Floats], Affine]
"""What is to be expected of kilograms near these."""

REACHES_KG = (np.inf, np.inf, 200.0, 40.0, 10.0)
"""How far each linear program may go from the answer before: without a limit it would jump between
corners.
"""

LOST_SD, LOST_REL = 1.5, 0.05
"""A window this far out of reach (standard deviations, and relative to its limit) is given up: no alloy is
spent on it.
"""

GIVES_UP_FROM, LEAST_SOURCE_PCT, LEAST_KG = 3, 0.5, 0.01
STEP_KG, FEW_HEATS, SLOPES_FROM = 2.0, 32, 8


def handbook_rule(aim_fraction: float | None = None) -> Policy:
    """The handbook rule at the grade's own aim, or at a fraction of each window (0 is min, 1 is max)."""

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


def all_knowing(miss_price: float) -> Policy:
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

        hard = Ladder(0.5, (np.inf,), (miss_price,))
        return _search(plant, parameters, cases, look, hard, in_bags=False)

    return policy


def informed(ladder: Ladder) -> Policy:
    """The cheapest kilograms whose outcome, as far as it can be known, holds the windows as surely as
    `ladder` asks.
    """

    def policy(plant: Catalogue, parameters: Parameters, cases: Cases) -> Floats:
        z_bin = belief.normals(belief.POSSIBLE_HEATS, len(plant.additives))

        def look(some: Cases) -> Around:
            possible = belief.possible(plant, parameters, some)
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

        return _search(plant, parameters, cases, look, ladder, in_bags=True)

    return policy


def _search(
    plant: Catalogue,
    parameters: Parameters,
    cases: Cases,
    look: Callable[[Cases], Around],
    ladder: Ladder,
    *,
    in_bags: bool,
) -> Floats:
    """Linear programs around the last answer, from the handbook's on; then each alloy is brought to whole
    bags, the coarsest first, while the finer ones still make up for it.
    """
    solver = Solver()
    answer, largest = handbook_kg(plant, parameters, cases), most_kg(plant, cases)
    windows = windows_of(plant, cases)
    has_source = ((largest > 0)[..., None] & (cases.observed.certificate_pct > LEAST_SOURCE_PCT)).any(axis=1)
    windows[0][~has_source] = np.nan
    usual_t = parameters.steel_mass_t
    price, step = cases.hidden.price_per_t / 1000, plant.per_additive("increment_kg")
    for first in range(0, len(cases), FEW_HEATS):
        part = slice(first, first + FEW_HEATS)
        kg, around = answer[part], look(part_of(cases, part))
        low, high = windows[0][part].copy(), windows[1][part].copy()
        _give_up(around(np.zeros_like(kg)), np.zeros_like(kg), low, high, 0.001 * kg.sum(axis=1) / usual_t)
        for number, reach in enumerate(REACHES_KG):
            affine = around(kg)
            if number >= GIVES_UP_FROM:
                _give_up(affine, kg, low, high)
            least = np.maximum(kg - reach, 0)
            is_free = (kg > LEAST_KG) | (reach > REACHES_KG[-1])
            most = np.where(is_free, np.minimum(kg + reach, largest[part]), 0.0)
            kg = solver.cheapest(affine, low, high, price[part], most, least, ladder)
        for size in sorted(set(step.tolist()), reverse=True) if in_bags else ():
            of_size = step == size
            kg[:, of_size] = np.floor(kg[:, of_size] / size + 0.5) * size
            least[:, of_size] = most[:, of_size] = kg[:, of_size]
            if size > step.min():
                kg = solver.cheapest(affine, low, high, price[part], most, least, ladder)
        answer[part] = kg
    return answer


def _give_up(affine: Affine, kg: Floats, low: Floats, high: Floats, dilution: Floats | float = 0.0) -> None:
    """Strike out (NaN) the limits that are out of reach: above the maximum before anything is added, but for
    the dilution that additions bring; or still out after the programs have done what they can.
    """
    mean = affine.base_pct + np.einsum("na,nae->ne", kg, affine.slope)
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
