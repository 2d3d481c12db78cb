"""The collector against a real bus: whatever comes and whatever happens, each event is in the lake once."""

import asyncio
import json
from pathlib import Path

import nats
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from monitoring.collection import collector
from monitoring.collection.bus import PRODUCT, Refused, Stream, ensure_streams, keep_aside, product_stream
from monitoring.collection.bus import Message as BusMessage
from monitoring.collection.collector import collect
from monitoring.errors import RefusedMessageError
from monitoring.events import EVENT_TYPE, RECOMMENDATION_TYPE
from monitoring.lake.tables import append, arrow_schema, delta_schema, open_table, position
from tests.collection.plant_bus import bus, collecting, dead_letters, position_is, publish, rows
from tests.conftest import NatsServer
from tests.generator import EXAMPLES, body, completed, event, events, shadow_event


def test_events_become_rows_in_the_order_of_the_stream(lake: Path, nats_server: NatsServer) -> None:
    async def scenario() -> None:
        await publish(nats_server.url, events(20))
        async with collecting(lake, nats_server.url):
            await position_is(lake, nats_server.url, 20)

    asyncio.run(scenario())

    found = rows(lake).sort("stream_seq")
    assert found["stream_seq"].to_list() == list(range(1, 21))
    assert found["heat_no"].to_list() == [f"26-{number:05d}" for number in range(1, 21)]
    assert found["stream"].n_unique() == 1


def test_an_event_published_again_is_stored_once(lake: Path, nats_server: NatsServer) -> None:
    first, second = events(2)

    async def scenario() -> None:
        await publish(nats_server.url, [first, first, second])
        async with collecting(lake, nats_server.url):
            await position_is(lake, nats_server.url, 3)
            await publish(nats_server.url, [second])
            await position_is(lake, nats_server.url, 4)
        await publish(nats_server.url, [first])
        async with collecting(lake, nats_server.url):
            await position_is(lake, nats_server.url, 5)

    asyncio.run(scenario())

    assert sorted(rows(lake)["event_id"]) == sorted([first["id"], second["id"]])


def test_the_same_revision_under_another_event_id_is_stored_once(lake: Path, nats_server: NatsServer) -> None:
    async def scenario() -> None:
        await publish(nats_server.url, [event(completed(1), "first"), event(completed(1), "second")])
        async with collecting(lake, nats_server.url):
            await position_is(lake, nats_server.url, 2)

    asyncio.run(scenario())

    assert rows(lake)["event_id"].to_list() == ["first"]


def test_a_corrected_treatment_is_a_row_more(lake: Path, nats_server: NatsServer) -> None:
    async def scenario() -> None:
        await publish(nats_server.url, [event(completed(1)), event(completed(1, revision=2))])
        async with collecting(lake, nats_server.url):
            await position_is(lake, nats_server.url, 2)

    asyncio.run(scenario())

    assert rows(lake).sort("revision")["revision"].to_list() == [1, 2]


def test_new_additives_and_elements_are_stored(lake: Path, nats_server: NatsServer) -> None:
    data = json.loads((EXAMPLES / "valid" / "new-additive-and-element.json").read_text())

    async def scenario() -> None:
        await publish(nats_server.url, [*events(1), event(data)])
        async with collecting(lake, nats_server.url):
            await position_is(lake, nats_server.url, 2)

    asyncio.run(scenario())

    row = rows(lake).filter(heat_no=data["heat_no"]).row(0, named=True)
    sent = data["x_prime"]["samples"][-1]["chemistry"]
    stored = {one["element"]: one for one in row["samples"][-1]["chemistry"]}
    assert set(stored) == set(sent)
    assert {one["additive"] for one in row["weighed"]} == {
        one["additive"] for one in data["y_prime"]["weighed"]
    }


def test_bad_messages_are_kept_aside_and_the_rest_goes_on(lake: Path, nats_server: NatsServer) -> None:
    negative = event(completed(2))
    negative["data"]["y_prime"]["weighed"][1]["added_kg"] = -5
    not_json, not_text = b"{nothing", b'{"id": "\xff"}'

    async def scenario() -> None:
        await publish(nats_server.url, [*events(1), negative, not_json, not_text, *events(1, first=3)])
        async with collecting(lake, nats_server.url):
            await position_is(lake, nats_server.url, 5)

    asyncio.run(scenario())

    assert rows(lake).sort("stream_seq")["stream_seq"].to_list() == [1, 5]
    aside = rows(lake, "quarantine").sort("where")
    stream = rows(lake)["stream"][0]
    assert aside["where"].to_list() == [
        f"{stream} 2 $.data.y_prime.weighed[1].added_kg",
        f"{stream} 3 $",
        f"{stream} 4 $",
    ]
    assert aside["what"][0] == "is -5"
    assert aside["allowed"][0] == "`float` >= 0.0"
    assert json.loads(aside["row"][0]) == negative
    assert [json.loads(row) for row in aside["row"][1:]] == ["{nothing", '{"id": "\\xff"}']
    letters = asyncio.run(dead_letters(nats_server.url))
    assert [content for _, content in letters] == [body(negative), not_json, not_text]
    assert letters[0][0]["Dead-Letter-Where"] == aside["where"][0]
    assert letters[0][0]["Dead-Letter-What"] == "is -5"
    assert letters[0][0]["Dead-Letter-Allowed"] == "`float` >= 0.0"


def test_only_bad_messages_move_the_position_too(lake: Path, nats_server: NatsServer) -> None:
    async def scenario() -> None:
        await publish(nats_server.url, [b"1", b"2"])
        for _ in range(2):
            async with collecting(lake, nats_server.url):
                await position_is(lake, nats_server.url, 2)

    asyncio.run(scenario())

    assert rows(lake).height == 0
    assert rows(lake, "quarantine").height == 2


def test_a_dead_letter_is_not_sent_again_after_a_crash_before_its_quarantine(nats_server: NatsServer) -> None:
    def refused(sequence: int, event_type: str = EVENT_TYPE) -> Refused:
        error = RefusedMessageError("is bad\nвот", where="$", allowed="good")
        return Refused(BusMessage(sequence, b"x%d" % sequence, event_type), error)

    async def scenario() -> list[bytes]:
        async with bus(nats_server.url) as client:
            jetstream = client.jetstream()
            await ensure_streams(jetstream)
            stream = await product_stream(jetstream)
            await keep_aside(jetstream, stream, [refused(3), refused(5)])
            await keep_aside(jetstream, stream, [refused(3), refused(5), refused(8, RECOMMENDATION_TYPE)])
            await keep_aside(jetstream, stream, [refused(5), refused(8, RECOMMENDATION_TYPE), refused(9)])
            await keep_aside(jetstream, Stream("PRODUCT later", 1, 3), [refused(3)])
        return [content for _, content in await dead_letters(nats_server.url)]

    assert asyncio.run(scenario()) == [b"x3", b"x5", b"x8", b"x9", b"x3"]


def test_a_stream_made_anew_is_collected_from_its_first_message(lake: Path, nats_server: NatsServer) -> None:
    old = list(events(5))

    async def scenario() -> None:
        await publish(nats_server.url, old)
        async with collecting(lake, nats_server.url):
            await position_is(lake, nats_server.url, 5)
            async with bus(nats_server.url) as client:
                await client.jetstream().delete_stream(PRODUCT)
            await publish(nats_server.url, [old[4], *events(2, first=6)])
            await position_is(lake, nats_server.url, 3)

    asyncio.run(scenario())

    found = rows(lake).sort("available_at")
    assert found["heat_no"].to_list() == [f"26-{number:05d}" for number in range(1, 8)]
    assert found["stream_seq"].to_list() == [1, 2, 3, 4, 5, 2, 3]
    assert found["stream"].n_unique() == 2


def test_a_bus_that_comes_late_and_is_restarted_is_waited_for(lake: Path, nats_server: NatsServer) -> None:
    nats_server.kill()

    async def scenario() -> None:
        async with collecting(lake, nats_server.url):
            await asyncio.sleep(0.2)
            await asyncio.to_thread(nats_server.start)
            await publish(nats_server.url, events(3))
            await position_is(lake, nats_server.url, 3)
            nats_server.kill()
            await asyncio.to_thread(nats_server.start)
            await publish(nats_server.url, events(3, first=4))
            await position_is(lake, nats_server.url, 6)

    asyncio.run(scenario())

    assert rows(lake)["event_id"].n_unique() == rows(lake).height == 6


def test_a_collector_without_a_bus_stops_when_told(lake: Path, nats_server: NatsServer) -> None:
    nats_server.kill()

    async def scenario() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(collect(lake, nats_server.url, stop))
        await asyncio.sleep(0.1)
        stop.set()
        await asyncio.wait_for(task, 10)

    asyncio.run(scenario())

    assert rows(lake).height == 0


def test_imports_may_append_to_the_same_table_meanwhile(lake: Path, nats_server: NatsServer) -> None:
    async def scenario() -> None:
        await publish(nats_server.url, events(1))
        async with collecting(lake, nats_server.url):
            await position_is(lake, nats_server.url, 1)
            imported = rows(lake).row(0, named=True) | {
                "origin": "import",
                "stream": None,
                "stream_seq": None,
                "event_id": "row 1 of a file",
            }
            batch = pa.RecordBatch.from_pylist([imported], arrow_schema(delta_schema("heats")))
            for number in range(10):
                await publish(nats_server.url, events(1, first=2 + number))
                await asyncio.to_thread(write_deltalake, lake / "heats", batch, mode="append")
            await position_is(lake, nats_server.url, 11)

    asyncio.run(scenario())

    found = rows(lake)
    assert found.filter(origin="import").height == 10
    assert found.filter(origin="bus")["event_id"].n_unique() == found.filter(origin="bus").height == 11


def test_two_collectors_store_each_event_once(lake: Path, nats_server: NatsServer) -> None:
    async def scenario() -> None:
        async with collecting(lake, nats_server.url), collecting(lake, nats_server.url):
            for number in range(15):
                await publish(nats_server.url, [*events(4, first=1 + 4 * number), b"bad"])
            await position_is(lake, nats_server.url, 75)

    asyncio.run(scenario())

    assert rows(lake)["event_id"].n_unique() == rows(lake).height == 60
    assert rows(lake, "quarantine")["where"].n_unique() == rows(lake, "quarantine").height == 15


def test_messages_the_bus_lost_do_not_hide_the_ones_that_take_their_place(
    lake: Path, nats_server: NatsServer
) -> None:
    """A power cut can take the newest messages of a bus that does not sync each of them."""

    async def scenario() -> None:
        await publish(nats_server.url, events(5))
        async with bus(nats_server.url) as client:
            stream = await product_stream(client.jetstream())
        heats = open_table(lake, "heats")
        append(heats, [], stream=stream.identity, after=0, upto=9)
        async with collecting(lake, nats_server.url):
            await asyncio.sleep(0.5)
            await publish(nats_server.url, events(1, first=6))
            await position_is(lake, nats_server.url, 6)
        assert position(open_table(lake, "heats"), stream.identity) == 6

    asyncio.run(scenario())

    assert rows(lake)["heat_no"].to_list() == ["26-00006"]


def test_streams_of_others_are_left_as_they_are(lake: Path, nats_server: NatsServer) -> None:
    async def scenario() -> int | None:
        client = await nats.connect(nats_server.url)
        jetstream = client.jetstream()
        await jetstream.add_stream(name=PRODUCT, subjects=["product.>"], max_msgs=77)
        async with collecting(lake, nats_server.url):
            await publish(nats_server.url, events(1))
            await position_is(lake, nats_server.url, 1)
        found = (await jetstream.stream_info(PRODUCT)).config.max_msgs
        await client.close()
        return found

    assert asyncio.run(scenario()) == 77
    assert DeltaTable(lake / "heats").metadata().configuration["delta.logRetentionDuration"]


def test_what_a_shadow_said_is_stored_once_beside_the_heats(lake: Path, nats_server: NatsServer) -> None:
    (heat,) = events(1)
    shadow = shadow_event(completed(1))
    live = shadow_event(completed(1), role="live") | {"id": "live"}

    async def scenario() -> None:
        await publish(nats_server.url, [live, shadow, shadow, heat])
        async with collecting(lake, nats_server.url):
            await position_is(lake, nats_server.url, 4)
        async with collecting(lake, nats_server.url):
            await publish(nats_server.url, [event(completed(2))])
            await position_is(lake, nats_server.url, 5)

    asyncio.run(scenario())

    said = rows(lake, "shadows")
    assert said["stream_seq"].to_list() == [2, 3]  # the same event id: read as one
    assert said["event_id"].unique().to_list() == [shadow["id"]]
    assert rows(lake).height == 2
    assert rows(lake, "quarantine").height == 0


def test_what_a_shadow_said_that_cannot_be_read_is_kept_aside_and_the_rest_goes_on(
    lake: Path, nats_server: NatsServer
) -> None:
    bad = shadow_event(completed(1))
    bad["data"]["recommendation"]["additions"][0]["added_kg"] = -5
    nothing = bad | {"data": {}}

    async def scenario() -> None:
        await publish(nats_server.url, [bad, b"{nothing", nothing, shadow_event(completed(2)), *events(1)])
        async with collecting(lake, nats_server.url):
            await position_is(lake, nats_server.url, 5)

    asyncio.run(scenario())

    assert rows(lake, "shadows")["stream_seq"].to_list() == [4]
    aside, stream = rows(lake, "quarantine").sort("where"), rows(lake)["stream"][0]
    assert aside["where"].to_list() == [
        f"{stream} 1 $.data.recommendation.additions[0].added_kg",
        f"{stream} 2 $",
        f"{stream} 3 $.data.recommendation",
    ]
    assert aside["what"][0] == "is -5"
    letters = asyncio.run(dead_letters(nats_server.url))
    assert [content for _, content in letters] == [body(bad), b"{nothing", body(nothing)]


def test_small_files_are_written_together_and_old_ones_deleted_on_a_schedule(
    lake: Path, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every 4 commits and every 8 instead of every 100 and 2,000, and after the first of each start; and the
    lake keeps its past for no time."""
    monkeypatch.setattr(collector, "COMMITS_BETWEEN_COMPACTIONS", 4)
    monkeypatch.setattr(collector, "COMMITS_BETWEEN_VACUUMS", 8)
    forgets = {"delta.deletedFileRetentionDuration": "interval 0 seconds"}
    for name in ("heats", "shadows"):
        DeltaTable.create(lake / name, delta_schema(name), configuration=forgets)

    async def scenario() -> None:
        for numbers in (range(1, 10), range(10, 12)):
            async with collecting(lake, nats_server.url):
                for number in numbers:
                    await publish(
                        nats_server.url, [shadow_event(completed(number)), event(completed(number))]
                    )
                    await position_is(lake, nats_server.url, 2 * number)

    asyncio.run(scenario())

    for name in ("heats", "shadows"):
        done = [one["operation"] for one in DeltaTable(lake / name).history()]
        written = 11  # files, had nobody tidied up
        assert done.count("OPTIMIZE") > 2
        assert done.count("VACUUM END") > 1
        assert len(DeltaTable(lake / name).file_uris()) < written
        assert len(list((lake / name).glob("*.parquet"))) < written
        assert rows(lake, name).height == written


def test_a_lake_that_was_lost_is_made_anew_from_the_bus(lake: Path, nats_server: NatsServer) -> None:
    async def scenario() -> list[str]:
        await publish(nats_server.url, [*events(3), event(completed(2, revision=2)), b"bad"])
        async with collecting(lake, nats_server.url):
            await position_is(lake, nats_server.url, 5)
        before = sorted(rows(lake)["event_id"])
        lake.rename(lake.with_name("lost"))
        async with collecting(lake, nats_server.url):
            await position_is(lake, nats_server.url, 5)
        return before

    assert asyncio.run(scenario()) == sorted(rows(lake)["event_id"])
    assert rows(lake).height == 4
    assert rows(lake, "quarantine").height == 1
