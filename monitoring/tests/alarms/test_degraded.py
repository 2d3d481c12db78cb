"""When monitoring tells that a model is degraded, and that it tells it once, in the contract's shape."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import nats
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from monitoring.alarms.announcements import APPROVED, DEGRADED, JUDGED, STREAM, Announcements
from monitoring.alarms.degraded import Degraded, Windows, degraded
from monitoring.diagnosis.building import build
from monitoring.diagnosis.diagnose import diagnose
from monitoring.diagnosis.reference import Reference
from tests.conftest import NatsServer
from tests.diagnosis.plants import Trouble, rows

BUNDLE = "ab" * 32
CONTRACTS = Path(__file__).resolve().parents[3] / "contracts"
PRACTICE = Trouble(practice=("B", "Mn", 0.08), begin=150)


@cache
def reference() -> Reference:
    return build(rows(900, seed=99), BUNDLE)


def told(heats: int, trouble: Trouble | None = None) -> list[Degraded]:
    diagnosed = diagnose(rows(heats, trouble), reference())
    return degraded(diagnosed, "3", BUNDLE, Windows(heats=20, least=3, last=5))


def test_a_changed_practice_that_lasts_is_told_with_where_it_began() -> None:
    (one,) = told(280, PRACTICE)

    assert (one.diagnosis, one.station, one.model_version) == ("model", "tapping", "3")
    assert "Mn" in one.elements
    assert 145 <= int(one.since_heat) <= 165
    assert one.sentence.startswith(f"Since heat {one.since_heat} the model is wrong for B")
    assert sum(one.windows["violated"]) >= 3
    assert one.windows["violated"][-1]


def test_what_was_wrong_before_of_another_kind_is_not_learnt_from() -> None:
    """A lot, and soon after it a new practice: the alarms may be one finding, the change is not."""

    def practice(row: dict[str, Any]) -> None:
        if int(row["heat_no"]) >= 200 and row["grade"] == "B" and row["station"] == "tapping":
            for one in row["samples"][0]["chemistry"]:
                one["pct"] += 0.1 if one["element"] == "Mn" else 0.0

    found = told(320, Trouble(lot=("SiMn", "Mn", -0.06), begin=120, change=practice))

    assert found
    assert all(int(one.since_heat) >= 195 for one in found)


def test_what_has_just_begun_is_not_told_yet() -> None:
    assert told(175, PRACTICE) == []


def test_what_is_over_is_not_told_any_more() -> None:
    def ends(row: dict[str, Any]) -> None:
        if int(row["heat_no"]) >= 230:
            row["samples"][0]["chemistry"] = [
                {"element": e["element"], "pct": e["base_pct"], "below_pct": None}
                for e in row["weighed_predicted"]
            ]

    assert told(290, Trouble(practice=("B", "Mn", 0.08), begin=150, change=ends)) == []


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(lot=("SiMn", "Mn", -0.06), begin=150),
        Trouble(aim_pct=-0.04, begin=150),
        Trouble(spectrometer=("Mn", 0.04), begin=150),
    ],
    ids=["lot", "people", "instrument"],
)
def test_a_lot_people_and_an_instrument_never_retrain(trouble: Trouble) -> None:
    assert told(280, trouble) == []


def test_an_event_is_told_once_and_again_after_the_cool_down(tmp_path: Path) -> None:
    kept, now = Announcements(tmp_path / "state.sqlite"), datetime(2026, 3, 2, tzinfo=UTC)

    def announce(at: datetime) -> bool:
        return kept.announce(DEGRADED, "P/tapping/ab", {}, again_after=timedelta(hours=6), now=at)

    assert [announce(now + timedelta(hours=h)) for h in (0, 1, 5, 7, 8)] == [True, False, False, True, False]
    assert kept.announce(JUDGED, "P/ab/cd", {}, now=now)
    assert not kept.announce(JUDGED, "P/ab/cd", {}, now=now + timedelta(days=9))


def test_what_is_told_is_on_the_bus_once_however_often_it_is_published(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    (one,) = told(280, PRACTICE)
    kept = Announcements(tmp_path / "state.sqlite")
    times = {"detected_at": "2026-03-02T11:00:00Z", "since": "2026-03-01T11:00:00Z"}
    kept.announce(DEGRADED, "P/tapping/ab", one._asdict() | times)
    waiting = kept.unpublished()

    assert kept.publish(nats_server.url) == 1
    assert kept.publish(nats_server.url) == 0
    again = Announcements(tmp_path / "state.sqlite")
    assert again.unpublished() == []
    (event,) = asyncio.run(_on_the_bus(nats_server.url, waiting[0].body, waiting[0].event_id))
    valid("monitoring.model.degraded.v1", event["data"])
    valid("../shapes/cloudevent.v1", event)


def test_what_cannot_be_published_is_kept_for_the_next_time(tmp_path: Path) -> None:
    kept = Announcements(tmp_path / "state.sqlite")
    kept.announce(JUDGED, "P/ab/cd", {})

    with pytest.raises(nats.errors.NoServersError):
        kept.publish("nats://127.0.0.1:1")

    assert len(kept.unpublished()) == 1


@pytest.mark.parametrize("event_type", [DEGRADED, JUDGED, APPROVED])
def test_the_contract_of_each_event_has_valid_and_invalid_examples(event_type: str) -> None:
    examples = CONTRACTS / "monitoring-events" / "examples" / event_type
    for path in (examples / "valid").glob("*.json"):
        valid(event_type, json.loads(path.read_text()))
    for path in (examples / "invalid").glob("*.json"):
        with pytest.raises(jsonschema.ValidationError):
            valid(event_type, json.loads(path.read_text())["document"])


def valid(name: str, document: Any) -> None:
    documents = {
        path.relative_to(CONTRACTS): json.loads(path.read_text())
        for path in CONTRACTS.glob("*/*.schema.json")
    }
    registry = Registry().with_resources(
        (f"file:///contracts/{place}", Resource.from_contents(document, DRAFT202012))
        for place, document in documents.items()
    )
    place = f"file:///contracts/monitoring-events/{name}.schema.json".replace("monitoring-events/../", "")
    jsonschema.Draft202012Validator({"$ref": place}, registry=registry).validate(
        json.loads(json.dumps(document))
    )


async def _on_the_bus(url: str, republish: bytes, event_id: str) -> list[Any]:
    client = await nats.connect(url)
    jetstream = client.jetstream()
    await jetstream.publish(DEGRADED, republish, headers={"Nats-Msg-Id": event_id})
    state = (await jetstream.stream_info(STREAM)).state
    found = [
        json.loads((await jetstream.get_msg(STREAM, n)).data or b"") for n in range(1, state.last_seq + 1)
    ]
    await client.close()
    return found
