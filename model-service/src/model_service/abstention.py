"""When to say nothing: a heat outside what the model has seen, contradictory, or lacking what is needed.

A reading that no instrument can mean (temperature 0, oxygen 9999) only counts as missing, with a warning.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from model_service.contracts import Addition, Additive, Heat, Remark, Slug
from model_service.features import PLAUSIBLE, feature_values, measured_pct, path_of, raw_reading
from model_service.outcome import assumed_first, known_elements
from model_service.parameters import Parameters, StationModel
from model_service.slow_state import MOST_KG_PER_T, offers_of

_MARGIN = 0.25  # share of a training range by which a reading may lie outside before we abstain
_MASS_MARGIN = 1.2  # factor by which the steel mass may lie outside
_MOST_PER_T = 1e12  # of any currency
_FINEST_KG = 0.001
_SUM_PCT = 100.5  # rounding of analyses


class Verdict(NamedTuple):
    """`station` is None, or `reasons` not empty, where the model must not answer."""

    station: StationModel | None
    reasons: list[Remark]
    warnings: list[Remark]


def judge(
    parameters: Parameters, heat: Heat, offers: Sequence[Additive], additions: Sequence[Addition] | None
) -> Verdict:
    """Judge whether the model may answer; `additions` None asks for a recommendation, which needs windows."""
    name = heat.treatment.station
    station = parameters.stations.get(name)
    if station is None:
        known = ", ".join(sorted(parameters.stations)) or "none"
        text = f"the model knows no station {name}; it knows {known}"
        return Verdict(None, [_remark("station_not_modelled", "$.heat.treatment.station", text)], [])
    values = feature_values(heat, [feature.name for feature in station.features])
    measured = known_elements(station, heat)
    reasons = [*_contradictions(heat, offers), *_outside(station, heat, values)]
    if additions is None:
        reasons += [*_windows_missing(heat, measured), *_prices(offers), *_not_known(station, heat, measured)]
    elif sum(addition.added_kg for addition in additions) > MOST_KG_PER_T * heat.steel_mass_t:
        text = f"more is added than {MOST_KG_PER_T:g} kg per tonne of steel"
        reasons.append(_remark("additions_impossible", "$.additions", text))
    elif offers_of(additions, offers) is None:
        offered = {offer.additive for offer in offers}
        reasons += [
            _remark(
                "additive_not_offered",
                f"$.additions[{i}]",
                f"no assay: {addition.additive} is not in additives",
            )
            for i, addition in enumerate(additions)
            if addition.additive not in offered
        ]
    elif not measured:
        reasons.append(
            _remark("not_measured", "$.heat.chemistry", "no element that the model knows is measured")
        )
    return Verdict(
        station, reasons, [*_missing_readings(station, heat, values), *_assumed(station, heat, measured)]
    )


def _contradictions(heat: Heat, offers: Sequence[Additive]) -> Iterator[Remark]:
    for element, window in heat.windows.items():
        bounds = [bound for bound in (window.min, window.aim, window.max) if bound is not None]
        if bounds != sorted(bounds):
            found = f"min {window.min}, aim {window.aim}, max {window.max} %"
            text = f"{element}: {found}; min <= aim <= max is needed"
            yield _remark("window_contradictory", f"$.heat.windows.{element}", text)
    total = sum(measured_pct(analysis) or 0.0 for analysis in heat.chemistry.values())
    if total > _SUM_PCT:
        yield _remark(
            "chemistry_contradictory", "$.heat.chemistry", f"the analysis sums to {total:.4g} %, above 100"
        )
    seen: set[tuple[str, str | None]] = set()
    for i, offer in enumerate(offers):
        total = sum(offer.assay.values())
        if total > _SUM_PCT:
            text = f"the assay of {offer.additive} sums to {total:.4g} %, above 100"
            yield _remark("assay_contradictory", f"$.additives[{i}].assay", text)
        if offer.increment_kg < _FINEST_KG:
            text = (
                f"{offer.additive}: steps of {offer.increment_kg:g} kg; at least {_FINEST_KG:g} kg is needed"
            )
            yield _remark("increment_impossible", f"$.additives[{i}].increment_kg", text)
        if offer.price_per_t.amount > _MOST_PER_T:
            text = f"{offer.additive}: {offer.price_per_t.amount:g} per tonne is no price"
            yield _remark("price_impossible", f"$.additives[{i}].price_per_t.amount", text)
        if (offer.additive, offer.lot) in seen:
            text = f"{offer.additive}, lot {offer.lot} is offered twice"
            yield _remark("additive_twice", f"$.additives[{i}]", text)
        seen.add((offer.additive, offer.lot))


def _outside(station: StationModel, heat: Heat, values: Sequence[float]) -> Iterator[Remark]:
    mass = station.steel_mass_t
    if not mass.low / _MASS_MARGIN <= heat.steel_mass_t <= mass.high * _MASS_MARGIN:
        yield _outside_remark(
            "steel mass", "$.heat.steel_mass_t", heat.steel_mass_t, mass.low, mass.high, "t"
        )
    for feature, value in zip(station.features, values, strict=True):
        if not math.isnan(value) and not _within(value, feature.low, feature.high):
            where, unit = path_of(feature.name), feature.unit
            yield _outside_remark(feature.name, where, value, feature.low, feature.high, unit)
    for element in sorted(heat.windows.keys() & station.elements.keys()):
        first, seen = measured_pct(heat.chemistry.get(element)), station.elements[element].first_range
        if first is not None and not _within(first, seen.low, seen.high):
            yield _outside_remark(element, f"$.heat.chemistry.{element}", first, seen.low, seen.high, "%")


def _windows_missing(heat: Heat, known: Sequence[str]) -> Iterator[Remark]:
    limited = {e for e, window in heat.windows.items() if window.min is not None or window.max is not None}
    if limited and limited.isdisjoint(known):
        text = "no element with a window is both measured and known to the model"
        yield _remark("nothing_to_judge", "$.heat.windows", text)
    if not limited:
        yield _remark(
            "no_windows", "$.heat.windows", "no element has a min or a max, so there is nothing to reach"
        )


def _prices(offers: Sequence[Additive]) -> Iterator[Remark]:
    currencies = sorted({offer.price_per_t.currency for offer in offers})
    if len(currencies) > 1:
        text = f"prices are in {', '.join(currencies)}; one currency is needed"
        yield _remark("currencies_differ", "$.additives", text)


def _not_known(station: StationModel, heat: Heat, known: Sequence[str]) -> Iterator[Remark]:
    for element, window in sorted(heat.windows.items()):
        if element in known or (window.min is None and window.max is None):
            continue
        if element not in station.elements:
            first = measured_pct(heat.chemistry.get(element))
            if window.min is not None and (first is None or first < window.min):
                text = f"{element} has a minimum and the model knows nothing of {element} at this station"
                yield _remark("element_not_modelled", f"$.heat.windows.{element}", text)
        elif window.min is not None:
            text = f"{element} has a minimum, but is not measured before additions and has no usual value"
            yield _remark("not_measured", f"$.heat.chemistry.{element}", text)


def _missing_readings(station: StationModel, heat: Heat, values: Sequence[float]) -> Iterator[Remark]:
    for name, (low, high) in PLAUSIBLE.items():
        reading = raw_reading(heat, name)
        if reading is not None and not low <= reading <= high:
            text = f"{name} {reading:g} cannot be (possible: {low:g} to {high:g}); treated as missing"
            yield _remark("reading_impossible", path_of(name), text)
    for feature, value in zip(station.features, values, strict=True):
        if math.isnan(value):
            text = (
                f"{_spoken(feature.name)} not measured; the usual {feature.default:g} {feature.unit} is taken"
            )
            yield _remark("reading_missing", path_of(feature.name), text)
        elif not feature.low <= value <= feature.high:
            text = (
                f"{feature.name} {value:g} is a little outside {feature.low:g} to {feature.high:g} "
                f"{feature.unit} seen in training; the nearest seen is taken"
            )
            yield _remark("reading_at_edge", path_of(feature.name), text)


def _spoken(feature: str) -> str:
    """`slag_feo_pct` as a person reads it; the unit stands beside the value."""
    return re.sub(r"_(pct|ppm|t|c|kg_t|min|kwh)$", "", feature).replace("_", " ")


def _assumed(station: StationModel, heat: Heat, known: Sequence[str]) -> Iterator[Remark]:
    for element, window in sorted(heat.windows.items()):
        model, is_known = station.elements.get(element), element in known
        if is_known and heat.chemistry.get(element) is not None:
            continue
        usual = None if model is None else assumed_first(model, heat.grade)
        if is_known and usual:
            text = f"{element} is not measured; {usual.pct:g} % is assumed, which widens its interval"
            yield _remark("first_analysis_assumed", f"$.heat.chemistry.{element}", text)
        elif not is_known and window.max is not None:
            why = "not measured" if model else "not modelled"
            yield _remark(
                "element_not_judged", f"$.heat.windows.{element}", f"{element} is {why}, so not judged"
            )


def _within(value: float, low: float, high: float) -> bool:
    margin = _MARGIN * (high - low)
    return low - margin <= value <= high + margin


def _outside_remark(what: str, where: str, value: float, low: float, high: float, unit: str) -> Remark:
    text = f"{what} {value:g} {unit} is outside {low:g} to {high:g} {unit} seen in training"
    return _remark("outside_training_range", where, text)


def _remark(code: Slug, where: str, text: str) -> Remark:
    return Remark(code=code, where=where[:200], text=text[:500])
