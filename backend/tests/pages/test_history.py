"""The history: searched, filtered, paged, and taken away as files that other programs read."""

import io
import re

import polars as pl
import pytest
from fastapi.testclient import TestClient

from backend.worker import Worker
from tests import plant
from tests.life import complete, decision, recommended


def shown(html: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="[^"]+">([^<]+)</a>', html)


class TestSearch:
    @pytest.fixture(autouse=True)
    def heats(self, client: TestClient) -> None:
        for heat_no, grade, station, day in (
            ("26-1", "C45E", "tapping", "2026-03-01"),
            ("26-2", "S355J2", "tapping", "2026-03-02"),
            ("27-1", "C45E", "ladle_furnace", "2026-03-03"),
            ("2%-1", "C45E", "tapping", "2026-03-04"),
        ):
            heat = plant.heat(heat_no=heat_no, grade=grade, registered_at=f"{day}T06:00:00Z")
            heat["treatment"]["station"] = station
            assert client.post("/api/v1/heats", json=heat).status_code == 201

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("", ["2%-1", "27-1", "26-2", "26-1"]),
            ("text=26", ["26-2", "26-1"]),
            ("text=2%25", ["2%-1"]),
            ("grade=C45E&station=tapping", ["2%-1", "26-1"]),
            ("state=registered&until=2026-03-02", ["26-2", "26-1"]),
            ("since=2026-03-02&until=2026-03-03", ["27-1", "26-2"]),
            ("state=completed", []),
            ("text='%20or%201=1", []),
        ],
    )
    def test_what_fits_is_shown_newest_first(self, client: TestClient, query: str, found: list[str]) -> None:
        answer = client.get(f"/history?{query}")

        assert answer.status_code == 200
        assert shown(answer.text) == found
        assert ("No heats fit." in answer.text) == (found == [])

    def test_what_was_asked_for_stays_in_the_form(self, client: TestClient) -> None:
        html = client.get('/history?text=26"><b>&since=2026-03-01').text

        assert 'value="26&#34;&gt;&lt;b&gt;"' in html
        assert 'value="2026-03-01"' in html

    def test_a_day_that_is_none_is_refused_with_what_is_allowed(self, client: TestClient) -> None:
        answer = client.get("/history?since=yesterday")

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["where"] == "query.since"

    def test_older_heats_are_a_page_away_and_keep_the_filter(self, client: TestClient) -> None:
        for number in range(51):
            client.post("/api/v1/heats", json=plant.heat(heat_no=f"30-{number:05}"))

        first = client.get("/history?text=30").text
        older = re.search(r'href="(/history\?text=30&amp;before=\d+)"', first)

        assert len(shown(first)) == 50
        assert older is not None
        assert shown(client.get(older.group(1).replace("&amp;", "&")).text) == ["30-00000"]

    def test_pages_of_days_go_by_the_day_also_where_heats_came_late(self, client: TestClient) -> None:
        for number in range(60):
            day = 60 - number if number % 2 else number  # every other one came long after it was registered
            at = f"2027-01-{1 + day // 24:02}T{day % 24:02}:00:00Z"
            client.post(
                "/api/v1/heats", json=plant.heat(heat_no=f"31-{day:02}-{number:02}", registered_at=at)
            )

        first = client.get("/history?since=2027-01-01").text
        older = re.search(r'href="(/history\?[^"]*before=\d+)"', first)
        assert older is not None
        rest = client.get(older.group(1).replace("&amp;", "&")).text

        found = [heat_no.split("-")[1] for heat_no in shown(first) + shown(rest)]
        assert len(found) == 60
        assert found == sorted(found, reverse=True)


class TestTakeAway:
    def test_both_files_hold_what_was_found_with_decision_and_result(
        self, client: TestClient, worker: Worker
    ) -> None:
        heat = recommended(client, worker, heat_no="26-7")
        client.put(
            f"{plant.path(heat['treatment'])}/decision",
            json=decision(client, heat, reasons={"SiMn": "stock"}),
        )
        complete(client, worker, heat)
        client.post("/api/v1/heats", json=plant.heat(heat_no="27-1"))

        parquet = client.get("/history.parquet?text=26")
        csv = client.get("/history.csv?text=26")
        table = pl.read_parquet(io.BytesIO(parquet.content))
        same = pl.read_csv(io.BytesIO(csv.content))

        assert parquet.headers["content-type"] == "application/vnd.apache.parquet"
        assert 'filename="heats-' in csv.headers["content-disposition"]
        (row,) = table.iter_rows(named=True)
        assert row["heat_no"] == same["heat_no"][0] == "26-7"
        assert row["decided"] == "SiMn 1375 kg; FeSi75 80 kg; coke 146 kg"
        assert row["reasons"] == same["reasons"][0] == "SiMn stock"
        assert row["final_Mn_pct"] == same["final_Mn_pct"][0] == 0.79
        assert row["in_window"] is True
        assert row["registered_at"].tzinfo is not None

    def test_below_detection_is_told_apart_from_a_measured_value(self, client: TestClient) -> None:
        chemistry = {"Mn": 0.1, "Al": {"below": 0.002}, "S": None}
        client.post("/api/v1/heats", json=plant.heat(chemistry=chemistry))

        table = pl.read_parquet(io.BytesIO(client.get("/history.parquet").content))

        assert table.select("first_Al_pct", "first_Al_below", "first_S_pct").row(0) == (0.002, True, None)

    def test_nothing_found_is_a_table_without_rows(self, client: TestClient) -> None:
        table = pl.read_parquet(io.BytesIO(client.get("/history.parquet").content))

        assert table.height == 0
        assert "heat_no" in table.columns
