"""Heats at one station from every side, and do(Y) on them."""

from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import numpy as np

from plant_simulator import instruments, ladle_furnace, tapping
from plant_simulator.catalogue import TAPPING, Catalogue
from plant_simulator.elements import Booleans, Floats, Integers
from plant_simulator.hidden import HiddenHeats
from plant_simulator.instruments import ObservedHeats, ObservedResults, ResultNoise
from plant_simulator.ladle_furnace import HiddenLadles
from plant_simulator.parameters import Parameters
from plant_simulator.tables import rows
from plant_simulator.tapping import HiddenResults

ROUNDING_PCT = 1e-9


@dataclass(frozen=True)
class Cases:
    """Treatments of heats at `station`. `hidden` and `noise` are the door that only reference policies go
    through.

    `steelmaker_kg` is what he decided in this heat. `dissolution_before` is what the heat before on the same
    line had for `undissolved_factor` at each station (heat, station, element), NaN in a line's first heat.
    """

    station: str
    heats: HiddenHeats
    hidden: HiddenHeats | HiddenLadles
    noise: ResultNoise
    observed: ObservedHeats
    steelmaker_kg: Floats
    dissolution_before: Floats

    def __len__(self) -> int:
        return len(self.observed.heat_no)


def part_of(cases: Cases, index: slice | Integers | Booleans) -> Cases:
    """Some of the treatments."""
    sides: dict[str, Any] = {name: value for name, value in vars(cases).items() if name != "station"}
    parts: dict[str, Any] = {k: rows(v, index) if is_dataclass(v) else v[index] for k, v in sides.items()}
    return replace(cases, **parts)


@dataclass(frozen=True)
class Outcome:
    """What became of decided additions: what fell, the truth, and its readings."""

    decided_kg: Floats
    tipped_kg: Floats
    results: HiddenResults
    observed: ObservedResults


@dataclass(frozen=True)
class Score:
    """Per heat: cost of what was tipped, and whether every window was held, in truth and by the final
    sample.
    """

    cost: Floats
    steel_mass_t: Floats
    in_window: Booleans
    in_window_by_sample: Booleans

    def total_per_t(self, miss_price: float) -> Floats:
        """Cost per tonne with a price for each true miss."""
        total: Floats = (self.cost + miss_price * ~self.in_window) / self.steel_mass_t
        return total


def treat(
    plant: Catalogue, parameters: Parameters, hidden: HiddenHeats | HiddenLadles, tipped_kg: Floats
) -> HiddenResults:
    """The truth after these kilograms were really tipped, at the station of the hidden heats."""
    if isinstance(hidden, HiddenLadles):
        return ladle_furnace.ladle_furnace(plant, parameters, hidden, tipped_kg).metal
    return tapping.tap(plant, parameters, hidden, tipped_kg)


def do(plant: Catalogue, parameters: Parameters, cases: Cases, decided_kg: Floats) -> Outcome:
    """do(Y): these heats with these kilograms. The same heats and kilograms give the same outcome, always."""
    tipped = instruments.tip(parameters, decided_kg, cases.noise)
    results = treat(plant, parameters, cases.hidden, tipped)
    observed = instruments.observe_after(parameters, results, tipped, cases.noise)
    return Outcome(decided_kg, tipped, results, observed)


def windows_of(plant: Catalogue, cases: Cases) -> tuple[Floats, Floats]:
    """Min and max of each heat (heat, element; wt %), NaN where there is none."""
    bounds = plant.bounds(cases.station)
    which = cases.observed.grade, cases.observed.is_al_killed
    return bounds.min_pct[which], bounds.max_pct[which]


def most_kg(plant: Catalogue, cases: Cases) -> Floats:
    """What may be tipped of each additive at most (heat, additive): none of what is forbidden or not in its
    bin.
    """
    step = plant.per_additive("increment_kg")
    largest = np.floor(plant.per_additive("max_kg") / step) * step
    return np.where(cases.observed.is_offered & ~plant.is_forbidden[cases.observed.grade], largest, 0.0)


def score(plant: Catalogue, cases: Cases, outcome: Outcome) -> Score:
    """Judge an outcome against the windows of the station: all that have one, jointly."""
    low, high = windows_of(plant, cases)

    def holds(pct: Floats) -> Booleans:
        outside: Booleans = (pct < low - ROUNDING_PCT) | (pct > high + ROUNDING_PCT)
        holds_all: Booleans = np.logical_not(outside.any(axis=1))
        return holds_all

    return Score(
        cost=(outcome.tipped_kg * cases.hidden.price_per_t).sum(axis=1) / 1000,
        steel_mass_t=cases.heats.steel_mass_t,
        in_window=holds(outcome.results.chemistry_pct),
        in_window_by_sample=holds(outcome.observed.chemistry_pct),
    )


def is_tapping(cases: Cases) -> bool:
    return cases.station == TAPPING
