"""The steelmaker: his own figure, how he takes a recommendation, what he decides and why (B6)."""

from dataclasses import dataclass

import numpy as np

from plant_simulator import handbook
from plant_simulator.catalogue import Catalogue
from plant_simulator.chance import STEELMAKER, generator
from plant_simulator.elements import ELEMENTS, Booleans, Floats, Integers, vector
from plant_simulator.instruments import ObservedHeats
from plant_simulator.parameters import Parameters
from plant_simulator.tables import rows

STATION = "tapping"


@dataclass(frozen=True)
class Tempers:
    """Chance and habit of the crew at each heat, drawn beforehand."""

    crew: Integers
    crew_offset_rel: Floats
    aim_fraction: Floats  # (heat, element): 0 is the window's min, 1 its max
    dither_rel: Floats  # (heat, additive)
    avoids: Booleans  # (heat, additive): alloys that this shift leaves out of its own figure
    u_accept: Floats
    u_edit: Floats


@dataclass(frozen=True)
class Decision:
    """Kilograms per additive, and the reason code where they differ from what he was shown (None where they
    don't).
    """

    decided_kg: Floats
    reason_code: str | None
    accepted: bool


def draw_tempers(plant: Catalogue, parameters: Parameters, seed: int, heat_no: Integers) -> Tempers:
    """Tempers of a block of heats; crews keep their habits for ever, shifts their route for a shift."""
    p, n = parameters, len(heat_no)
    can_be_left_out = plant.per_additive("can_be_left_out") > 0
    crews = max(1, int(p.crews))
    shift = (heat_no - 1) // max(1, int(p.shift_heats))
    crew = shift % crews
    offset = p.crew_offset_sd_rel * generator(STEELMAKER, seed).standard_normal(crews)
    fraction = np.linspace(p.aim_fraction_low, p.aim_fraction_high, crews)
    avoids = {
        s: _avoided(generator(STEELMAKER, seed, 1, s), p.other_route_rate, can_be_left_out)
        for s in set(shift.tolist())
    }
    rng = generator(STEELMAKER, seed, 2, int(heat_no[0]))
    scatter = (
        p.aim_fraction_sd
        * (rng.standard_normal((n, 1)) + rng.standard_normal((n, len(ELEMENTS))))
        / np.sqrt(2)
    )
    return Tempers(
        crew=crew,
        crew_offset_rel=offset[crew],
        aim_fraction=np.clip(fraction[crew][:, None] + scatter, 0.1, 0.9),
        dither_rel=p.dither_sd_rel * rng.standard_normal((n, len(can_be_left_out))),
        avoids=np.array([avoids[s] for s in shift.tolist()]),
        u_accept=rng.random(n),
        u_edit=rng.random(n),
    )


def own_figure(
    plant: Catalogue,
    parameters: Parameters,
    heats: ObservedHeats,
    tempers: Tempers,
    stock_kg: Floats | None = None,
) -> Floats:
    """What the crew would add without advice (heat, additive):

    the handbook rule with its own aim, a little more or less, in whole bags.
    """
    added = np.zeros((len(heats.heat_no), len(plant.additives)))
    largest = _largest(plant, stock_kg)
    for position, grade in enumerate(plant.grades):
        of_grade = np.flatnonzero(heats.grade == position)
        if not len(of_grade):
            continue
        some, temper = rows(heats, of_grade), rows(tempers, of_grade)
        aim = grade.min_pct + temper.aim_fraction * (grade.max_pct - grade.min_pct)
        aim = np.where(np.isnan(aim), handbook.aims(grade.min_pct, grade.aim_pct, grade.max_pct), aim)
        figure = handbook.work_out(
            entry=plant.handbook_entry(STATION, grade.grade),
            elements=ELEMENTS,
            additives=plant.additive_names,
            now_pct=np.where(some.is_below, some.chemistry_pct / 2, some.chemistry_pct),
            aim_pct=aim,
            steel_mass_t=some.steel_mass_t,
            offers=offers(plant, some.certificate_pct, ~temper.avoids, stock_kg),
        )
        more = 1 + temper.crew_offset_rel + parameters.first_heat_more_rel * some.is_first_of_campaign
        added[of_grade] = figure.added_kg * more[:, None] * (1 + temper.dither_rel)
    return _in_bags(plant, added, largest)


def offers(
    plant: Catalogue, certificate_pct: Floats, is_offered: Booleans, stock_kg: Floats | None = None
) -> handbook.Offers:
    """What the bins offer to the rule."""
    return handbook.Offers(
        assay_pct=certificate_pct,
        stock_kg=np.full(len(plant.additives), np.inf) if stock_kg is None else stock_kg,
        max_kg=plant.per_additive("max_kg"),
        min_kg=np.zeros(len(plant.additives)),
        increment_kg=plant.per_additive("increment_kg"),
        is_offered=is_offered,
    )


def decide(
    plant: Catalogue,
    parameters: Parameters,
    heats: ObservedHeats,
    tempers: Tempers,
    own_kg: Floats,
    shown_kg: Floats,
    stock_kg: Floats | None = None,
) -> Decision:
    """What he does with a recommendation for one heat (tables of one row; kilograms per additive).

    Near his own figure he takes it with a chance that grows with trust; the further, the rarer; else he goes
    part of the way to his own.
    """
    p = parameters
    entry = plant.handbook_entry(STATION, plant.grades[int(heats.grade[0])].grade)
    distance = _distance(plant, entry["nominal_recovery"], heats, own_kg, shown_kg)
    chance = p.accept_least + p.accept_per_trust * p.trust
    chance *= np.exp(-max(0.0, distance - p.near_rel) / p.far_scale_rel)
    if tempers.u_accept[0] < chance:
        return Decision(shown_kg.copy(), None, True)
    share = p.edit_least + (1 - p.edit_least) * tempers.u_edit[0]
    edited = _in_bags(plant, shown_kg + share * (own_kg - shown_kg), _largest(plant, stock_kg))
    if np.allclose(edited, shown_kg):
        return Decision(shown_kg.copy(), None, True)
    return Decision(edited, _reason(parameters, heats, tempers, own_kg, shown_kg, distance), False)


def _avoided(rng: np.random.Generator, rate: float, can_be_left_out: Booleans) -> Booleans:
    avoided = np.zeros(len(can_be_left_out), dtype=np.bool_)
    if can_be_left_out.any() and rng.random() < rate:
        avoided[rng.choice(np.flatnonzero(can_be_left_out))] = True
    return avoided


def _largest(plant: Catalogue, stock_kg: Floats | None) -> Floats:
    most = (
        plant.per_additive("max_kg")
        if stock_kg is None
        else np.minimum(plant.per_additive("max_kg"), stock_kg)
    )
    step = plant.per_additive("increment_kg")
    largest: Floats = np.floor(most / step) * step
    return largest


def _in_bags(plant: Catalogue, kg: Floats, largest: Floats) -> Floats:
    step = plant.per_additive("increment_kg")
    bags: Floats = np.minimum(np.floor(kg / step + 0.5) * step, largest)
    return np.maximum(bags, 0)


def _distance(
    plant: Catalogue, nominal: dict[str, float], heats: ObservedHeats, own_kg: Floats, shown_kg: Floats
) -> float:
    """How far a recommendation is from his own figure:

    what it adds of the elements the grade asks for, by his recoveries, relative.
    """
    asked = ~np.isnan(plant.grades[int(heats.grade[0])].min_pct)
    gives = heats.certificate_pct[0] * vector(nominal, default=1.0)
    own, shown = own_kg @ gives, shown_kg @ gives
    size = np.maximum(own, 0.1 * own[asked].max(initial=1e-9))
    return float(np.mean(np.abs(shown - own)[asked] / size[asked])) if asked.any() else 0.0


def _reason(
    p: Parameters,
    heats: ObservedHeats,
    tempers: Tempers,
    own_kg: Floats,
    shown_kg: Floats,
    distance: float,
) -> str:
    """The code he would tick: one of those the contract knows."""
    price = heats.price_per_t[0]
    temperature = heats.temperature_c[0]
    if (tempers.avoids[0] & (shown_kg > 0)).any():
        return "practice"
    if own_kg @ price < 0.97 * (shown_kg @ price):
        return "cost"
    if 0 < temperature < p.tap_temperature_c - 1.5 * p.tap_temperature_sd_c:
        return "temperature"
    if distance > p.near_rel:
        return "chemistry"
    return "distrust" if tempers.u_edit[0] < 0.5 else "practice"
