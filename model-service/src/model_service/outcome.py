"""The outcome of a heat as an affine function of the kilograms; equations in `parameters`."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_service import oxygen
from model_service.contracts import Additive, Analysis, Below, Heat, Window
from model_service.features import measured_pct
from model_service.parameters import ElementModel, StationModel, UsualFirst
from model_service.state import ElementState, believed_mass_t, element_state, state_row
from model_service.trees import Trees

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class Outcome(NamedTuple):
    """Elements are rows' names e, offers columns' names j; everything in wt % and kg.

    base_pct = constant_pct + kilograms @ slope; added_pct = kilograms @ added_per_kg. `oxygen_kg_t` is what
    there is to bind, None where no oxygen balance is modelled; burnt_pct + kilograms @ burnt_per_kg is what
    it takes, already in the constant and the slope.
    """

    elements: tuple[str, ...]
    models: tuple[ElementModel, ...]
    states: tuple[ElementState, ...]
    row: list[float]
    mass_t: float
    first_pct: Vector
    constant_pct: Vector
    slope: NDArray[np.float64]
    added_per_kg: NDArray[np.float64]
    variance: Vector
    recovery_variance: Vector
    oxygen_kg_t: float | None
    burnt_pct: Vector
    burnt_per_kg: NDArray[np.float64]


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
    models = tuple(station.elements[element] for element in elements)
    row = state_row(station, heat)
    states = tuple(element_state(station, model, trees, row) for model in models)
    mass_t = believed_mass_t(station, heat)

    firsts = [
        first_analysis(heat.chemistry.get(e), assumed_first(model, heat.grade))
        for e, model in zip(elements, models, strict=True)
    ]
    first = np.array(
        [believed_first(model, heat.grade, *found) for model, found in zip(models, firsts, strict=True)]
    )
    reference = np.array(
        [_reference_pct(heat.windows.get(e), pct) for e, (pct, _) in zip(elements, firsts, strict=True)]
    )
    assay = _assays(offers, elements)
    metallic = np.array([offer.metallic_yield for offer in offers], dtype=float)
    recovery = np.array([state.recovery for state in states])
    lost = _by_oxygen(station, heat, elements, models, np.any(assay > 0, axis=0))
    per_kg = 1.0 / (1000.0 * mass_t)
    bound = _assays(offers, lost.binders)
    # More of an element never leaves less of it, whatever oxygen takes.
    gain = assay * np.maximum(recovery - lost.own_share, 0.0) - bound @ lost.others_share.T
    return Outcome(
        elements=tuple(elements),
        models=models,
        states=states,
        row=row,
        mass_t=mass_t,
        first_pct=first,
        constant_pct=first + np.array([state.offset_pct for state in states]) - lost.constant_pct,
        slope=(gain - metallic[:, None] * reference) * per_kg,
        added_per_kg=assay * per_kg,
        variance=np.array(
            [model.noise_sd_pct**2 + sd**2 for model, (_, sd) in zip(models, firsts, strict=True)]
        )
        + (np.array([model.noise_share for model in models]) * reference) ** 2
        + lost.sd_pct**2,
        recovery_variance=np.array([model.recovery_sd**2 for model in models]),
        oxygen_kg_t=lost.oxygen_kg_t,
        burnt_pct=lost.constant_pct,
        burnt_per_kg=(assay * recovery - gain) * per_kg,
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


class _ByOxygen(NamedTuple):
    """What oxygen takes of each element, wt %: constant_pct + own_share x added + others_share @ added
    of the `binders`; `sd_pct` is what is not known of it."""

    constant_pct: Vector
    own_share: Vector
    others_share: NDArray[np.float64]
    sd_pct: Vector
    binders: list[str]
    oxygen_kg_t: float | None


def _by_oxygen(
    station: StationModel,
    heat: Heat,
    elements: Sequence[str],
    models: Sequence[ElementModel],
    is_offered: NDArray[np.bool_],
) -> _ByOxygen:
    """What no offer brings is not burnt either."""
    zero = np.zeros(len(elements))
    if station.oxygen is None:
        return _ByOxygen(zero, zero, np.zeros((len(elements), 0)), zero, [], None)
    binders = oxygen.elements_of(station.oxygen)
    lost = oxygen.debit(
        station.oxygen, oxygen.readings_of(heat, station.features), _needed_pct(heat, binders)
    )
    row = {p: i for i, p in enumerate(binders)}
    at = [row.get(e) if offered else None for e, offered in zip(elements, is_offered.tolist(), strict=True)]
    factor = np.array([0.0 if i is None else m.debit for i, m in zip(at, models, strict=True)])
    spread = np.array([0.0 if i is None else m.debit_sd for i, m in zip(at, models, strict=True)])
    which, own_at = [i or 0 for i in at], np.arange(len(at))
    share = factor[:, None] * lost.share[0][which]
    own = share[own_at, which]
    share[own_at, which] = 0.0
    usual_pct, constant_pct = lost.usual_pct[0][which], lost.constant_pct[0][which]
    return _ByOxygen(
        factor * constant_pct, own, share, spread * usual_pct, binders, float(lost.oxygen_kg_t[0])
    )


def _needed_pct(heat: Heat, elements: Sequence[str]) -> NDArray[np.float64]:
    """What additions must bring into the middle of each window, wt %, (1, e); 0 taken where not measured."""
    middles = [middle_pct(heat.windows.get(e)) for e in elements]
    firsts = [measured_pct(heat.chemistry.get(e)) or 0.0 for e in elements]
    return np.array(
        [[0.0 if m is None else max(m - first, 0.0) for m, first in zip(middles, firsts, strict=True)]]
    )


def _reference_pct(window: Window | None, first_pct: float) -> float:
    aim = aim_pct(window)
    return first_pct if aim is None else aim
