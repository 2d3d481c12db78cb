"""Files of completed heats, and what was kept aside: into the lake exactly once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from monitoring.collection.backfill import BATCH_LINES, Taken, backfill, replay
from monitoring.collection.bus import Message
from monitoring.collection.collector import quarantined, sort_messages
from monitoring.errors import UnreadableFileError
from monitoring.lake.tables import append, open_table
from tests.collection.plant_bus import rows
from tests.conftest import wait_for
from tests.generator import body, completed, event, events, shadow_event


def export(folder: Path, *lines: dict[str, Any] | str) -> Path:
    file = folder / "export.jsonl"
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("\n".join(text) + "\n")
    return file


def test_every_event_of_a_file_is_in_the_lake_once(lake: Path, tmp_path: Path) -> None:
    many = list(events(30))

    assert backfill(lake, export(tmp_path, *many, many[3])) == Taken(30, 1, 0)
    assert sorted(rows(lake)["event_id"]) == sorted(one["id"] for one in many)


def test_a_file_that_is_taken_again_adds_nothing_and_a_longer_one_its_new_lines(
    lake: Path, tmp_path: Path
) -> None:
    backfill(lake, export(tmp_path, *events(5)))

    assert backfill(lake, export(tmp_path, *events(5))) == Taken(0, 0, 0)
    assert backfill(lake, export(tmp_path, *events(7))) == Taken(2, 5, 0)
    assert rows(lake).height == 7


def test_a_correction_is_a_new_row(lake: Path, tmp_path: Path) -> None:
    backfill(lake, export(tmp_path, event(completed(1)), event(completed(1, revision=2))))

    assert sorted(rows(lake)["revision"]) == [1, 2]


def test_lines_that_are_no_event_are_kept_aside_with_their_place(lake: Path, tmp_path: Path) -> None:
    bad = event(completed(2))
    bad["data"]["x"]["heat"]["steel_mass_t"] = -1

    assert backfill(lake, export(tmp_path, event(completed(1)), "no JSON", bad)) == Taken(1, 0, 2)
    where = rows(lake, "quarantine")["where"].to_list()
    assert where[0].endswith(" 2 $")
    assert where[1].endswith(" 3 $.data.x.heat.steel_mass_t")


def test_a_run_that_is_killed_goes_on_where_it_stopped(lake: Path, tmp_path: Path) -> None:
    file = export(tmp_path, *events(BATCH_LINES + 200))
    command = [str(Path(sys.executable).with_name("monitoring")), "backfill", str(file)]
    process = subprocess.Popen(command, env=os.environ | {"MONITORING_LAKE": str(lake)})
    wait_for(lambda: len(list((lake / "heats" / "_delta_log").glob("*.json"))) > 1, "the first commit")
    process.kill()
    process.wait()

    taken = backfill(lake, file)

    assert taken.new <= 200
    assert rows(lake)["event_id"].n_unique() == rows(lake).height == BATCH_LINES + 200


def test_a_file_that_is_not_there_is_named(lake: Path, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"nothing\.jsonl"):
        backfill(lake, tmp_path / "nothing.jsonl")


class TestReplay:
    def keep_aside(self, lake: Path, *bodies: bytes) -> None:
        """What an older collector could not read: here, it refused everything."""
        *_, refused = sort_messages([Message(n, b"{}") for n in range(1, len(bodies) + 1)], "PRODUCT then")
        aside = [
            quarantined(one._replace(message=one.message._replace(body=content)), "PRODUCT then")
            for one, content in zip(refused, bodies, strict=True)
        ]
        append(open_table(lake, "quarantine"), aside, stream="PRODUCT then", after=0, upto=len(bodies))

    def test_what_is_valid_by_now_goes_into_the_lake_and_the_rest_stays(self, lake: Path) -> None:
        self.keep_aside(lake, body(event(completed(1))), b'{"still": "bad"}', body(event(completed(2))))

        assert replay(lake) == Taken(2, 0, 1)
        assert rows(lake).height == 2
        assert rows(lake, "quarantine")["row"].to_list() == ['{"still": "bad"}']

    def test_what_a_shadow_said_goes_to_the_shadows_once(self, lake: Path) -> None:
        said = body(shadow_event(completed(1)))
        self.keep_aside(lake, said, said, body(shadow_event(completed(2)) | {"data": {}}))

        assert replay(lake) == Taken(1, 1, 1)
        assert rows(lake, "shadows")["event_id"].to_list() == [shadow_event(completed(1))["id"]]
        assert rows(lake).height == 0
        assert rows(lake, "quarantine").height == 1

    def test_again_it_finds_nothing(self, lake: Path) -> None:
        self.keep_aside(lake, body(event(completed(1))))
        replay(lake)

        assert replay(lake) == Taken(0, 0, 0)
        assert rows(lake).height == 1

    def test_after_a_run_that_was_cut_short_no_heat_is_doubled(self, lake: Path, tmp_path: Path) -> None:
        backfill(lake, export(tmp_path, event(completed(1))))
        self.keep_aside(lake, body(event(completed(1))))

        assert replay(lake) == Taken(0, 1, 0)
        assert rows(lake).height == 1
        assert DeltaTable(lake / "quarantine").count() == 0
