"""Golden rows: requests whose answers a bundle promises to reproduce.

Compared are status, kilograms, predictions, recoveries, costs and what cannot be reached. Not compared: which
limits bind and their prices (duals; where several prices fit one optimum, another way there finds others),
words, and what a later version says beyond the row. So a bundle outlives what leaves its answers alone.

A later release of this package may choose other kilograms, and better ones, for the same model. So that the
bundles of the release before stay in service, one made with other sources is held to what its model means:
what is predicted for the kilograms of its rows.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from model_service.contracts import Addition, Prediction, PredictionRequest, RecommendationRequest
from model_service.manifest import Golden, GoldenRow
from model_service.model import Bundle
from model_service.prediction import predict
from model_service.recommendation import recommend

TOLERANCE = 1e-6
# Of the half width of the 90 % interval: far less than a steelmaker could tell apart.
SHIFT = 0.05
_NOT_COMPARED = {"limits", "stopped_by", "reasons", "text"}


def make_golden(bundle: Bundle, requests: Sequence[RecommendationRequest]) -> Golden:
    """Return the rows that `bundle` answers now."""
    return Golden(
        tolerance=TOLERANCE, rows=[GoldenRow(request=r, response=_answer(bundle, r)) for r in requests]
    )


def differences(bundle: Bundle, golden: Golden) -> Iterator[str]:
    """Yield where `bundle` answers otherwise: path, expected and found value."""
    for i, row in enumerate(golden.rows):
        yield from compare(
            row.response, _answer(bundle, row.request), f"$.rows[{i}].response", golden.tolerance
        )


def shifts(bundle: Bundle, golden: Golden) -> Iterator[str]:
    """Yield where `bundle`, made with other sources, predicts something else for the kilograms of a row."""
    for i, row in enumerate(golden.rows):
        yield from shift(row, predict(bundle, for_its_kilograms(row)), f"$.rows[{i}].response")


def for_its_kilograms(row: GoldenRow) -> PredictionRequest:
    """Return the question what becomes of a row's heat with the kilograms that the row recommends."""
    return PredictionRequest(
        heat=row.request.heat,
        additives=row.request.additives,
        additions=msgspec.convert(row.response["additions"], list[Addition]),
        recent_heats=row.request.recent_heats,
    )


def shift(row: GoldenRow, found: Prediction, where: str) -> Iterator[str]:
    """Yield where `found`, predicted for a row's own kilograms, is something else than the row says."""
    expected = row.response
    abstained = expected["status"] == "abstained"
    yield from compare("abstained" if abstained else "predicted", found.status, f"{where}.status", 0.0)
    for element, estimate in expected["elements"].items():
        here, was = f"{where}.elements.{element}.predicted_pct", estimate["predicted_pct"]
        half_width = (estimate["interval_pct"]["high"] - estimate["interval_pct"]["low"]) / 2
        now = found.elements.get(element)
        if now is None or abs(now.predicted_pct - was) > SHIFT * half_width:
            yield f"{here}: expected {was!r}, found {now and now.predicted_pct!r}"


def _answer(bundle: Bundle, request: RecommendationRequest) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.to_builtins(recommend(bundle, request))
    del answer["model"]
    return answer


def compare(expected: Any, found: Any, where: str, tolerance: float) -> Iterator[str]:
    """Yield where two answers differ by more than `tolerance`: path, expected and found value."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() - _NOT_COMPARED):
            yield from compare(expected.get(key), found.get(key), f"{where}.{key}", tolerance)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for i, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from compare(one, other, f"{where}[{i}]", tolerance)
    elif _is_number(expected) and _is_number(found):
        if not abs(expected - found) <= tolerance * max(1.0, abs(expected)):
            yield f"{where}: expected {expected!r}, found {found!r}"
    elif expected != found:
        yield f"{where}: expected {expected!r:.80}, found {found!r:.80}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
