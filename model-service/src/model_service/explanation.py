"""Why a recovery differs from the nominal one, in words and shares."""

from collections.abc import Sequence

import numpy as np

from model_service.contracts import Additive, RecoveryUsed
from model_service.outcome import Outcome, Vector, sd_pct
from model_service.parameters import StationModel
from model_service.slow_state import Correction

_TELLING_SD = 5.0  # a recovery is told with what offsets do to it only where this many sd are added
_WORTH_SAYING = 0.0005


def recoveries_used(
    station: StationModel,
    outcome: Outcome,
    correction: Correction,
    offers: Sequence[Additive],
    kilograms: Vector,
    nominal: dict[str, float],
) -> dict[str, RecoveryUsed]:
    """Return the recovery of every element that is added: the share of it that the prediction finds again.

    Where much is added it includes offsets and slow state, as a plant's own recovery does; else it is the
    alloy's share alone.
    """
    added_pct = kilograms @ outcome.added_per_kg
    burnt_pct = outcome.burnt_pct + kilograms @ outcome.burnt_per_kg
    by_lots = kilograms[:, None] * outcome.added_per_kg * correction.lots
    telling = added_pct > _TELLING_SD * sd_pct(outcome, 0.0 * added_pct)
    result = {}
    for e, element in enumerate(outcome.elements):
        if added_pct[e] <= 0:
            continue
        per_pct = 1.0 / float(added_pct[e]) if telling[e] else 0.0
        parts = _parts(station, outcome, correction, e, per_pct)
        if outcome.oxygen_kg_t is not None and burnt_pct[e] > 0:
            what = f"oxygen to bind {outcome.oxygen_kg_t:.2f} kg/t"
            parts.insert(0, (what, -per_pct * float(burnt_pct[e])))
        model, named = outcome.models[e], nominal.get(element)
        if named is not None:
            source = f"learnt from {station.heats} heats" if station.heats else "literature"
            parts.insert(0, (source, model.recovery - named))
        used = outcome.states[e].recovery + per_pct * (
            outcome.states[e].offset_pct - float(burnt_pct[e]) + float(correction.bias_pct[e])
        )
        for j in map(int, np.flatnonzero(by_lots[:, e])):
            offer, share = offers[j], float(by_lots[j, e] / added_pct[e])
            used += share
            parts.append((f"lot {offer.lot} of {offer.additive}" if offer.lot else offer.additive, share))
        result[element] = RecoveryUsed(
            used=used,
            nominal=named if named is not None else model.recovery,
            reasons=[f"{what}: {share:+.3f}" for what, share in parts if abs(share) >= _WORTH_SAYING],
        )
    return result


def _parts(
    station: StationModel, outcome: Outcome, correction: Correction, e: int, per_pct: float
) -> list[tuple[str, float]]:
    model, state = outcome.models[e], outcome.states[e]
    parts = [("usual gain or loss beside the additions", model.offset_pct * per_pct)]
    for feature, value in zip(station.features, outcome.row, strict=True):
        slope = model.recovery_slopes.get(feature.name, 0.0) + per_pct * model.offset_slopes.get(
            feature.name, 0.0
        )
        if slope != 0.0:
            parts.append((_in_words(feature.name, value, feature.unit), slope * (value - feature.default)))
    parts.append(("measurements together", state.tree_recovery + per_pct * state.tree_offset_pct))
    parts.append((f"last {correction.residuals[e]} heats", per_pct * float(correction.bias_pct[e])))
    return parts


def _in_words(name: str, value: float, unit: str) -> str:
    plain: Sequence[str] = name.removesuffix("_" + unit.replace("/", "_").lower()).split("_")
    return f"{' '.join(plain)} {value:g} {unit}"
