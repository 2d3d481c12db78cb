"""The web application over a real lake, with and without a bus."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from monitoring.collection.bus import Message, Refused
from monitoring.collection.collector import quarantined
from monitoring.dashboard.app import create_app
from monitoring.errors import RefusedMessageError
from monitoring.lake.tables import append, compact, open_table
from monitoring.settings import Settings
from tests.collection.plant_bus import collecting, position_is, publish
from tests.conftest import NatsServer, free_port
from tests.generator import completed, events, uid
from tests.lake_rows import as_row, heat


@pytest.fixture
def client(lake: Path) -> Iterator[TestClient]:
    """The application without a bus."""
    with TestClient(create_app(Settings(lake=lake, nats_url=f"nats://127.0.0.1:{free_port()}"))) as one:
        yield one


def store(lake: Path, *many: dict[str, Any], after: int = 0) -> None:
    rows = [as_row(data, sequence) for sequence, data in enumerate(many, start=after + 1)]
    append(open_table(lake, "heats"), rows, stream="PRODUCT then", after=after, upto=after + len(rows))


def test_before_there_is_a_lake_everything_answers(client: TestClient, lake: Path) -> None:
    figures = client.get("/api/v1/summary").json()

    assert (figures["heats"], figures["lake_version"], figures["elements"]) == (0, None, {})
    assert figures["position"] == {"stream": None, "sequence": None, "behind": None}
    assert "No heat has come over the bus yet" in client.get("/").text
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}
    assert "monitoring_heats 0.0" in client.get("/metrics").text
    assert not lake.exists()


def test_figures_follow_the_lake(client: TestClient, lake: Path) -> None:
    store(lake, heat(1, Mn=0.786), heat(2, Mn=0.6))
    first = client.get("/api/v1/summary").json()
    store(lake, heat(2, revision=2, Mn=0.766), heat(3, Mn=0.776), after=2)
    second = client.get("/api/v1/summary").json()
    compact(str(lake / "heats"))
    third = client.get("/api/v1/summary").json()

    assert (first["heats"], first["rows"], first["in_window_rate"]) == (2, 2, 0.5)
    assert (second["heats"], second["rows"], second["in_window_rate"]) == (3, 4, 1.0)
    assert second["elements"]["Mn"]["n"] == 3
    assert second["elements"]["Mn"]["mae_pct"] == pytest.approx(0.02 / 3)
    assert second["position"] == {"stream": "PRODUCT then", "sequence": 4, "behind": None}
    assert third == second | {"lake_version": third["lake_version"]}
    assert third["lake_version"] > second["lake_version"]


def test_a_lake_that_was_made_anew_is_read_anew(client: TestClient, lake: Path, tmp_path: Path) -> None:
    store(lake, completed(1), completed(2))
    assert client.get("/api/v1/summary").json()["heats"] == 2
    lake.rename(tmp_path / "old")
    store(lake, completed(7))

    assert client.get("/api/v1/summary").json()["heats"] == 1


def test_how_far_behind_the_bus_the_lake_is(lake: Path, nats_server: NatsServer) -> None:
    async def collect_three_then_publish_two() -> None:
        await publish(nats_server.url, events(3))
        async with collecting(lake, nats_server.url):
            await position_is(lake, nats_server.url, 3)
        await publish(nats_server.url, events(2, first=4))

    asyncio.run(collect_three_then_publish_two())
    with TestClient(create_app(Settings(lake=lake, nats_url=nats_server.url))) as client:
        position: dict[str, Any] = {"behind": None}
        while position["behind"] is None:  # the connection is made in the background
            position = client.get("/api/v1/summary").json()["position"]

    assert position["stream"].startswith("PRODUCT 20")
    assert (position["sequence"], position["behind"]) == (3, 2)


def test_a_treatment_as_it_is_in_the_lake(client: TestClient, lake: Path) -> None:
    store(lake, completed(1), heat(1, revision=2, Mn={"below": 0.002}))
    found = client.get(f"/api/v1/treatments/demo/{uid(1)}/tapping/1").json()

    assert found["revision"] == 2
    assert found["completed_at"] == "2026-03-02T06:15:00Z"
    assert found["samples"][0]["chemistry"] == [{"element": "Mn", "pct": None, "below_pct": 0.002}]


@pytest.mark.parametrize("empty", [True, False])
def test_an_unknown_treatment_is_a_problem(client: TestClient, lake: Path, empty: bool) -> None:
    if not empty:
        store(lake, completed(1))
    answer = client.get(f"/api/v1/treatments/demo/{uid(2)}/tapping/1")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", "No such treatment", 404)
    assert problem["errors"][0]["where"] == f"demo/{uid(2)}/tapping/1"
    assert set(problem["errors"][0]) == {"where", "what", "allowed"}


@pytest.mark.parametrize(
    ("path", "status", "where"),
    [
        (f"/api/v1/treatments/demo/{uid(1)}/tapping/first", 422, "path.treatment_no"),
        ("/nowhere", 404, "/nowhere"),
    ],
)
def test_errors_are_problems(client: TestClient, path: str, status: int, where: str) -> None:
    answer = client.get(path)

    assert answer.status_code == answer.json()["status"] == status
    assert answer.json()["errors"][0]["where"] == where
    assert client.post("/api/v1/summary").status_code == 405


def test_a_lake_that_cannot_be_read_is_not_ready(client: TestClient, lake: Path) -> None:
    log = lake / "heats" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("not a log")
    answer = client.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json()["errors"][0]["where"] == str(lake / "heats")
    assert client.get("/health/live").status_code == 200


class TestPage:
    def test_shows_the_figures(self, client: TestClient, lake: Path) -> None:
        store(lake, heat(1, Mn=0.786), heat(2, Mn=0.6))
        page = client.get("/?element=Mn").text

        assert "26-00002" in page
        assert "50.0 %" in page
        assert "+0.0830" in page  # bias of Mn
        assert page.count("<circle") == 2
        assert page.count('class="outside"') == 1

    def test_shows_what_was_kept_aside_escaped(self, client: TestClient, lake: Path) -> None:
        refused = Refused(Message(1, b"{}"), RefusedMessageError("is <b>bad</b>", where="$", allowed="good"))
        table = open_table(lake, "quarantine")
        append(table, [quarantined(refused, "PRODUCT then")], stream="PRODUCT then", after=0, upto=1)
        page = client.get("/").text

        assert "is &lt;b&gt;bad&lt;/b&gt;" in page
        assert "Kept aside" in page

    def test_imported_rows_that_were_not_used_are_told_and_no_warning(
        self, client: TestClient, lake: Path
    ) -> None:
        refused = Refused(
            Message(1, b"{}"), RefusedMessageError("mass is twice", where="$", allowed="a mass")
        )
        row = quarantined(refused, "heats.csv") | {"origin": "import"}
        append(open_table(lake, "quarantine"), [row], stream="import", after=0, upto=1)
        quiet = client.get("/").text
        append(
            open_table(lake, "quarantine"), [quarantined(refused, "PRODUCT")], stream="bus", after=0, upto=1
        )

        assert "1 rows of the imported past were not used" in quiet
        assert 'class="tile alert"' not in quiet
        assert 'class="tile alert"' in client.get("/").text

    def test_of_an_element_nobody_predicts_shows_another(self, client: TestClient, lake: Path) -> None:
        store(lake, heat(1, Mn=0.786))

        assert "<strong>Mn</strong>" in client.get("/?element=Xx").text

    def test_needs_nothing_from_outside(self, client: TestClient, lake: Path) -> None:
        store(lake, completed(1))
        page = client.get("/")

        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert not re.search(r'https?://|style=|<script(?! src="/static/)|onclick', page.text)
        for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text):
            assert client.get(path).status_code == 200


def test_metrics_carry_the_figures(client: TestClient, lake: Path) -> None:
    store(lake, heat(1, Mn=0.786))
    text = client.get("/metrics").text

    assert 'monitoring_prediction_n{element="Mn"} 1.0' in text
    assert "monitoring_in_window_ratio 1.0" in text
    assert 'monitoring_cost_per_t{currency="EUR"}' in text
    assert "monitoring_behind " not in text  # not known without a bus
