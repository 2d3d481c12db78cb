"""Bodies that are no JSON, or break their contract."""

from typing import Any

import pytest

from model_service.contracts import Heat, Window
from model_service.documents import convert, decode, pretty
from model_service.errors import InvalidDocument, MalformedJson


@pytest.mark.parametrize(
    "body",
    [b"", b"nul", b'{"min":NaN}', b"[[", b"\xff", b'"\xed\xa0\x80"', b"[" * 100_000, b"1e999", b"1" * 5000],
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises((MalformedJson, InvalidDocument)):
        decode(body, Window)


def test_a_wrong_value_in_a_map_is_named_by_its_key() -> None:
    shape = dict[str, dict[str, float]]
    document = {"a": {"x": 1.0}, "b": {"y": 1.0, "z": "text", "w": 2.0}}

    with pytest.raises(InvalidDocument) as refused:
        convert(document, shape)

    assert refused.value.faults[0].where == "$.b.z"
    assert document["b"] == {"y": 1.0, "z": "text", "w": 2.0}


@pytest.mark.parametrize("key", ["[...]", "a.b", "", "x[3]", "`key` in"])
def test_odd_keys_do_not_confuse_the_refusal(key: str) -> None:
    with pytest.raises(InvalidDocument) as refused:
        convert({key: {key: "text"}}, dict[str, dict[str, float]])

    assert refused.value.faults[0].where.startswith("$")


@pytest.mark.parametrize(
    ("document", "allowed"),
    [
        ({"min": -1}, "float >= 0.0"),
        ({"min": "1"}, "float | null"),
        (["list"], "object"),
    ],
)
def test_refusal_says_what_is_allowed(document: Any, allowed: str) -> None:
    with pytest.raises(InvalidDocument) as refused:
        convert(document, Window)

    assert allowed in refused.value.faults[0].allowed


def test_unknown_fields_are_ignored() -> None:
    assert convert({"min": 0.1, "unheard_of": {}}, Window) == Window(min=0.1)


def test_pretty_gives_the_same_bytes_for_the_same_content() -> None:
    assert pretty({"b": 1, "a": [1.5, {"d": 1, "c": 2}]}) == pretty({"a": [1.5, {"c": 2, "d": 1}], "b": 1})


def test_heat_needs_its_fields() -> None:
    with pytest.raises(InvalidDocument) as refused:
        convert({}, Heat)

    assert refused.value.faults[0].where == "$.treatment"
