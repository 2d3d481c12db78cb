"""From an event to a row of the lake's `heats` table: pure, and the only place that knows both shapes."""

from collections.abc import Mapping
from typing import Any, TypedDict, TypeVar

from monitoring.events import (
    Addition,
    Additive,
    Analysis,
    Below,
    Estimate,
    Event,
    Heat,
    HeatCompleted,
    Recommendation,
    Sample,
    ShadowEvent,
    SlopedEstimate,
    WeighedAddition,
)

Row = dict[str, Any]
Revised = TypeVar("Revised", WeighedAddition, Sample)


class Origin(TypedDict):
    """Where an event stood on the bus: the stream's identity (name, creation time) and the sequence in it."""

    stream: str
    stream_seq: int


def row_of(event: Event, origin: Origin) -> Row:
    """Return the row of `event`: every column of the table; lists are empty where there is nothing.

    Of additions and samples with the same id only the highest revision is kept: the one in force.
    `shown_at` is kept only where the recommendation that was decided on is the one in the row: otherwise it
    was not this one that was seen.
    """
    data = event.data
    return {
        "event_id": event.id,
        "origin": "bus",
        **origin,
        "plant_id": data.treatment.plant_id,
        "heat_uid": data.treatment.heat_uid,
        "station": data.treatment.station,
        "treatment_no": data.treatment.treatment_no,
        "revision": data.revision,
        "heat_no": data.heat_no,
        "completed_at": data.completed_at,
        "available_at": data.available_at,
        **_x(data.x.heat),
        "additives": [_additive(additive) for additive in data.x.additives],
        **_y(data.y),
        **_y_prime(data),
        "samples": [_sample(sample) for sample in _in_force(data.x_prime.samples)],
    }


def shadow_row_of(event: ShadowEvent, origin: Origin) -> Row:
    """Return the row of what a shadow recommended: every column of the table `shadows`."""
    treatment, made = event.data.treatment, event.data.recommendation
    return {
        "event_id": event.id,
        **origin,
        "plant_id": treatment.plant_id,
        "heat_uid": treatment.heat_uid,
        "station": treatment.station,
        "treatment_no": treatment.treatment_no,
        "recommendation_id": made.recommendation_id,
        "made_at": made.made_at,
        "model_version": made.model_version,
        "bundle_hash": made.bundle_hash,
        "image_digest": made.image_digest,
        "recommended": _additions(made.additions),
        "recommended_cost": made.cost.amount if made.cost else None,
        "currency": made.cost.currency if made.cost else None,
        "predicted": _estimates(made.answer.elements),
        "slopes": _slopes(made.answer.elements),
    }


def weighed_cost(data: HeatCompleted) -> tuple[float | None, str | None]:
    """Return what the weighed additions cost at the prices of the heat, and the currency of the row's costs.

    An addition takes the price of its lot, else of its additive. The cost is None where it is not known in
    full (a price is missing, or in another currency than Y's): a part of it would look like a cheap heat.
    Nothing weighed costs nothing only where the steelmaker decided to add nothing; else the weighing is
    missing.
    """
    weighed, decision = _in_force(data.y_prime.weighed), data.y_prime.decision
    by_additive = {additive.additive: additive.price_per_t for additive in data.x.additives}
    by_lot = {(additive.additive, additive.lot): additive.price_per_t for additive in data.x.additives}
    prices = [
        by_lot.get((tipped.additive, tipped.lot), by_additive.get(tipped.additive)) for tipped in weighed
    ]
    currencies = {price.currency for price in prices if price}
    currency = data.y.cost.currency if data.y and data.y.cost else min(currencies, default=None)
    if not weighed:
        nothing_to_weigh = decision is not None and not any(tipped.added_kg for tipped in decision.additions)
        return (0.0 if nothing_to_weigh and currency else None), currency
    if None in prices or currencies != {currency}:
        return None, currency
    return sum(t.added_kg * p.amount / 1000 for t, p in zip(weighed, prices, strict=True) if p), currency


def _x(heat: Heat) -> Row:
    slag = heat.slag
    return {
        "grade": heat.grade,
        "registered_at": heat.registered_at,
        "windows": [
            {"element": element, "min_pct": window.min, "aim_pct": window.aim, "max_pct": window.max}
            for element, window in heat.windows.items()
        ],
        "steel_mass_t": heat.steel_mass_t,
        "temperature_c": heat.temperature_c,
        "oxygen_ppm": heat.oxygen_ppm,
        "slag_carry_over_kg_t": slag.carry_over_kg_t if slag else None,
        "slag": _analyses("oxide", slag.oxides) if slag else [],
        "features": [{"name": name, "value": value} for name, value in heat.features.items()],
        "chemistry": _analyses("element", heat.chemistry),
    }


def _y(y: Recommendation | None) -> Row:
    """Columns of Y. The answer of the model service predicts for Y only where Y is the model's."""
    if y is None:
        return {
            "recommendation_id": None,
            "recommendation_source": None,
            "model_version": None,
            "bundle_hash": None,
            "image_digest": None,
            "recommended_at": None,
            "recommended": [],
            "recommended_cost": None,
            "recommended_predicted": [],
            "handbook": [],
            "handbook_cost": None,
        }
    from_handbook = y.source == "handbook"
    answered = y.answer.handbook if y.answer else None
    return {
        "recommendation_id": y.recommendation_id,
        "recommendation_source": y.source,
        "model_version": y.model_version,
        "bundle_hash": y.bundle_hash,
        "image_digest": y.image_digest,
        "recommended_at": y.made_at,
        "recommended": _additions(y.additions),
        "recommended_cost": y.cost.amount if y.cost else None,
        "recommended_predicted": _estimates(y.answer.elements) if y.answer and not from_handbook else [],
        "handbook": _additions(y.additions if from_handbook else answered.additions if answered else []),
        "handbook_cost": _handbook_cost(y),
    }


def _handbook_cost(y: Recommendation) -> float | None:
    if y.source == "handbook":
        return y.cost.amount if y.cost else None
    return y.answer.handbook.cost.amount if y.answer and y.answer.handbook else None


def _y_prime(data: HeatCompleted) -> Row:
    decision, prediction = data.y_prime.decision, data.y_prime.prediction
    cost, currency = weighed_cost(data)
    return {
        "decision_id": decision.decision_id if decision else None,
        "decision_revision": decision.revision if decision else None,
        "decided_recommendation_id": decision.recommendation_id if decision else None,
        "decided_at": decision.decided_at if decision else None,
        "decided_by": decision.decided_by if decision else None,
        "shown_at": decision.shown_at if decision else None,
        "reason_code": decision.reason_code if decision else None,
        "decision_note": decision.note if decision else None,
        "decided": _additions(decision.additions) if decision else [],
        "weighed": [
            {
                "addition_id": tipped.addition_id,
                "revision": tipped.revision,
                "additive": tipped.additive,
                "lot": tipped.lot,
                "added_kg": tipped.added_kg,
                "weighed_at": tipped.weighed_at,
                "available_at": tipped.available_at,
            }
            for tipped in _in_force(data.y_prime.weighed)
        ],
        "weighed_cost": cost,
        "currency": currency,
        "weighed_predicted": _estimates(prediction.elements) if prediction else [],
        "weighed_bundle_hash": prediction.model.bundle_hash if prediction else None,
    }


def _additive(additive: Additive) -> Row:
    return {
        "additive": additive.additive,
        "lot": additive.lot,
        "assay": [{"element": element, "pct": pct} for element, pct in additive.assay.items()],
        "price_per_t": additive.price_per_t.amount,
        "currency": additive.price_per_t.currency,
        "price_valid_from": additive.price_per_t.valid_from,
        "stock_kg": additive.stock_kg,
        "min_kg": additive.min_kg,
        "max_kg": additive.max_kg,
        "increment_kg": additive.increment_kg,
        "metallic_yield": additive.metallic_yield,
        "chill_c_per_kg_t": additive.chill_c_per_kg_t,
    }


def _sample(sample: Sample) -> Row:
    return {
        "sample_id": sample.sample_id,
        "revision": sample.revision,
        "is_final": sample.is_final,
        "sampled_at": sample.sampled_at,
        "analysed_at": sample.analysed_at,
        "available_at": sample.available_at,
        "steel_mass_t": sample.steel_mass_t,
        "temperature_c": sample.temperature_c,
        "chemistry": _analyses("element", sample.chemistry),
    }


def _additions(additions: list[Addition]) -> list[Row]:
    return [
        {"additive": addition.additive, "lot": addition.lot, "added_kg": addition.added_kg}
        for addition in additions
    ]


def _estimates(elements: Mapping[str, Estimate]) -> list[Row]:
    return [
        {
            "element": element,
            "base_pct": estimate.base_pct,
            "correction_pct": estimate.correction_pct,
            "predicted_pct": estimate.predicted_pct,
            "sd_pct": estimate.sd_pct,
            "low_pct": estimate.interval_pct.low,
            "high_pct": estimate.interval_pct.high,
        }
        for element, estimate in elements.items()
    ]


def _slopes(elements: dict[str, SlopedEstimate]) -> list[Row]:
    return [
        {"element": element, "additive": additive, "pct_per_kg": slope}
        for element, estimate in elements.items()
        for additive, slope in estimate.slope_pct_per_kg.items()
    ]


def _analyses(key: str, analyses: dict[str, Analysis]) -> list[Row]:
    return [
        {
            key: name,
            "pct": None if isinstance(found, Below) else found,
            "below_pct": found.below if isinstance(found, Below) else None,
        }
        for name, found in analyses.items()
    ]


def _in_force(revised: list[Revised]) -> list[Revised]:
    """Keep the highest revision of each id."""
    latest: dict[str, Revised] = {}
    for one in revised:
        key = one.sample_id if isinstance(one, Sample) else one.addition_id
        if key not in latest or latest[key].revision <= one.revision:
            latest[key] = one
    return list(latest.values())
