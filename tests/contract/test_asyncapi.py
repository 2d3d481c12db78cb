"""`asyncapi.v1.json` lists exactly the messages of the bus, each with its stream and its schema."""

import fnmatch
from typing import Any

import pytest
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from contracts import CONTRACTS, Example, event_schemas, examples, load, registry, validator

DOCUMENT: dict[str, Any] = load(CONTRACTS / "asyncapi.v1.json")
HOME = "file:///contracts/asyncapi.v1.json"
EVENTS = event_schemas()
MESSAGES = [example for example in examples("valid") if example.schema in EVENTS.values()]


def resolve(reference: str) -> Any:
    whole: Registry[Any] = registry().with_resource(HOME, DRAFT202012.create_resource(DOCUMENT))
    return whole.resolver(HOME).lookup(reference).contents


def channel_of(event_type: str) -> dict[str, Any]:
    (channel,) = [channel for channel in DOCUMENT["channels"].values() if channel["address"] == event_type]
    return dict(channel)


def payload_validator(event_type: str) -> Any:
    (message,) = channel_of(event_type)["messages"].values()
    schema = resolve(message["$ref"])["payload"]["schema"]
    return validator({"$id": HOME, **schema})


def envelope(event_type: str, data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "an-id",
        "source": "test",
        "type": event_type,
        "subject": "a-key",
        "time": "2026-03-02T06:00:00Z",
        "data": data,
    }


def test_there_is_one_channel_per_event_and_one_for_what_is_refused() -> None:
    addresses = sorted(channel["address"] for channel in DOCUMENT["channels"].values())

    assert addresses == sorted([*EVENTS, "deadletter.{component}.{type}"])


def test_every_reference_resolves() -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if "$ref" in node else []
            return own + [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    found = references(DOCUMENT)
    assert len(found) > len(EVENTS)
    assert [reference for reference in found if resolve(reference) is None] == []


def test_every_address_lies_in_its_stream_and_in_no_other() -> None:
    for channel in DOCUMENT["channels"].values():
        streams = [
            stream
            for stream, detail in DOCUMENT["x-streams"].items()
            if any(
                fnmatch.fnmatch(channel["address"], subject.replace(">", "*"))
                for subject in detail["subjects"]
            )
        ]
        assert streams == [channel["x-stream"]]


def test_a_channel_has_the_owner_of_its_schema() -> None:
    owners = {event_type: channel_of(event_type)["x-owner"] for event_type in EVENTS}

    assert owners == {event_type: load(path)["x-owner"] for event_type, path in EVENTS.items()}


def test_every_event_has_a_sender_and_the_refused_ones_have_their_reason() -> None:
    senders = {
        operation["channel"]["$ref"]
        for operation in DOCUMENT["operations"].values()
        if operation["action"] == "send"
    }
    headers = DOCUMENT["components"]["messages"]["refused"]["headers"]

    assert senders == {f"#/channels/{name}" for name in DOCUMENT["channels"]}
    assert headers["required"] == ["Dead-Letter-What", "Dead-Letter-Where", "Dead-Letter-Allowed"]


@pytest.mark.parametrize("example", MESSAGES, ids=lambda example: example.path.stem)
def test_an_example_in_its_envelope_is_a_message_of_its_channel_only(example: Example) -> None:
    event_type = example.schema.name.removesuffix(".schema.json")
    check = payload_validator(event_type)

    assert check.is_valid(envelope(event_type, example.document))
    assert not check.is_valid(envelope("plant.other.v1", example.document))
    assert not check.is_valid(envelope(event_type, {}))
