"""From X and additions to the predicted X': mean, interval, probability inside, slope per additive."""

from collections.abc import Sequence

import numpy as np

from model_service.abstention import judge
from model_service.confidence import probability_inside, stretch
from model_service.contracts import (
    Additive,
    ElementEstimate,
    Heat,
    Interval,
    LotEffect,
    Prediction,
    PredictionRequest,
    Remark,
    Temperature,
)
from model_service.model import Bundle
from model_service.outcome import Outcome, known_elements, outcome_of, sd_pct
from model_service.parameters import StationModel
from model_service.slow_state import Correction, base_pct, offers_of, slow_state
from model_service.temperature import by_name, predicted_temperature, temperature_after

_WORTH_SAYING = 0.002  # share of a lot's certificate


def predict(bundle: Bundle, request: PredictionRequest) -> Prediction:
    """Return the prediction for the additions asked about, or an abstention with its reasons."""
    heat = request.heat
    verdict = judge(bundle.parameters, heat, request.additives, request.additions)
    if verdict.station is None or verdict.reasons:
        return Prediction(
            status="abstained",
            treatment=heat.treatment,
            heat_revision=heat.revision,
            additions=request.additions,
            elements={},
            warnings=verdict.warnings,
            abstention_reasons=verdict.reasons,
            model=bundle.identity,
        )
    station = verdict.station
    elements = known_elements(station, heat)
    added = offers_of(request.additions, request.additives) or []
    offers = [*added, *(offer for offer in request.additives if offer not in added)]
    kilograms = [addition.added_kg for addition in request.additions] + [0.0] * (len(offers) - len(added))
    outcome = outcome_of(station, bundle.trees, heat, offers, elements)
    correction = slow_state(bundle, station, request.recent_heats, elements, heat.treatment.station, offers)
    outcome = correction.scattering(outcome)
    return Prediction(
        status="predicted",
        treatment=heat.treatment,
        heat_revision=heat.revision,
        additions=request.additions,
        elements=estimates(station, heat, outcome, correction, offers, kilograms),
        temperature=temperature(station, heat, outcome, offers, kilograms),
        warnings=[*verdict.warnings, *left_out(correction), *extrapolated(outcome, kilograms)],
        abstention_reasons=[],
        model=bundle.identity,
    )


def estimates(
    station: StationModel,
    heat: Heat,
    outcome: Outcome,
    correction: Correction,
    offers: Sequence[Additive],
    added_kg: Sequence[float],
) -> dict[str, ElementEstimate]:
    """Return every known element after `added_kg` kilograms of the offers.

    The interval is as wide as the last heats scatter, and narrower by what they tell of the recovery;
    `sd_pct` is not, so that who judges the base prediction by it is not told that a model gone wrong is
    merely unsure.
    """
    kilograms = np.asarray(added_kg, dtype=float)
    base, corrected = base_pct(outcome, kilograms).tolist(), correction.pct(outcome, kilograms).tolist()
    slopes, lots = correction.slope(outcome).T.tolist(), correction.lots.T.tolist()
    names = [offer.additive for offer in offers]
    added = kilograms @ outcome.added_per_kg
    deviation = sd_pct(outcome, added)
    usual = np.sqrt((deviation / correction.scatter) ** 2 + correction.recovery_told * added**2).tolist()
    deviation = deviation.tolist()
    # Of the steel that was told, not of what is believed: who edits kilograms knows that mass alone.
    growing = (np.sqrt(outcome.recovery_variance) * (heat.steel_mass_t / outcome.mass_t)).tolist()
    result = {}
    for e, element in enumerate(outcome.elements):
        model, sd = outcome.models[e], deviation[e]
        predicted, half = base[e] + corrected[e], model.interval_factor * sd
        window = heat.windows.get(element)
        stretched = sd * stretch(model.interval_factor, station.interval_level)
        result[element] = ElementEstimate(
            base_pct=base[e],
            correction_pct=corrected[e],
            predicted_pct=predicted,
            sd_pct=usual[e],
            interval_pct=Interval(
                level=station.interval_level,
                low=predicted - half,
                high=predicted + half,
                half_per_added_pct=model.interval_factor * growing[e],
            ),
            window=window,
            probability_inside=None if window is None else probability_inside(window, predicted, stretched),
            slope_pct_per_kg=by_name(names, slopes[e]),
            lots=lots_apart(offers, lots[e]) if any(lots[e]) else [],
        )
    return result


def temperature(
    station: StationModel, heat: Heat, outcome: Outcome, offers: Sequence[Additive], added_kg: Sequence[float]
) -> Temperature | None:
    """Return the steel temperature after additions, where the model has one and the reading can be."""
    after = temperature_after(station, heat, outcome.row, outcome.mass_t, offers)
    return None if after is None else predicted_temperature(after, offers, added_kg)


def left_out(correction: Correction) -> list[Remark]:
    """Warn of recent heats that could not be used."""
    if not correction.unusable:
        return []
    text = f"{correction.unusable} recent heats are of another station, or lack an assay or a possible mass"
    return [Remark(code="recent_heats_left_out", where="$.recent_heats", text=text)]


def extrapolated(outcome: Outcome, added_kg: Sequence[float]) -> list[Remark]:
    """Warn of elements of which more is added than in any heat of the training."""
    added = (np.asarray(added_kg, dtype=float) @ outcome.added_per_kg).tolist()
    return [
        Remark(
            code="addition_beyond_training",
            where=f"$.heat.windows.{element}",
            text=f"{added[e]:.4g} % of {element} is added; at most {model.added_high_pct:.4g} % in training",
        )
        for e, (element, model) in enumerate(zip(outcome.elements, outcome.models, strict=True))
        if model.added_high_pct is not None and added[e] > 1.1 * model.added_high_pct
    ]


def lots_apart(offers: Sequence[Additive], effects: Sequence[float]) -> list[LotEffect]:
    """Return the lots of which the last heats say that they hold more or less than certified."""
    return [
        LotEffect(additive=offer.additive, lot=offer.lot, content_change=effect)
        for offer, effect in zip(offers, effects, strict=True)
        if abs(effect) >= _WORTH_SAYING
    ]
