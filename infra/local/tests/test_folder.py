"""A folder belongs to one demo at a time, and remembers."""

import os
from pathlib import Path

import pytest

from local_runner.errors import AlreadyRunning
from local_runner.folder import Remembered, claimed, recall, remember


def test_a_second_demo_in_the_same_folder_is_refused_with_the_process_that_holds_it(tmp_path: Path) -> None:
    with claimed(tmp_path), pytest.raises(AlreadyRunning, match=str(os.getpid())), claimed(tmp_path):
        raise AssertionError("the folder was given twice")


def test_the_folder_is_free_when_its_demo_has_ended(tmp_path: Path) -> None:
    with claimed(tmp_path):
        pass
    with claimed(tmp_path):
        assert (tmp_path / ".lock").exists()


def test_what_is_remembered_is_recalled(tmp_path: Path) -> None:
    remember(tmp_path, Remembered(nats_port=4555, heats_played=3))

    assert recall(tmp_path) == Remembered(nats_port=4555, heats_played=3)


def test_a_damaged_memory_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "remembered.json").write_text('{"nats_port": ')

    assert recall(tmp_path) == Remembered()
