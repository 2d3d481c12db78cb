"""Grades and additives: changed by hand, checked, kept with who did it, known to the next heat."""

import html
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from backend.database import reading
from backend.master_data import edits
from backend.worker import Worker
from tests import plant
from tests.life import known, recommended


def form(page: str, **changes: Any) -> dict[str, Any]:
    """What a browser sends of the page's form, with changes."""
    sent: dict[str, Any] = {}
    for tag in re.findall(r"<input [^>]*>", page):
        name = re.search(r'name="([^"]+)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        if name is None or ('type="checkbox"' in tag and "checked" not in tag):
            continue
        sent.setdefault(name[1], []).append(html.unescape(value[1] if value else ""))
    return sent | {"changed_by": "tech"} | changes


def parts(engine: Engine, kind: str, name: str) -> list[tuple[str, Any, Any]]:
    with reading(engine) as session:
        return [
            (change.changed_by, change.before, change.after)
            for change in edits.changes(session, "demo", kind, name, 10)
        ]


class TestGrades:
    def test_a_grade_is_changed_from_now_on_and_who_did_it_is_kept(
        self, client: TestClient, engine: Engine
    ) -> None:
        page = client.get("/grades").text
        name = re.findall(r'href="/grades/one\?name=([^"]+)"', page)[0]
        sent = form(client.get(f"/grades/one?name={name}").text)
        element, most = sent["element"][0], float(sent["max"][0])
        sent["max"][0] = f"{most + 0.01:g}".replace(".", ",")

        answer = client.post("/grades/one", data=sent)

        assert "✓ Saved." in answer.text
        grade = next(
            one for one in client.get("/api/v1/master-data").json()["grades"][::-1] if one["grade"] == name
        )
        assert grade["windows"][element]["max"] == pytest.approx(most + 0.01)
        ((by, before, after),) = parts(engine, edits.GRADE, name)
        assert (by, before["windows"][element]["max"]) == ("tech", most)
        assert after["windows"][element]["max"] == pytest.approx(most + 0.01)
        assert f"<s>{most:g}</s>" in client.get(f"/grades/one?name={name}").text

    def test_heats_that_come_later_have_the_new_windows(self, client: TestClient) -> None:
        sent = form(
            client.get("/grades/one").text, name="NEW 1", element=["Mn"], min=["0.5"], aim=[""], max=["0.9"]
        )
        client.post("/grades/one", data=sent)
        heat = plant.heat(grade="NEW 1", registered_at="2099-01-01T00:00:00Z")
        del heat["windows"]

        client.post("/api/v1/heats", json=heat)

        assert known(client, heat)["heat"]["windows"] == {"Mn": {"min": 0.5, "max": 0.9}}

    @pytest.mark.parametrize(
        ("changes", "what"),
        [
            ({"element": ["Mn"], "min": ["0.9"], "aim": [""], "max": ["0.5"]}, "should hold min"),
            ({"element": ["Mn"], "min": ["much"], "aim": [""], "max": [""]}, "is no number"),
            (
                {"element": ["Mn", "Mn"], "min": ["1", "1"], "aim": ["", ""], "max": ["", ""]},
                "is there twice",
            ),
            ({"element": ["manganese"], "min": ["1"], "aim": [""], "max": [""]}, "manganese"),
            ({"element": [""], "min": ["1"], "aim": [""], "max": [""]}, "a row has no element"),
            ({"element": [""], "min": [""], "aim": [""], "max": [""]}, "no element has a window"),
            ({"forbidden": ["gold"]}, "gold is not known"),
            ({"valid_from": "1999-01-01T00:00"}, "is before the newest version"),
            ({"valid_from": "soon"}, "valid from"),
            ({"changed_by": " "}, "nobody is named"),
        ],
    )
    def test_what_cannot_be_is_refused_and_what_was_typed_stays(
        self, client: TestClient, engine: Engine, changes: dict[str, Any], what: str
    ) -> None:
        name = client.get("/api/v1/master-data").json()["grades"][0]["grade"]
        before = client.get("/api/v1/master-data").json()
        sent = form(client.get(f"/grades/one?name={name}").text, **changes)

        answer = client.post("/grades/one", data=sent)

        assert answer.status_code == 422
        assert "▲ Not saved." in answer.text
        assert what in html.unescape(answer.text)
        assert client.get("/api/v1/master-data").json() == before
        assert parts(engine, edits.GRADE, name) == []

    def test_a_grade_that_is_not_kept_is_not_found(self, client: TestClient) -> None:
        assert client.get("/grades/one?name=nothing").status_code == 404


class TestAdditives:
    def test_the_next_recommendation_is_made_with_what_was_changed(
        self, client: TestClient, worker: Worker, engine: Engine
    ) -> None:
        sent = form(client.get("/additives/one?name=SiMn").text, price=["1234.5"], max_kg=["900"])

        answer = client.post("/additives/one", data=sent)
        heat = recommended(client, worker, registered_at="2099-01-01T00:00:00Z")

        assert "✓ Saved." in answer.text
        offer = known(client, heat)["additives"][0]
        assert (offer["additive"], offer["price_per_t"]["amount"], offer["max_kg"]) == ("SiMn", 1234.5, 900.0)
        ((by, before, after),) = parts(engine, edits.ADDITIVE, "SiMn")
        assert by == "tech"
        assert before["price_per_t"]["amount"] != after["price_per_t"]["amount"] == 1234.5

    def test_saved_as_it_was_nothing_is_noted(self, client: TestClient, engine: Engine) -> None:
        before = client.get("/api/v1/master-data").json()["additives"]

        client.post("/additives/one", data=form(client.get("/additives/one?name=SiMn").text))
        after = client.get("/api/v1/master-data").json()["additives"]

        for additive in before + after:
            del additive["available_at"]
        assert after == before
        assert parts(engine, edits.ADDITIVE, "SiMn") == []

    def test_a_new_additive_is_the_last_of_the_bins(self, client: TestClient) -> None:
        sent = form(
            client.get("/additives/one").text,
            name="FeB",
            lot="B-1",
            price="4000",
            element=["B", "Si"],
            pct=["18", "1"],
            increment_kg="1",
        )

        client.post("/additives/one", data=sent)

        last = client.get("/api/v1/master-data").json()["additives"][-1]
        assert (last["additive"], last["assay"], last["stock_kg"]) == ("FeB", {"B": 18.0, "Si": 1.0}, None)

    @pytest.mark.parametrize(
        ("changes", "what"),
        [
            ({"price": ["-1"]}, "price per t amount"),
            ({"price": [""]}, "price per t amount"),
            ({"increment_kg": ["0"]}, "increment kg"),
            ({"metallic_yield": ["7"]}, "metallic yield"),
            ({"element": ["Mn", "Si"], "pct": ["90", "20"]}, "sum to at most 100"),
            ({"element": [""], "pct": [""]}, "it contains no element"),
            ({"min_kg": ["500"], "max_kg": ["100"]}, "more than the most"),
            ({"currency": "USD"}, "prices of one plant have one currency"),
        ],
    )
    def test_what_cannot_be_is_refused(self, client: TestClient, changes: dict[str, Any], what: str) -> None:
        before = client.get("/api/v1/master-data").json()

        answer = client.post(
            "/additives/one", data=form(client.get("/additives/one?name=SiMn").text, **changes)
        )

        assert answer.status_code == 422
        assert what in html.unescape(answer.text)
        assert client.get("/api/v1/master-data").json() == before
