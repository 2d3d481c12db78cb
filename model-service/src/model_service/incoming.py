"""Requests as bytes. What comes again is decoded once: a finished heat, in up to thirty requests in a row,
and an additive as it is offered until its stock, price or lot changes.

What comes out is what `documents.decode` gives: only work is remembered, and no answer depends on it.
"""

from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, field
from msgspec.structs import replace

from model_service.contracts import Additive, PredictionRequest, RecentHeat, RecommendationRequest
from model_service.documents import decode

_REMEMBERED = 1024  # heats, of a few kilobytes each
_OFFERS = 4096  # of some hundred bytes each
_HEAD = 256  # bytes of a heat that come before it is told from others: its treatment stands there
_Recent = Annotated[list[Raw], Meta(max_length=30)]
_Offers = Annotated[list[Raw], Meta(max_length=64)]


def recommendation_request(body: bytes) -> RecommendationRequest:
    """Return `body` as a request; raises what `documents.decode` raises."""
    try:
        request = _recommendation.decode(body)
        return replace(request, **_remembered(request.additives, request.recent_heats))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return decode(body, RecommendationRequest)  # which says what is wrong, and where


def prediction_request(body: bytes) -> PredictionRequest:
    """Return `body` as a request; raises what `documents.decode` raises."""
    try:
        request = _prediction.decode(body)
        return replace(request, **_remembered(request.additives, request.recent_heats))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return decode(body, PredictionRequest)


def forget() -> None:
    """Forget all that was decoded, as a new process would."""
    _heat_that_begins.cache_clear()
    _offer.cache_clear()


class _Recommendation(RecommendationRequest, frozen=True, kw_only=True, gc=False):
    additives: _Offers  # type: ignore[assignment]
    recent_heats: _Recent = field(default_factory=list)  # type: ignore[assignment]


class _Prediction(PredictionRequest, frozen=True, kw_only=True, gc=False):
    additives: _Offers  # type: ignore[assignment]
    recent_heats: _Recent = field(default_factory=list)  # type: ignore[assignment]


_recommendation = msgspec.json.Decoder(_Recommendation)
_prediction = msgspec.json.Decoder(_Prediction)
_recent = msgspec.json.Decoder(RecentHeat)
_additive = msgspec.json.Decoder(Additive)


def _remembered(
    additives: list[Raw], recent_heats: list[Raw]
) -> dict[str, list[Additive] | list[RecentHeat]]:
    return {
        "additives": [_offer(bytes(raw)) for raw in additives],
        "recent_heats": [_recent_heat(bytes(raw)) for raw in recent_heats],
    }


@lru_cache(maxsize=_OFFERS)
def _offer(body: bytes) -> Additive:
    return _additive.decode(body)


def _recent_heat(body: bytes) -> RecentHeat:
    """A body is looked up by its head and then compared whole: that is quicker than to hash all of it."""
    found = _heat_that_begins(body[:_HEAD])
    if found.body != body:
        found.heat, found.body = _recent.decode(body), body
    return found.heat


class _Found:
    """The last heat that began so."""

    body = b""
    heat: RecentHeat


@lru_cache(maxsize=_REMEMBERED)
def _heat_that_begins(_: bytes) -> _Found:
    return _Found()
