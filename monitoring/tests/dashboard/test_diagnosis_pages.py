"""What changed, on the page, in JSON, as a report: over a lake where a lot is low."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from monitoring.dashboard.app import create_app
from monitoring.diagnosis.reference import write
from monitoring.settings import Settings
from tests.alarms.test_watch import BUNDLE, fill, reference
from tests.conftest import free_port, wait_for
from tests.diagnosis.plants import Trouble


@pytest.fixture
def client(lake: Path) -> Iterator[TestClient]:
    fill(lake, Trouble(begin=100, lot=("SiMn", "Mn", -0.06)))
    write(reference(), lake.parent / "references" / f"{BUNDLE}.json")
    settings = Settings(lake=lake, nats_url=f"nats://127.0.0.1:{free_port()}", diagnose_every_s=0.2)
    with TestClient(create_app(settings)) as one:
        wait_for(lambda: bool(one.get("/api/v1/alarms").json()["alarms"]), "the alarm")
        yield one


def test_the_state_is_the_alarm_until_somebody_has_seen_to_it(client: TestClient) -> None:
    (alarm,) = client.get("/api/v1/alarms").json()["alarms"]
    before = client.get("/").text
    seen = client.post(
        f"/alarms/{alarm['alarm_id']}",
        content="by=Anna&note=%3Cb%3Eanalysed%3C%2Fb%3E",
        headers={"origin": "http://testserver"},
        follow_redirects=False,
    )
    after = client.get("/").text

    assert f'role="status">{alarm["sentence"]}' in before
    assert "/static/refresh.js" not in before  # what somebody types is not taken away
    assert "/static/refresh.js" in after
    assert seen.status_code == 303
    assert 'role="status">All is well' in after
    assert "Seen by Anna" in after
    assert "&lt;b&gt;analysed&lt;/b&gt;" in after


def test_another_site_cannot_press_the_button(client: TestClient) -> None:
    (alarm,) = client.get("/api/v1/alarms").json()["alarms"]
    refused = client.post(
        f"/alarms/{alarm['alarm_id']}", content="by=Eve", headers={"origin": "http://elsewhere"}
    )

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["where"] == "Origin"
    assert client.get("/api/v1/alarms").json()["alarms"][0]["acknowledged_by"] is None


def test_json_can_acknowledge_too_and_says_what_is_wrong(client: TestClient) -> None:
    (alarm,) = client.get("/api/v1/alarms").json()["alarms"]
    path = f"/api/v1/alarms/{alarm['alarm_id']}/acknowledged"

    assert client.post(path, json={"by": ""}).json()["errors"][0]["where"] == "body.by"
    assert client.post("/api/v1/alarms/none/acknowledged", json={"by": "Anna"}).status_code == 404
    assert client.post(path, json={"by": "Anna", "note": "seen"}).status_code == 204
    assert client.get("/api/v1/alarms").json()["alarms"][0]["note"] == "seen"


def test_the_diagnosis_has_its_evidence(client: TestClient) -> None:
    found = client.get("/api/v1/diagnosis").json()

    assert found["has_reference"]
    assert found["findings"][0]["evidence"]["tests"][0]["test"] == "lot"
    assert found["findings"][0]["named"][0]["cause"] == "lot"
    assert {one["station"] for one in found["drift"]} == {"tapping", "ladle_furnace"}


def test_metrics_count_the_alarm(client: TestClient) -> None:
    told = client.get("/metrics").text

    assert "monitoring_open_alarms 1.0" in told
    assert 'monitoring_findings{cause="lot",diagnosis="material"} 1.0' in told


@pytest.mark.parametrize("path", ["/reports/week", f"/reports/model/{BUNDLE}"])
def test_a_report_is_one_file_that_needs_nothing_else(client: TestClient, path: str) -> None:
    answer = client.get(path)

    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert "brings" in answer.text
    assert "<svg" in answer.text
    assert re.findall(r"(?:src|href)=", answer.text) == []
    assert "<script" not in answer.text


def test_a_report_about_nothing_says_so(client: TestClient) -> None:
    answer = client.get(f"/reports/model/{'cd' * 32}")

    assert answer.status_code == 404
    assert answer.json()["errors"][0]["what"] == "has no heats"


def test_the_error_is_drawn_by_model_version_without_a_script(client: TestClient) -> None:
    page = client.get("/?element=Mn").text

    assert "by model version" in page
    assert BUNDLE[:8] in page
    assert "<script" not in page


def test_treatments_are_listed_newest_first_page_by_page(client: TestClient) -> None:
    first = client.get("/api/v1/treatments?limit=3").json()
    second = client.get(f"/api/v1/treatments?limit=3&skip={first['next']}").json()
    last = client.get("/api/v1/treatments?limit=3&skip=399").json()

    assert first["all"] == 400
    assert [one["heat_no"] for one in first["treatments"]] == ["199", "199", "198"]
    assert [one["heat_no"] for one in second["treatments"]] == ["198", "197", "197"]
    assert ([one["heat_no"] for one in last["treatments"]], last["next"]) == (["0"], None)


def test_the_page_says_what_cannot_be_learnt_any_more(client: TestClient) -> None:
    teaching = client.get("/api/v1/diagnosis").json()["teaching"]
    silent = {one["element"] for one in teaching if not one["can_teach"]}
    page = client.get("/").text

    assert teaching
    assert silent == {"Mn", "Si", "C"}  # in this plant everybody adds just what is asked for
    assert "Additions vary too little to learn from results what a kilogram does" in page
    assert "Additions vary too little" in client.get("/reports/week").text


def test_errors_are_those_of_the_newest_heats(client: TestClient) -> None:
    newest = client.get("/api/v1/treatments?limit=3").json()["treatments"]
    errors = client.get("/api/v1/errors?heats=3").json()["errors"]

    assert {(one["heat_uid"], one["station"]) for one in errors} == {
        (one["heat_uid"], one["station"]) for one in newest
    }
    assert len(errors) == 3 * 3  # Mn, Si and C


def test_without_heats_there_are_no_errors(tmp_path: Path) -> None:
    settings = Settings(lake=tmp_path / "lake", nats_url=f"nats://127.0.0.1:{free_port()}")
    with TestClient(create_app(settings)) as empty:
        assert empty.get("/api/v1/errors").json() == {"errors": []}
