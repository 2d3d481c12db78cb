"""Requests as bytes. What comes again is decoded once: a finished heat, in up to thirty requests in a row,
and an additive as it is offered until its stock, price or lot changes.

What comes out is what `documents.decode` gives: only work is remembered, and no answer depends on it. Recent
heats are nearly all of a request, so those at the beginning of their list whose text is known are not even
scanned: a token stands in their place, and is found again where the list is.
"""

import secrets
from functools import lru_cache
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Raw, field
from msgspec.structs import replace

from model_service.contracts import Additive, PredictionRequest, RecentHeat, RecommendationRequest
from model_service.documents import decode

_REMEMBERED = 1024  # heats, of a few kilobytes each
_OFFERS = 4096  # of some hundred bytes each
_HEAD = (
    256  # bytes of a heat by which it is looked up, before it is compared whole: its treatment stands there
)
_MOST = 30
_LIST = b'"recent_heats":['
_TOKEN = f'"{secrets.token_hex(16)}"'.encode()  # nobody can send it
_Recent = Annotated[list[Raw], Meta(max_length=_MOST)]
_Offers = Annotated[list[Raw], Meta(max_length=64)]


def recommendation_request(body: bytes) -> RecommendationRequest:
    """Return `body` as a request; raises what `documents.decode` raises."""
    return _read(body, _recommendation) or decode(body, RecommendationRequest)


def prediction_request(body: bytes) -> PredictionRequest:
    """Return `body` as a request; raises what `documents.decode` raises."""
    return _read(body, _prediction) or decode(body, PredictionRequest)


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
_Request = TypeVar("_Request", _Recommendation, _Prediction)


def _read(body: bytes, decoder: msgspec.json.Decoder[_Request]) -> _Request | None:
    """Return `body` as a request; None where it is none, and where only decoding it whole can tell."""
    heats, rest = _known_at_the_beginning(body)
    try:
        request = decoder.decode(rest)
        others = [bytes(raw) for raw in request.recent_heats]
        if heats and others[:1] != [_TOKEN]:  # what looked like their list was another
            return None
        heats += [_recent_heat(text) for text in others[len(heats) > 0 :]]
        offers = [_offer(bytes(raw)) for raw in request.additives]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return replace(request, additives=offers, recent_heats=heats) if len(heats) <= _MOST else None


def _known_at_the_beginning(body: bytes) -> tuple[list[RecentHeat], bytes]:
    """Return the heats with which the list of recent ones begins, as far as their text is known, and
    `body` with the token in their place."""
    start = body.find(_LIST) + len(_LIST)
    heats, end, following = list[RecentHeat](), start, start
    while start >= len(_LIST):
        found = _heat_that_begins(body[following : following + _HEAD])
        # Where a whole JSON object stands, no other value can.
        if not found.text or not body.startswith(found.text, following):
            break
        heats.append(found.heat)
        end = following + len(found.text)
        if body[end : end + 1] != b",":
            break
        following = end + 1
    return heats, body[:start] + _TOKEN + body[end:] if heats else body


def _recent_heat(text: bytes) -> RecentHeat:
    found = _heat_that_begins(text[:_HEAD])
    if found.text != text:
        found.heat, found.text = _recent.decode(text), text
    return found.heat


class _Found:
    """The last heat whose text began so."""

    text = b""
    heat: RecentHeat


@lru_cache(maxsize=_REMEMBERED)
def _heat_that_begins(_: bytes) -> _Found:
    return _Found()


@lru_cache(maxsize=_OFFERS)
def _offer(text: bytes) -> Additive:
    return _additive.decode(text)
