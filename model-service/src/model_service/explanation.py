"""Why a recovery differs from the nominal one, in words and shares."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model_service.contracts import Additive, RecoveryUsed
from model_service.outcome import Outcome, Vector, sd_pct
from model_service.parameters import StationModel
from model_service.slow_state import Correction
from model_service.state import slopes_of

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
    added = kilograms @ outcome.added_per_kg
    added_pct = added.tolist()
    gained_pct = (kilograms @ outcome.gain_per_kg).tolist()
    bias_pct, wandered = correction.bias_pct.tolist(), correction.recovery.tolist()
    by_lots = _of_lots(kilograms[:, None] * outcome.added_per_kg * correction.lots)
    telling = (added > _TELLING_SD * sd_pct(outcome, 0.0 * added)).tolist()
    result = {}
    for e, element in enumerate(outcome.elements):
        if added_pct[e] <= 0:
            continue
        model, state, named = outcome.models[e], outcome.states[e], nominal.get(element)
        burnt_pct = outcome.burnt_pct[e] + state.recovery * added_pct[e] - gained_pct[e]
        per_pct = 1.0 / added_pct[e] if telling[e] else 0.0
        reasons = []
        if named is not None:
            source = f"learnt from {station.heats} heats" if station.heats else "literature"
            reasons += _reason(source, model.recovery - named)
        if outcome.oxygen_kg_t is not None and burnt_pct > 0:
            reasons += _reason(f"oxygen to bind {outcome.oxygen_kg_t:.2f} kg/t", -per_pct * burnt_pct)
        reasons += _of_state(station, outcome, e, per_pct)
        reasons += _reason(f"last {correction.residuals[e]} heats", per_pct * bias_pct[e])
        reasons += _reason(f"recovery in the last {correction.residuals[e]} heats", wandered[e])
        used = state.recovery + wandered[e] + per_pct * (state.offset_pct - burnt_pct + bias_pct[e])
        for j, of_lot in by_lots[e]:
            used += of_lot / added_pct[e]
            lot = f"lot {offers[j].lot} of {offers[j].additive}" if offers[j].lot else offers[j].additive
            reasons += _reason(lot, of_lot / added_pct[e])
        result[element] = RecoveryUsed(
            used=used, nominal=named if named is not None else model.recovery, reasons=reasons
        )
    return result


def _of_lots(added_pct: NDArray[np.float64]) -> list[list[tuple[int, float]]]:
    """Return for each element the offers whose lots are off, and by how much of it (j, e)."""
    found: list[list[tuple[int, float]]] = [[] for _ in range(added_pct.shape[1])]
    which, elements = np.nonzero(added_pct)
    for j, e, pct in zip(which.tolist(), elements.tolist(), added_pct[which, elements].tolist(), strict=True):
        found[e].append((j, pct))
    return found


def _of_state(station: StationModel, outcome: Outcome, e: int, per_pct: float) -> list[str]:
    model, state = outcome.models[e], outcome.states[e]
    reasons = _reason("usual gain or loss beside the additions", model.offset_pct * per_pct)
    row = outcome.row
    for i, default, feature, recovery_slope, offset_slope in slopes_of(station, model):
        share = (recovery_slope + per_pct * offset_slope) * (row[i] - default)
        if abs(share) >= _WORTH_SAYING:
            reasons += _reason(_in_words(feature.name, row[i], feature.unit), share)
    return reasons + _reason("measurements together", state.tree_recovery + per_pct * state.tree_offset_pct)


def _reason(what: str, share: float) -> list[str]:
    """Say it where it is worth saying."""
    return [f"{what}: {share:+.3f}"] if abs(share) >= _WORTH_SAYING else []


def _in_words(name: str, value: float, unit: str) -> str:
    return f"{_words(name, unit)} {value:g} {unit}"


@lru_cache(maxsize=256)
def _words(name: str, unit: str) -> str:
    return " ".join(name.removesuffix("_" + unit.replace("/", "_").lower()).split("_"))
