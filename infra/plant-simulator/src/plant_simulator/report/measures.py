"""Figures of the simulated plant, made the way those of real plants were."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from plant_simulator.bulk import Block
from plant_simulator.catalogue import LADLE_FURNACE, TAPPING, Catalogue
from plant_simulator.elements import AL, ELEMENTS, INDEX, Booleans, Floats
from plant_simulator.parameters import Parameters
from plant_simulator.policies.cases import treat
from plant_simulator.steelmaker import contents
from plant_simulator.tables import rows
from plant_simulator.tapping import HiddenResults

LEAST_ADDED_PCT = {"C": 0.03, "Si": 0.04, "Mn": 0.04, "Cr": 0.04, "V": 0.003, "Ti": 0.003}
LEAST_ADDED_OTHERS_PCT = 0.01
LEAST_TRIM_PCT = {"C": 0.2, "Si": 0.04, "Mn": 0.04, "Cr": 0.04, "V": 0.003}
"""Memory is measured over trims like those of the real ladle furnace, which adds about .3 % of carbon."""
"""A heat that got less of an element than this (wt % of the steel) says nothing of its recovery."""

DOSED_WITH, DOSE_KG, DOSED_HEATS = {"V": "FeV80", "Ti": "FeTi70"}, 60.0, 2000
"""What tells of an element that the crews seldom add there."""

SILICON_KILLED, AL_KILLED, LADLE = "tapping, SiMn-killed", "tapping, Al-killed", "ladle furnace"


class Spread(NamedTuple):
    """Quantiles of something over heats."""

    p05: float
    p25: float
    median: float
    p75: float
    p95: float
    heats: int
    is_dosed: bool  # by a dose put on top, because the crews add too little of it


def recoveries(plant: Catalogue, parameters: Parameters, block: Block) -> dict[str, dict[str, Spread]]:
    """Share of an added element that is in the steel afterwards (what slag gave back counts), in truth: by
    station and way of killing, then element. Where fewer than 200 heats get one of DOSED_WITH, of a dose put
    on top of what some heats got. Other elements that fewer than 200 heats tell of are left out. Aluminium's
    fade at the ladle furnace is a loss of what was there, not of what is added, and does not count.
    """
    killed = block.heats.hidden.is_al_killed == 1
    everything = np.ones_like(killed)
    sides = (
        (SILICON_KILLED, block.heats.hidden, block.tapping.tipped_kg, ~killed),
        (AL_KILLED, block.heats.hidden, block.tapping.tipped_kg, killed),
        (LADLE, block.ladles, block.ladle.tipped_kg, everything),
    )
    found: dict[str, dict[str, Spread]] = {}
    for name, before, tipped_kg, which in sides:
        results = treat(plant, parameters, before, tipped_kg)
        for e, element in enumerate(ELEMENTS):
            enough = which & (results.added_kg[:, e] / (10 * before.steel_mass_t) >= _least(element))
            if enough.sum() >= 200:
                found.setdefault(name, {})[element] = _spread(_kept(results, name)[enough, e], False)
            elif element in DOSED_WITH:
                some = np.flatnonzero(which)[:DOSED_HEATS]
                kg = tipped_kg[some].copy()
                kg[:, plant.additive_names.index(DOSED_WITH[element])] += DOSE_KG
                dosed = treat(plant, parameters, rows(before, some), kg)
                found.setdefault(name, {})[element] = _spread(_kept(dosed, name)[:, e], True)
    return found


def _kept(results: HiddenResults, side: str) -> Floats:
    """Share of what was added that stayed (heat, element)."""
    kept = results.added_kg - results.undissolved_kg - results.oxidised_kg + results.reverted_kg
    if side == LADLE:
        kept[:, AL] += results.oxidised_kg[:, AL]
    return np.divide(kept, results.added_kg, out=np.full_like(kept, np.nan), where=results.added_kg > 0)


def _spread(shares: Floats, is_dosed: bool) -> Spread:
    p05, p25, p50, p75, p95 = np.quantile(shares, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
    return Spread(p05, p25, p50, p75, p95, len(shares), is_dosed)


class Memory(NamedTuple):
    """Lag-1 autocorrelation of recovery from heat to heat of a line: in truth, and as the plant can see
    it.
    """

    true: float
    seen: float  # by certificates
    seen_typical: float  # by the alloys' typical assays, as who has no certificates
    pairs: int


def memories(plant: Catalogue, block: Block, elements: tuple[str, ...]) -> dict[str, Memory]:
    """Of the ladle furnace's recovery, over pairs of heats one after the other that both got about as much of
    the element as at the real one (LEAST_TRIM_PCT).
    """
    metal, at = block.treated.metal, block.ladle
    mass_t = block.ladles.steel_mass_t[:, None]
    kept = metal.added_kg - metal.undissolved_kg - metal.oxidised_kg + metal.reverted_kg
    believed_kg = np.einsum("na,nae->ne", at.after.weighed_kg, at.before.certificate_pct) / 100
    typical_kg = at.after.weighed_kg @ plant.per_additive("assay_pct") / 100
    before = contents(plant, LADLE_FURNACE, at.before)
    gained_kg = (at.after.chemistry_pct - before) * at.before.steel_mass_t[:, None] * 10
    sampled = ~np.isnan(at.before.chemistry_pct)
    sane = (np.abs(at.after.steel_mass_t / at.before.steel_mass_t - 1) < 0.1)[:, None]
    pairs_of = _pairs(block)
    found = {}
    for element in elements:
        e = INDEX[element]
        enough = believed_kg[:, e] / (10 * mass_t[:, 0]) >= LEAST_TRIM_PCT[element]
        enough &= sampled[:, e] & sane[:, 0]
        true = np.divide(kept[:, e], metal.added_kg[:, e], out=np.ones(len(enough)), where=enough)
        seen, typical = (
            np.divide(gained_kg[:, e], kg[:, e], out=np.ones(len(enough)), where=enough)
            for kg in (believed_kg, typical_kg)
        )
        first, second = pairs_of[:, enough[pairs_of[0]] & enough[pairs_of[1]]]
        if len(first) >= 200:
            true_, seen_, typical_ = (_correlation(of[first], of[second]) for of in (true, seen, typical))
            found[element] = Memory(true_, seen_, typical_, len(first))
    return found


def noise_sd_pct(block: Block) -> dict[str, float]:
    """Sd of a final sample around the truth, wt %, over all heats above the detection limit."""
    error = block.ladle.after.chemistry_pct - block.treated.metal.chemistry_pct
    there = ~block.ladle.after.is_below
    return {
        element: float(error[there[:, e], e].std())
        for e, element in enumerate(ELEMENTS)
        if there[:, e].sum() >= 200
    }


@dataclass(frozen=True)
class Slopes:
    """Effect of 1 kg/t of an additive on the final wt % of an element within one grade, learnt in four ways.
    `learnt_share` is the recovery that the increment's regression on the element added finds.
    """

    grade: str
    heats: int
    physical: float
    naive: float
    with_first: float
    learnt_share: float


def confounding(
    plant: Catalogue,
    block: Block,
    station: str,
    element: str,
    additive: str,
    last: str,
    grade: str | None = None,
) -> Slopes | None:
    """As on real heats: in one grade (without a name: which gets this additive most often), the final
    chemistry on the additive, the same with the first chemistry besides, and the increment on the elements
    added; the final chemistry is that after the station `last`. None where no grade gets enough.
    """
    is_tapping = station == TAPPING
    at = block.tapping if is_tapping else block.ladle
    hidden = block.heats.hidden if is_tapping else block.ladles
    e, a = INDEX[element], plant.additive_names.index(additive)
    usable = ~np.isnan(at.before.chemistry_pct[:, e]) & (at.before.steel_mass_t < 1.25 * hidden.steel_mass_t)
    kg_t = at.after.weighed_kg / np.maximum(at.before.steel_mass_t, 1)[:, None]
    names = [g.grade for g in plant.grades]
    which_grades = range(len(names)) if grade is None else [names.index(grade)]
    used = [usable & (at.before.grade == g) & (kg_t[:, a] > 0) for g in which_grades]
    best = int(np.argmax([which.sum() for which in used]))
    which = used[best]
    if which.sum() < 200:
        return None
    result = block.tapping.after if last == TAPPING else block.ladle.after
    final, first = result.chemistry_pct[which, e], contents(plant, station, at.before)[which, e]
    x = kg_t[which, a]
    added_pct = np.einsum("na,nae->ne", kg_t[which], at.before.certificate_pct[which]) / 1000
    metal = block.tapped if is_tapping else block.treated.metal
    kept = 1 - (metal.undissolved_kg[which, e] + metal.oxidised_kg[which, e]) / np.maximum(
        metal.added_kg[which, e], 1e-9
    )
    main = [INDEX[x] for x in ("C", "Si", "Mn", "Cr", "V", "Al") if added_pct[:, INDEX[x]].std() > 1e-4]
    main = [e, *(i for i in main if i != e)]
    return Slopes(
        grade=names[which_grades[best]],
        heats=int(which.sum()),
        physical=float(np.median(kept) * np.median(at.before.certificate_pct[which, a, e]) / 1000),
        naive=_slope(final, x),
        with_first=_slope(final, x, first),
        learnt_share=_slope(final - first, added_pct[:, main[0]], *added_pct[:, main[1:]].T),
    )


def in_steps(block: Block, values: Floats, which: Booleans, steps: int) -> tuple[Floats, Floats]:
    """Mean over lines, in bins of `steps` heats, of those heats that count: (middle heat of the bin,
    mean).
    """
    heat_no = block.heats.hidden.heat_no
    bins = (heat_no - 1) // steps
    ok = which & ~np.isnan(values)
    counts = np.bincount(bins[ok], minlength=bins.max() + 1)
    sums = np.bincount(bins[ok], weights=values[ok], minlength=bins.max() + 1)
    middle: Floats = np.arange(0.5, len(counts)).astype(np.float64) * steps
    mean: Floats = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return middle, mean


def _pairs(block: Block) -> Floats:
    """Positions of heats and of those right after them on the same line, (2, pair)."""
    line, heat_no = block.heats.hidden.line, block.heats.hidden.heat_no
    order = np.lexsort((heat_no, line))
    follows = (np.diff(heat_no[order]) == 1) & (np.diff(line[order]) == 0)
    return np.stack([order[:-1][follows], order[1:][follows]])


def _slope(target: Floats, *causes: Floats) -> float:
    """The first cause's coefficient in a regression with an intercept."""
    table = np.column_stack([*causes, np.ones(len(target))])
    return float(np.linalg.lstsq(table, target, rcond=None)[0][0])


def _correlation(a: Floats, b: Floats) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def _least(element: str) -> float:
    return LEAST_ADDED_PCT.get(element, LEAST_ADDED_OTHERS_PCT)
