"""Alarms: raised once, seen to by somebody, told once."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitoring.alarms.store import AlarmStore, alarm_id
from monitoring.diagnosis.findings import Finding, Naming
from monitoring.errors import UnknownAlarmError


def finding(heat: str = "7", cause: str = "lot", sentence: str = "A lot is low.", hour: int = 6) -> Finding:
    named = [Naming(14, heat, "lot", f"SiMn SM-{heat}", ["Mn"])]
    at = datetime(2026, 3, 2, hour, tzinfo=UTC)
    rows = {"since_row": 10, "alarm_row": 14, "last_row": 20}
    return Finding(
        plant_id="P",
        diagnosis="material",
        cause=cause,
        subject="SiMn SM-7",
        station="tapping",
        elements=["Mn"],
        grades=[],
        **rows,
        since_heat="5",
        alarm_heat=heat,
        detected_at=at,
        sentence=sentence,
        named=named,
        evidence={"tests": []},
    )


@pytest.fixture
def store(tmp_path: Path) -> AlarmStore:
    return AlarmStore(tmp_path / "folder" / "alarms.sqlite")


def test_a_finding_is_one_alarm_however_often_it_is_found(store: AlarmStore) -> None:
    assert store.keep([finding()], "ab") == 1
    assert store.keep([finding(cause="scale", sentence="It is the scale.")], "ab") == 0

    (alarm,) = store.newest()
    assert (alarm.cause, alarm.sentence, alarm.elements) == ("scale", "It is the scale.", ["Mn"])
    assert alarm.detected_at == datetime(2026, 3, 2, 6, tzinfo=UTC)


def test_an_acknowledged_alarm_stays_so_when_it_is_found_again(store: AlarmStore) -> None:
    store.keep([finding()], "ab")
    store.acknowledge(alarm_id(finding()), "Anna", "lot is being analysed")
    store.keep([finding()], "ab")

    (alarm,) = store.newest()
    assert (alarm.acknowledged_by, alarm.note) == ("Anna", "lot is being analysed")
    assert alarm.acknowledged_at is not None
    assert store.open_count() == 0


def test_what_nobody_has_seen_to_comes_first(store: AlarmStore) -> None:
    store.keep([finding("1", hour=1), finding("2", hour=2), finding("3", hour=3)], None)
    store.acknowledge(alarm_id(finding("3", hour=3)), "Anna", None)

    assert [alarm.detected_at.hour for alarm in store.newest()] == [2, 1, 3]


def test_an_alarm_that_is_not_there_is_named(store: AlarmStore) -> None:
    with pytest.raises(UnknownAlarmError, match="nothing: is not known"):
        store.acknowledge("nothing", "Anna", None)


def test_what_was_told_is_not_told_again(store: AlarmStore) -> None:
    store.keep([finding("1", hour=1), finding("2", hour=2)], None)
    store.told(store.untold()[0])

    assert [alarm.detected_at.hour for alarm in store.untold()] == [2]
