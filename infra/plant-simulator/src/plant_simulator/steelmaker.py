"""The steelmaker: his own figure, how he takes a recommendation, what he decides and why (B6)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from plant_simulator import handbook
from plant_simulator.catalogue import LADLE_FURNACE, TAPPING, Catalogue
from plant_simulator.chance import CHUNK_HEATS, SHIFTS, STEELMAKER, Draws, generator
from plant_simulator.elements import AL, ELEMENTS, Booleans, Floats, Integers, vector
from plant_simulator.instruments import ObservedHeats, ObservedResults
from plant_simulator.parameters import Parameters

IMPLAUSIBLE_MASS = 1.25
"""A scale that shows this many times the usual mass is not believed."""
OXYGEN_BELIEVED_PPM = (100, 4000)
LEAST_GAIN_PCT = vector({"C": 0.03, "Si": 0.04, "Mn": 0.04, "Cr": 0.04}, default=0.01)
"""From this much on an addition tells him something about recovery."""
FAST_DECAY = 0.5, 1.5


@dataclass(frozen=True)
class Temper:
    """Chance and habit of the crew at one station."""

    aim_fraction: Floats  # (heat, element): 0 is the window's min, 1 its max
    aim_shift_pct: Floats  # (heat, element): an instruction from above, nothing by default
    dither_rel: Floats  # (heat, additive)
    u_accept: Floats
    u_edit: Floats


@dataclass(frozen=True)
class Tempers:
    """Chance and habit of the crew at each heat, drawn beforehand."""

    crew: Integers
    crew_offset_rel: Floats
    avoids: Booleans  # (heat, additive): alloys that this shift leaves out of its own figure
    taken_share: Floats  # (heat, additive): of what the rule would take; others make up for it
    tapping: Temper
    ladle: Temper


@dataclass(frozen=True)
class Memory:
    """What the crews of some lines remember of one station, one row per line."""

    burnt: Floats  # 1 after a heat that missed low, fading to 0
    recovery_rel: Floats  # (line, element): recovery seen lately over the nominal one


@dataclass(frozen=True)
class Decision:
    """Kilograms per additive, and the reason code where they differ from what he was shown (None where they
    don't).
    """

    decided_kg: Floats
    reason_code: str | None
    accepted: bool


def fresh_memory(lines: int) -> Memory:
    """Nobody remembers anything yet."""
    return Memory(np.zeros(lines), np.ones((lines, len(ELEMENTS))))


def draw_tempers(plant: Catalogue, parameters: Parameters, seed: int, lines: Integers) -> Iterator[Tempers]:
    """Tempers for the heats of `hidden.draw`, chunk by chunk; crews keep their habits for ever, shifts their
    route for a shift.
    """
    p, elements, additives = parameters, len(ELEMENTS), len(plant.additives)
    crews, per_shift = max(1, int(p.crews)), max(1, int(p.shift_heats))
    habits = np.array([generator(STEELMAKER, seed, int(line)).standard_normal(crews) for line in lines])
    offsets, positions = p.crew_offset_sd_rel * habits, np.arange(len(lines))
    fractions = np.linspace(p.aim_fraction_low, p.aim_fraction_high, crews)
    shifts = _Shifts(plant, p, seed, lines)
    can_be_left_out = plant.per_additive("can_be_left_out") > 0
    chunk = 0
    while True:
        d = Draws(STEELMAKER, seed, lines, chunk, 2 * (1 + elements + additives), 4 + additives)
        shift = (chunk * CHUNK_HEATS + np.arange(CHUNK_HEATS)) // per_shift
        crew = np.repeat(shift % crews, len(lines))

        def temper(d: Draws = d, crew: Integers = crew) -> Temper:
            scatter = p.aim_fraction_sd * (d.normals(1) + d.normals(elements)) / np.sqrt(2)
            return Temper(
                aim_fraction=np.clip(fractions[crew][:, None] + scatter, 0.1, 0.9),
                aim_shift_pct=np.zeros(scatter.shape),
                dither_rel=p.dither_sd_rel * d.normals(additives),
                u_accept=d.uniform(),
                u_edit=d.uniform(),
            )

        taken = p.other_route_least + (1 - p.other_route_least) * d.uniforms(additives)
        yield Tempers(
            crew=crew,
            crew_offset_rel=offsets[np.tile(positions, CHUNK_HEATS), crew],
            avoids=shifts.chunk(shift.tolist()),
            taken_share=np.where(can_be_left_out, taken, 1.0),
            tapping=temper(),
            ladle=temper(),
        )
        chunk += 1


def own_figure(
    plant: Catalogue,
    parameters: Parameters,
    station: str,
    heats: ObservedHeats,
    tempers: Tempers,
    memory: Memory,
    stock_kg: Floats | None = None,
) -> Floats:
    """What the crew would add without advice (heat, additive):

    the handbook rule with its own aim and the recovery it saw lately, a little more or less, in whole bags.
    """
    p, temper = parameters, tempers.tapping if station == TAPPING else tempers.ladle
    bounds = plant.bounds(station)
    low, aim, high = (b[heats.grade, heats.is_al_killed] for b in bounds)
    if station == TAPPING:
        # The instruction's aim; a crew's own taste shows less than at the ladle furnace, which still follows.
        usual = (p.aim_fraction_low + p.aim_fraction_high) / 2
        final = plant.bounds(LADLE_FURNACE)
        width = (final.max_pct - final.min_pct)[heats.grade, heats.is_al_killed]
        taste = p.tapping_aim_share * (temper.aim_fraction - usual) * width
        own_aim = handbook.aims(low, aim, high) + np.where(np.isnan(taste), 0.0, taste)
    else:
        own_aim = low + temper.aim_fraction * (high - low)
        own_aim = np.where(np.isnan(own_aim), handbook.aims(low, aim, high), own_aim)
    own_aim = own_aim + temper.aim_shift_pct
    rule = _rule(plant, station, heats)
    rule = rule._replace(recovery=rule.recovery * memory.recovery_rel**p.recovery_knowledge)
    if station == TAPPING:
        own_aim[:, AL] = aim[:, AL]  # aluminium is dosed by rule and oxygen, not by where a crew likes to aim
        own_aim = own_aim + _oxygen_allowance_pct(p, rule.recovery, heats)
    figure = handbook.work_out(
        rule=rule,
        elements=ELEMENTS,
        additives=plant.additive_names,
        now_pct=_believed_contents(plant, p, station, heats),
        aim_pct=own_aim,
        steel_mass_t=believed_mass_t(p, heats),
        offers=offers(plant, heats, ~tempers.avoids, stock_kg, tempers.taken_share),
    )
    more = 1 + tempers.crew_offset_rel + p.first_heat_more_rel * heats.is_first_of_campaign
    more = more + p.once_burnt_rel * memory.burnt
    return _in_bags(
        plant, figure.added_kg * more[:, None] * (1 + temper.dither_rel), _largest(plant, stock_kg)
    )


def remember(
    plant: Catalogue,
    parameters: Parameters,
    station: str,
    memory: Memory,
    heats: ObservedHeats,
    results: ObservedResults,
) -> Memory:
    """What the crews remember after these heats, one per line."""
    p = parameters
    bounds = plant.bounds(station)
    low = bounds.min_pct[heats.grade, heats.is_al_killed]
    missed = (results.chemistry_pct < low - 1e-9).any(axis=1)
    burnt = np.where(missed, 1.0, memory.burnt * np.exp(-1 / p.once_burnt_heats))

    rule = _rule(plant, station, heats)
    thrown = np.zeros(results.chemistry_pct.shape)
    for j in range(results.weighed_kg.shape[1]):
        thrown += results.weighed_kg[:, j, None] * heats.certificate_pct[:, j]
    expected = thrown * rule.recovery / (1000 * believed_mass_t(p, heats)[:, None])
    gained = results.chemistry_pct - contents(plant, station, heats)
    tells = (expected > LEAST_GAIN_PCT) & ~np.isnan(heats.chemistry_pct)
    tells[:, AL] = False  # aluminium's recovery is what oxygen left of it: no experience to build on
    seen = np.clip(np.divide(gained, expected, out=np.ones_like(gained), where=tells), *FAST_DECAY)
    share = np.where(tells, 1 - 0.5 ** (1 / p.recovery_knowledge_heats), 0.0)
    return Memory(burnt, memory.recovery_rel + share * (seen - memory.recovery_rel))


def contents(plant: Catalogue, station: str, heats: ObservedHeats) -> Floats:
    """What he takes the steel to contain, wt %: half of a detection limit, and at the ladle furnace, where
    the first sample is missing, what tapping usually gives. NaN where he knows nothing.
    """
    now = np.where(heats.is_below, heats.chemistry_pct / 2, heats.chemistry_pct)
    if station == LADLE_FURNACE:
        usual = plant.usual_arrival_pct[heats.grade, heats.is_al_killed]
        now = np.where(np.isnan(now), usual, now)
    return now


def _believed_contents(plant: Catalogue, p: Parameters, station: str, heats: ObservedHeats) -> Floats:
    """What he trims from, wt %: at the ladle furnace a sample counts against what tapping usually gives, by
    how much either scatters, so that he does not chase the noise of a sample.
    """
    now = contents(plant, station, heats)
    if station == TAPPING:
        return now
    usual = plant.usual_arrival_pct[heats.grade, heats.is_al_killed]
    scatter = vector(p.tapping_scatter_pct) + vector(p.tapping_scatter_rel) * usual
    noise = vector(p.spectrometer_sd_pct) + vector(p.spectrometer_sd_rel) * usual
    believed = usual + scatter**2 / (scatter**2 + noise**2) * (now - usual)
    return np.where((scatter > 0) & ~np.isnan(usual), believed, now)


def believed_mass_t(parameters: Parameters, heats: ObservedHeats) -> Floats:
    """The scale's reading; the usual mass where that cannot be."""
    usual = parameters.steel_mass_t
    is_wrong = heats.steel_mass_t > IMPLAUSIBLE_MASS * usual
    return np.where(is_wrong, usual, heats.steel_mass_t)


def _rule(plant: Catalogue, station: str, heats: ObservedHeats) -> handbook.Rule:
    """The handbook's entry of each heat."""
    recovery, assumed = plant.nominal(station)
    of = heats.grade, heats.is_al_killed
    return handbook.Rule(plant.steps(station), recovery[of], assumed[of])


def _oxygen_allowance_pct(p: Parameters, recovery: Floats, heats: ObservedHeats) -> Floats:
    """How much higher he aims because there is more oxygen than usual, by probe and by the slag he saw, wt
    %.
    """
    lowest, highest = OXYGEN_BELIEVED_PPM
    is_believed = (heats.oxygen_ppm > lowest) & (heats.oxygen_ppm < highest)
    more_kg_t = np.where(is_believed, heats.oxygen_ppm - p.oxygen_median_ppm, 0.0) * 1e-3
    usual_kg_t = p.carry_over_median_kg_t + p.taphole_wear_kg_t / 2
    more_slag_kg_t = np.where(np.isnan(heats.carry_over_kg_t), 0.0, heats.carry_over_kg_t - usual_kg_t)
    more_kg_t = more_kg_t + p.slag_allowance_oxygen_kg_per_kg * more_slag_kg_t
    per_oxygen = vector(p.oxygen_allowance_kg_per_kg)
    by_al = vector({"Al": p.oxygen_allowance_kg_per_kg["Al"]})
    lost_kg_t = np.where(heats.is_al_killed[:, None] == 1, by_al, per_oxygen - by_al) * more_kg_t[:, None]
    return p.oxygen_allowance * lost_kg_t * recovery / 10


class _Shifts:
    """Which alloy each line's shift goes without."""

    def __init__(self, plant: Catalogue, parameters: Parameters, seed: int, lines: Integers) -> None:
        self._rate, self._seed, self._lines = parameters.other_route_rate, seed, lines
        self._choices = np.flatnonzero(plant.per_additive("can_be_left_out") > 0)
        self._shift, self._avoids = -1, np.zeros((len(lines), len(plant.additives)), dtype=np.bool_)

    def chunk(self, shifts: list[int]) -> Booleans:
        """(heat, additive)"""
        out = np.empty((len(shifts), *self._avoids.shape), dtype=np.bool_)
        for step, shift in enumerate(shifts):
            if shift != self._shift:
                self._shift = shift
                self._avoids = np.array([self._of_line(int(line), shift) for line in self._lines])
            out[step] = self._avoids
        return out.reshape(-1, out.shape[-1])

    def _of_line(self, line: int, shift: int) -> Booleans:
        rng = generator(SHIFTS, self._seed, line, shift)
        avoided = np.zeros(self._avoids.shape[1], dtype=np.bool_)
        if len(self._choices) and rng.random() < self._rate:
            avoided[rng.choice(self._choices)] = True
        return avoided


def offers(
    plant: Catalogue,
    heats: ObservedHeats,
    is_wanted: Booleans,
    stock_kg: Floats | None = None,
    taken_share: Floats | float = 1.0,
) -> handbook.Offers:
    """What the bins offer to the rule for these heats."""
    is_offered = is_wanted & heats.is_offered & ~plant.is_forbidden[heats.grade]
    return handbook.Offers(
        assay_pct=heats.certificate_pct,
        stock_kg=np.full(len(plant.additives), np.inf) if stock_kg is None else stock_kg,
        max_kg=plant.per_additive("max_kg"),
        min_kg=np.zeros(len(plant.additives)),
        increment_kg=plant.per_additive("increment_kg"),
        is_offered=is_offered,
        taken_share=taken_share,
    )


def decide(
    plant: Catalogue,
    parameters: Parameters,
    station: str,
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
    p, temper = parameters, tempers.tapping if station == TAPPING else tempers.ladle
    distance = _distance(plant, station, heats, own_kg, shown_kg)
    chance = p.accept_least + p.accept_per_trust * p.trust
    chance *= np.exp(-max(0.0, distance - p.near_rel) / p.far_scale_rel)
    if temper.u_accept[0] < chance:
        return Decision(shown_kg.copy(), None, True)
    share = p.edit_least + (1 - p.edit_least) * temper.u_edit[0]
    edited = _in_bags(plant, shown_kg + share * (own_kg - shown_kg), _largest(plant, stock_kg))
    if np.allclose(edited, shown_kg):
        return Decision(shown_kg.copy(), None, True)
    reason = _reason(p, heats, tempers, temper, own_kg, shown_kg, distance)
    return Decision(edited, reason, False)


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
    plant: Catalogue, station: str, heats: ObservedHeats, own_kg: Floats, shown_kg: Floats
) -> float:
    """How far a recommendation is from his own figure:

    what it adds of the elements the grade asks for, by his recoveries, relative; to no less than a tenth of
    what the grade asks for, so that small trims are not far apart.
    """
    of = int(heats.grade[0]), int(heats.is_al_killed[0])
    bounds = plant.bounds(station)
    asked = ~np.isnan(bounds.min_pct[of])
    gives = heats.certificate_pct[0] * plant.nominal(station)[0][of] / 100
    own, shown = own_kg @ gives, shown_kg @ gives
    wanted = handbook.aims(bounds.min_pct[of], bounds.aim_pct[of], bounds.max_pct[of])
    size = np.maximum(own, wanted / 100 * heats.steel_mass_t[0] * 1000 / 10)
    return float(np.mean(np.abs(shown - own)[asked] / size[asked])) if asked.any() else 0.0


def _reason(
    p: Parameters,
    heats: ObservedHeats,
    tempers: Tempers,
    temper: Temper,
    own_kg: Floats,
    shown_kg: Floats,
    distance: float,
) -> str:
    """The code he would tick: one of those the contract knows."""
    price = heats.price_per_t[0]
    temperature = heats.temperature_c[0]
    if ((~heats.is_offered[0]) & (shown_kg > 0)).any():
        return "stock"
    if (tempers.avoids[0] & (shown_kg > 0)).any():
        return "practice"
    if own_kg @ price < 0.97 * (shown_kg @ price):
        return "cost"
    if 0 < temperature < p.tap_temperature_c - 1.5 * p.tap_temperature_sd_c and heats.oxygen_ppm[0] > 0:
        return "temperature"
    if distance > p.near_rel:
        return "chemistry"
    return "distrust" if temper.u_edit[0] < 0.5 else "practice"
