"""The outcome of a heat as an affine function of the kilograms; equations in `parameters`."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_service import oxygen
from model_service.contracts import Additive, Analysis, Below, Heat, Window
from model_service.features import measured_pct
from model_service.parameters import ElementModel, StationModel, UsualFirst
from model_service.state import ElementState, believed_mass_t, element_states, state_row
from model_service.trees import Trees

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class Outcome(NamedTuple):
    """Elements are rows' names e, offers columns' names j; everything in wt % and kg.

    base_pct = constant_pct + kilograms @ slope; added_pct = kilograms @ added_per_kg. `oxygen_kg_t` is what
    there is to bind, None where no oxygen balance is modelled; it takes burnt_pct from the constant, and
    of what is added all that is not found again in kilograms @ gain_per_kg.
    """

    elements: tuple[str, ...]
    models: tuple[ElementModel, ...]
    states: list[ElementState]
    row: list[float]
    mass_t: float
    constant_pct: Vector
    slope: NDArray[np.float64]
    added_per_kg: NDArray[np.float64]
    variance: Vector
    recovery_variance: Vector
    oxygen_kg_t: float | None
    burnt_pct: list[float]
    gain_per_kg: NDArray[np.float64]


def known_elements(station: StationModel, heat: Heat) -> list[str]:
    """Return the modelled elements whose first analysis is measured, or wanted by a window and assumed."""
    return [
        element
        for element in sorted(station.elements)
        if heat.chemistry.get(element) is not None
        or _can_be_assumed(station.elements[element], element, heat)
    ]


def assumed_first(model: ElementModel, grade: str) -> UsualFirst | None:
    """Return what the first analysis of this grade is taken for where it was not measured."""
    usual = model.assumed_first
    return None if usual is None else usual.by_grade.get(grade, usual)


def _can_be_assumed(model: ElementModel, element: str, heat: Heat) -> bool:
    """Whether an answer that rests on the usual first analysis says anything: not where that strays further
    than the window is wide."""
    window, usual = heat.windows.get(element), assumed_first(model, heat.grade)
    if window is None or usual is None:
        return False
    return window.min is None or window.max is None or usual.sd_pct <= window.max - window.min


def outcome_of(
    station: StationModel, trees: Trees, heat: Heat, offers: Sequence[Additive], elements: Sequence[str]
) -> Outcome:
    """Return the outcome for `elements`, of which `known_elements` has made sure."""
    of, row, mass_t = (
        _constants(station, tuple(elements)),
        state_row(station, heat),
        believed_mass_t(station, heat),
    )
    states = element_states(station, of.elements, trees, row)
    firsts = [
        first_analysis(heat.chemistry.get(e), assumed_first(model, heat.grade))
        for e, model in zip(of.elements, of.models, strict=True)
    ]
    reference = [
        _reference_pct(heat.windows.get(e), pct) for e, (pct, _) in zip(of.elements, firsts, strict=True)
    ]
    assay = _assays(offers, of.held)
    lost = _by_oxygen(station, heat, of, np.any(assay[:, : len(states)] > 0, axis=0))
    # What stays of a percent held: more of an element never leaves less of it, whatever oxygen takes.
    stays = [[-share for share in shares] for shares in lost.share]
    for e, state in enumerate(states):
        stays[e][e] = max(state.recovery + stays[e][e], 0.0)
    per_kg = 1.0 / (1000.0 * mass_t)
    gain_per_kg = assay @ (per_kg * np.array(stays).reshape(len(states), len(of.held)).T)
    diluted = np.array([offer.metallic_yield * per_kg for offer in offers], dtype=float)
    return Outcome(
        elements=of.elements,
        models=of.models,
        states=states,
        row=row,
        mass_t=mass_t,
        constant_pct=np.array(
            [
                believed_first(model, heat.grade, *first) + state.offset_pct - burnt
                for model, first, state, burnt in zip(
                    of.models, firsts, states, lost.constant_pct, strict=True
                )
            ],
            dtype=float,
        ),
        slope=gain_per_kg - diluted[:, None] * np.array(reference, dtype=float),
        added_per_kg=per_kg * assay[:, : len(states)],
        variance=np.array(
            [
                model.noise_sd_pct**2 + sd**2 + (model.noise_share * pct) ** 2 + unsure**2
                for model, (_, sd), pct, unsure in zip(of.models, firsts, reference, lost.sd_pct, strict=True)
            ],
            dtype=float,
        ),
        recovery_variance=of.recovery_variance,
        oxygen_kg_t=lost.oxygen_kg_t,
        burnt_pct=lost.constant_pct,
        gain_per_kg=gain_per_kg,
    )


def _assays(offers: Sequence[Additive], elements: Sequence[str]) -> NDArray[np.float64]:
    """Return what each offer holds of each element (j, e), wt %."""
    held = [get(e, 0.0) for get in [offer.assay.get for offer in offers] for e in elements]
    return np.array(held, dtype=float).reshape(len(offers), len(elements))


def sd_pct(outcome: Outcome, added_pct: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation (wt %) where `added_pct` of each element is added."""
    deviation: NDArray[np.float64] = np.sqrt(outcome.variance + outcome.recovery_variance * added_pct**2)
    return deviation


def first_analysis(analysis: Analysis, usual: UsualFirst | None) -> tuple[float, float]:
    """Return first wt % and its further sd: measured, censored (uniform under the limit) or assumed."""
    measured = measured_pct(analysis)
    if measured is not None:
        return measured, analysis.below / math.sqrt(12) if isinstance(analysis, Below) else 0.0
    if usual is None:
        raise ValueError("the first analysis is neither measured nor assumed; known_elements leaves such out")
    return usual.pct, usual.sd_pct


def believed_first(model: ElementModel, grade: str, pct: float, sd_pct: float) -> float:
    """Return what a first analysis is believed to say: a sample errs, and what heats of the grade usually
    come with is known. Where there was no plain reading (it has an sd), `pct` is the belief already."""
    usual = model.first_readings.get(grade)
    if usual is None or sd_pct:
        return pct
    towards = (1.0 - usual.trust) * (usual.pct - pct)
    return pct + min(max(towards, -usual.most_pct), usual.most_pct)


def aim_pct(window: Window | None) -> float | None:
    """Return the aim; else the middle of the window; else its minimum; None where it only has a maximum."""
    if window is None:
        return None
    if window.aim is not None:
        return window.aim
    if window.min is not None and window.max is not None:
        return (window.min + window.max) / 2
    return window.min


def middle_pct(window: Window | None) -> float | None:
    """Return the middle of the window; where one limit is missing, its aim or its minimum."""
    if window is None or window.min is None or window.max is None:
        return aim_pct(window)
    return (window.min + window.max) / 2


class _Constants(NamedTuple):
    """What follows from a station and some of its elements: their models; the elements and what else binds
    oxygen, together `held`; for each element its place among the binders, or None."""

    elements: tuple[str, ...]
    models: tuple[ElementModel, ...]
    recovery_variance: Vector
    binders: tuple[str, ...]
    held: tuple[str, ...]
    place: list[int | None]


@lru_cache(maxsize=256)
def _constants(station: StationModel, elements: tuple[str, ...]) -> _Constants:
    models = tuple(station.elements[element] for element in elements)
    binders = () if station.oxygen is None else tuple(oxygen.elements_of(station.oxygen))
    return _Constants(
        elements,
        models,
        np.array([model.recovery_sd**2 for model in models], dtype=float),
        binders,
        (*elements, *(binder for binder in binders if binder not in elements)),
        [binders.index(e) if e in binders else None for e in elements],
    )


class _ByOxygen(NamedTuple):
    """What oxygen takes of each element, wt %: constant_pct + share @ what is added of all that is held;
    `sd_pct` is what is not known of it."""

    constant_pct: list[float]
    share: list[list[float]]
    sd_pct: list[float]
    oxygen_kg_t: float | None


def _by_oxygen(station: StationModel, heat: Heat, of: _Constants, is_offered: NDArray[np.bool_]) -> _ByOxygen:
    """What no offer brings is not burnt either."""
    found = _ByOxygen(
        [0.0] * len(of.elements),
        [[0.0] * len(of.held) for _ in of.elements],
        [0.0] * len(of.elements),
        None,
    )
    if station.oxygen is None:
        return found
    readings = oxygen.readings_of(heat, station.features)
    lost = oxygen.debit(station.oxygen, readings, _needed_pct(heat, of.binders))
    columns = [of.held.index(binder) for binder in of.binders]
    for e, (model, place, offered) in enumerate(zip(of.models, of.place, is_offered.tolist(), strict=True)):
        if place is not None and offered:
            found.constant_pct[e] = model.debit * lost.constant_pct[place]
            found.sd_pct[e] = model.debit_sd * lost.usual_pct[place]
            for column, share in zip(columns, lost.share[place], strict=True):
                found.share[e][column] = model.debit * share
    return found._replace(oxygen_kg_t=lost.oxygen_kg_t)


def _needed_pct(heat: Heat, elements: Sequence[str]) -> list[float]:
    """What additions must bring into the middle of each window, wt % (e); 0 taken where not measured."""
    middles = [middle_pct(heat.windows.get(e)) for e in elements]
    firsts = [measured_pct(heat.chemistry.get(e)) or 0.0 for e in elements]
    return [0.0 if m is None else max(m - first, 0.0) for m, first in zip(middles, firsts, strict=True)]


def _reference_pct(window: Window | None, first_pct: float) -> float:
    aim = aim_pct(window)
    return first_pct if aim is None else aim
