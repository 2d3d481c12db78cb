"""Requests as bytes: what is remembered changes nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
from making import asked, recent_heats
from msgspec import json, to_builtins

from model_service.contracts import PredictionRequest, RecommendationRequest
from model_service.documents import decode, encode
from model_service.errors import InvalidDocument, MalformedJson
from model_service.incoming import prediction_request, recommendation_request
from model_service.model import Bundle
from model_service.recommendation import recommend


def _body(**recent: Any) -> dict[str, Any]:
    request = asked(recent_heats=recent_heats(asked(), 3, {"Mn": 0.8}))
    document: dict[str, Any] = to_builtins(request)
    document["recent_heats"][1] |= recent
    return document


def test_a_request_is_what_decoding_it_whole_gives() -> None:
    body = encode(_body() | {"additions": []})

    for _ in range(2):
        assert to_builtins(recommendation_request(body)) == to_builtins(decode(body, RecommendationRequest))
        assert to_builtins(prediction_request(body)) == to_builtins(decode(body, PredictionRequest))


def test_the_answer_is_the_same_bytes(bundle: Bundle) -> None:
    body = encode(_body())

    assert encode(recommend(bundle, recommendation_request(body))) == encode(
        recommend(bundle, decode(body, RecommendationRequest))
    )


def test_what_was_corrected_since_it_was_asked_last_is_read_anew(bundle: Bundle) -> None:
    before, after = _body(), _body(chemistry_after={"Mn": 0.71})
    after["additives"][0]["stock_kg"] = 11.0
    first = recommendation_request(encode(before))
    second = recommendation_request(encode(after))

    assert to_builtins(second) == to_builtins(decode(encode(after), RecommendationRequest))
    assert second.recent_heats[0] is first.recent_heats[0]
    assert second.additives[1] is first.additives[1]


def _lists(document: dict[str, Any]) -> Iterator[bytes]:
    """Bodies in which the recent heats, or what looks like them, stand where they are not looked for."""
    heats, body = encode(document["recent_heats"]), encode(document)
    without = encode({key: value for key, value in document.items() if key != "recent_heats"})
    yield body.replace(b'"recent_heats":[', b'"recent_heats": [')
    yield b'{"further":{"recent_heats":' + heats + b"}," + without[1:]
    yield b'{"further":{"recent_heats":' + heats + b"}," + body[1:]
    yield b'{"recent_heats":' + heats + b"," + without[1:-1] + b',"recent_heats":[]}'
    yield encode({"note": 'this is no list: "recent_heats":['} | document)
    yield body.replace(heats, heats[:-1] + b" , " + heats[1:])
    yield body.replace(heats, b"[ " + heats[1:-1] + b" ]")
    yield without


def test_wherever_the_list_of_recent_heats_stands_it_is_read_as_when_decoded_whole() -> None:
    document = _body() | {"additions": []}
    recommendation_request(encode(document))  # so that its heats are known

    for body in _lists(document):
        for _ in range(2):
            assert to_builtins(recommendation_request(body)) == to_builtins(
                decode(body, RecommendationRequest)
            )
            assert to_builtins(prediction_request(body)) == to_builtins(decode(body, PredictionRequest))


def test_what_follows_known_heats_is_refused_as_when_decoded_whole() -> None:
    document = _body()
    body, heats = encode(document), encode(document["recent_heats"])[1:-1]
    recommendation_request(body)

    for wrong in (heats + b"}", heats + b",", heats + b",7", heats + b" " + heats, heats[:-1]):
        with pytest.raises((InvalidDocument, MalformedJson)) as refused:
            recommendation_request(body.replace(heats, wrong))
        with pytest.raises(refused.type) as whole:
            decode(body.replace(heats, wrong), RecommendationRequest)
        assert refused.value.faults == whole.value.faults


@pytest.mark.parametrize("read", [recommendation_request, prediction_request])
def test_what_is_wrong_in_a_recent_heat_is_named(read: Any) -> None:
    with pytest.raises(InvalidDocument) as refused:
        read(encode(_body(chemistry_after={"Mn": -1}) | {"additions": []}))

    assert refused.value.faults[0].where == "$.recent_heats[1].chemistry_after.Mn"


def test_too_many_recent_heats_and_what_is_no_json_are_refused() -> None:
    with pytest.raises(InvalidDocument, match="recent_heats"):
        recommendation_request(json.encode(_body() | {"recent_heats": _body()["recent_heats"] * 11}))
    for body in (b"", b"{", b"\xff", b"[" * 100_000, b'{"recent_heats": [' + b"[" * 100_000):
        with pytest.raises(MalformedJson):
            recommendation_request(body)
