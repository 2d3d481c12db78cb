"""Requests as bytes. A finished heat comes in up to thirty requests in a row, and is decoded once.

What comes out is what `documents.decode` gives: only work is remembered, and no answer depends on it.
"""

from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, field
from msgspec.structs import replace

from model_service.contracts import PredictionRequest, RecentHeat, RecommendationRequest
from model_service.documents import decode

_REMEMBERED = 1024  # heats, of a few kilobytes each
_Raws = Annotated[list[Raw], Meta(max_length=30)]


def recommendation_request(body: bytes) -> RecommendationRequest:
    """Return `body` as a request; raises what `documents.decode` raises."""
    try:
        request = _recommendation.decode(body)
        recent = [_recent_heat(bytes(raw)) for raw in request.recent_heats]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return decode(body, RecommendationRequest)  # which says what is wrong, and where
    return replace(request, recent_heats=recent)


def prediction_request(body: bytes) -> PredictionRequest:
    """Return `body` as a request; raises what `documents.decode` raises."""
    try:
        request = _prediction.decode(body)
        recent = [_recent_heat(bytes(raw)) for raw in request.recent_heats]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return decode(body, PredictionRequest)
    return replace(request, recent_heats=recent)


def forget() -> None:
    """Forget all heats, as a new process would."""
    _recent_heat.cache_clear()


class _Recommendation(RecommendationRequest, frozen=True, kw_only=True, gc=False):
    recent_heats: _Raws = field(default_factory=list)  # type: ignore[assignment]


class _Prediction(PredictionRequest, frozen=True, kw_only=True, gc=False):
    recent_heats: _Raws = field(default_factory=list)  # type: ignore[assignment]


_recommendation = msgspec.json.Decoder(_Recommendation)
_prediction = msgspec.json.Decoder(_Prediction)
_recent = msgspec.json.Decoder(RecentHeat)


@lru_cache(maxsize=_REMEMBERED)
def _recent_heat(body: bytes) -> RecentHeat:
    return _recent.decode(body)
