"""The mark that each scenario leaves in what can be seen, beside the same heats without it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from plant_simulator import scenarios
from plant_simulator.bulk import Block, simulate
from plant_simulator.catalogue import LADLE_FURNACE, TAPPING, Catalogue
from plant_simulator.elements import INDEX, Booleans, Floats
from plant_simulator.parameters import Parameters
from plant_simulator.report.measures import in_steps
from plant_simulator.steelmaker import contents
from plant_simulator.tables import stack

LINES, HEATS, START_HEAT, STEP = 48, 224, 97, 8

Reading = Callable[[Catalogue, Block], Floats]


class Mark(NamedTuple):
    """What to look at: a label with its unit, the reading per heat, and the grades that count (None: all)."""

    label: str
    reading: Reading
    grades: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Trace:
    """A scenario's mark over heats, with and without it."""

    scenario: str
    label: str
    conclude: str
    start_heat: int
    heat_no: Floats
    without: Floats
    with_it: Floats


def apparent_recovery(element: str, station: str) -> Reading:
    """What the plant can see of recovery: the increment over what was weighed, by certificate."""

    def reading(plant: Catalogue, block: Block) -> Floats:
        at, e = block.tapping if station == TAPPING else block.ladle, INDEX[element]
        added = np.einsum("na,na->n", at.after.weighed_kg, at.before.certificate_pct[:, :, e])
        added_pct = added / 1000 / at.before.steel_mass_t
        gained = at.after.chemistry_pct[:, e] - contents(plant, station, at.before)[:, e]
        ok = (added_pct > 0.1) & ~np.isnan(at.before.chemistry_pct[:, e]) & (at.before.steel_mass_t < 180)
        recovery: Floats = np.divide(gained, added_pct, out=np.full(len(gained), np.nan), where=ok)
        return recovery

    return reading


def _cost(_: Catalogue, block: Block) -> Floats:
    tapping, ladle = block.tapping, block.ladle
    cost = (
        tapping.after.weighed_kg * tapping.before.price_per_t
        + ladle.after.weighed_kg * ladle.before.price_per_t
    )
    total: Floats = (
        cost.sum(axis=1)
        / 1000
        / np.where(tapping.before.steel_mass_t < 180, tapping.before.steel_mass_t, np.nan)
    )
    return total


def _mn_above_aim(plant: Catalogue, block: Block) -> Floats:
    aim = plant.bounds(LADLE_FURNACE).aim_pct[
        block.ladle.before.grade, block.ladle.before.is_al_killed, INDEX["Mn"]
    ]
    above: Floats = block.ladle.after.chemistry_pct[:, INDEX["Mn"]] - aim
    return above


def _check_standard(_: Catalogue, block: Block) -> Floats:
    mn = INDEX["Mn"]
    relative: Floats = 100 * (
        block.ladle.after.chemistry_pct[:, mn] / block.treated.metal.chemistry_pct[:, mn] - 1
    )
    return relative


def _kg_t(additive: str) -> Reading:
    def reading(plant: Catalogue, block: Block) -> Floats:
        kg = block.tapping.after.weighed_kg + block.ladle.after.weighed_kg
        kg_t: Floats = kg[:, plant.additive_names.index(additive)] / 120
        return kg_t

    return reading


def marks(plant: Catalogue) -> dict[str, Mark]:
    """Scenario to the reading that shows it."""
    regraded = tuple(plant.grades[g].grade for g in scenarios.regraded(plant))
    never = next((g.grade for g in plant.grades if g.campaign_share == 0), "")
    names = [g.grade for g in plant.grades]
    return {
        "simn-lot-low": Mark("apparent recovery of Mn, tapping", apparent_recovery("Mn", TAPPING)),
        "carry-over-ramp": Mark("estimated carry-over, kg/t", lambda _, b: b.tapping.before.carry_over_kg_t),
        "spectrometer-bias": Mark("Mn read on a check standard, % off", _check_standard),
        "new-scrap-supplier": Mark(
            "Cu of the first sample, %", lambda _, b: b.tapping.before.chemistry_pct[:, INDEX["Cu"]]
        ),
        "price-change": Mark("cost of additives, money/t", _cost),
        "scale-bias": Mark("apparent recovery of Mn, tapping", apparent_recovery("Mn", TAPPING)),
        "aim-shift": Mark("final Mn above the grade's aim, %", _mn_above_aim),
        "stock-out": Mark("FeMnMC, kg/t", _kg_t("FeMnMC")),
        "new-grade": Mark(
            f"share of {never}",
            lambda _, b: (b.tapping.before.grade == names.index(never)).astype(np.float64),
        ),
        "late-and-twice": Mark(
            "share of late results", lambda _, b: b.heats.reporting.tapping.is_late.astype(np.float64)
        ),
        "oxygen-lost": Mark(
            "share of heats with oxygen",
            lambda _, b: (~np.isnan(b.tapping.before.oxygen_ppm)).astype(np.float64),
        ),
        "new-deoxidation": Mark(
            "apparent recovery of Si, changed grades",
            apparent_recovery("Si", TAPPING),
            regraded,
        ),
        "pre-deoxidation": Mark(
            "apparent recovery of Si, grades killed with SiMn",
            apparent_recovery("Si", TAPPING),
            tuple(g.grade for g in plant.grades if not g.is_al_killed),
        ),
    }


def traces(plant: Catalogue, parameters: Parameters, seed: int) -> list[Trace]:
    """Every scenario, begun at the same heat, on the same heats."""
    calm = _run(plant, parameters, seed, None)
    found = []
    for name, mark in marks(plant).items():
        wild = _run(plant, parameters, seed, name)
        values = []
        for block in (calm, wild):
            which = _of_grades(plant, block, mark.grades)
            middle, mean = in_steps(block, mark.reading(plant, block), which, STEP)
            values.append(mean)
        found.append(Trace(name, mark.label, _conclusion(name), START_HEAT, middle, *values))
    return found


def _run(plant: Catalogue, parameters: Parameters, seed: int, name: str | None) -> Block:
    started = [scenarios.Started(name, START_HEAT)] if name else []
    change = scenarios.change(plant, started)
    return stack(list(simulate(plant, parameters, seed, LINES, HEATS, change=change)))


def _of_grades(plant: Catalogue, block: Block, grades: tuple[str, ...] | None) -> Booleans:
    made = block.tapping.before.grade
    if grades is None:
        return np.ones(len(made), dtype=np.bool_)
    return np.isin(made, [g for g, grade in enumerate(plant.grades) if grade.grade in grades])


def _conclusion(name: str) -> str:
    """The first sentence of what its docstring says a good monitor should conclude."""
    text = " ".join((scenarios.SCENARIOS[name].__doc__ or "").split())
    after = text.partition("Conclude: ")[2]
    return after.split(". ")[0].rstrip(".") + "."
