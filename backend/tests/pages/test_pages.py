"""The steelmaker's pages: what they show, and what confirming does."""

import re
from typing import Any

from fastapi.testclient import TestClient

from backend.worker import Worker
from tests import plant
from tests.life import complete, decision, known, recommended, work
from tests.stub_model import StubModel


def page(heat: dict[str, Any]) -> str:
    return plant.path(heat["treatment"]).replace("/api/v1/treatments", "/heats")


def form(html: str, **changes: str) -> dict[str, Any]:
    """What a browser sends when nothing is typed but a name."""
    hidden = dict(re.findall(r'type="hidden" name="(\w+_id|seen_\w+|csrf_token)" value="([^"]*)"', html))
    return {
        **hidden,
        "additive": re.findall(r'name="additive" value="([^"]*)"', html),
        "lot": re.findall(r'name="lot" value="([^"]*)"', html),
        "kg": re.findall(r'name="kg"[^>]*? value="([^"]*)"', html),
        "reason_code": "",
        "note": "",
        "decided_by": "Novak",
    } | changes


class TestHeatsNow:
    def test_without_heats_it_says_what_to_expect(self, client: TestClient) -> None:
        assert "A heat appears as soon as the plant registers it." in client.get("/").text

    def test_what_waits_for_the_steelmaker_comes_first_the_longest_wait_before_the_others(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        recommended(client, worker, heat_no="26-1")
        model.status = 503
        recommended(client, worker, heat_no="26-2")
        client.post("/api/v1/heats", json=plant.heat(heat_no="26-3"))

        html = client.get("/").text

        assert html.index("26-1") < html.index("26-2") < html.index("26-3")
        assert "2 wait for you" in html
        assert "waits for a recommendation" in html
        assert html.count("▲ handbook rule") == 1

    def test_each_station_has_its_heats(self, client: TestClient) -> None:
        for station in ("ladle_furnace", "tapping"):
            heat = plant.heat(heat_no=f"at-{station}")
            heat["treatment"]["station"] = station
            client.post("/api/v1/heats", json=heat)

        html = client.get("/").text

        places = ['id="at-tapping"', ">at-tapping<", 'id="at-ladle_furnace"', ">at-ladle_furnace<"]
        assert [html.index(place) for place in places] == sorted(html.index(place) for place in places)

    def test_the_last_results_say_whether_they_are_in_their_windows(
        self, client: TestClient, worker: Worker
    ) -> None:
        heat = recommended(client, worker)
        complete(client, worker, heat)
        hit = client.get("/").text
        corrected = plant.sample(heat["treatment"])
        corrected["sample"] |= {"revision": 9, "chemistry": corrected["sample"]["chemistry"] | {"Mn": 2.5}}
        client.post(f"{plant.path(heat['treatment'])}/samples", json=corrected)

        assert "✓ in its windows" in hit
        assert "▲ Mn outside" in client.get("/").text

    def test_names_of_the_plant_are_text_and_no_markup(self, client: TestClient) -> None:
        client.post("/api/v1/heats", json=plant.heat(heat_no="<b>1</b>", grade="Э76ХФ"))

        html = client.get("/").text

        assert "&lt;b&gt;1&lt;/b&gt;" in html
        assert "Э76ХФ" in html


class TestHeat:
    def test_it_shows_the_recommendation_and_notes_that_it_was_shown(
        self, client: TestClient, worker: Worker
    ) -> None:
        heat = recommended(client, worker)
        before = known(client, heat)["shown_at"]

        html = client.get(page(heat)).text

        assert before is None
        assert known(client, heat)["shown_at"] is not None
        assert 'value="1375"' in html
        assert "1\u2009612.87" in html
        assert "51.50 less" in html
        assert "0.776" in html

    def test_elements_without_a_window_are_named_in_one_line(
        self, client: TestClient, worker: Worker
    ) -> None:
        heat = plant.heat()
        heat["chemistry"]["Ni"] = 0.057

        recommended(client, worker, chemistry=heat["chemistry"])
        newest = client.get("/api/v1/treatments").json()["treatments"][0]

        assert '<span class="pair">Ni 0.057</span>' in client.get(page(newest)).text

    def test_confirmed_as_it_is(self, client: TestClient, worker: Worker) -> None:
        heat = recommended(client, worker)
        sent = form(client.get(page(heat)).text)

        first = client.post(page(heat), data=sent, follow_redirects=False)
        again = client.post(page(heat), data=sent, follow_redirects=False)

        assert (first.status_code, again.status_code) == (303, 303)
        decided = known(client, heat)["decision"]
        assert decided["revision"] == 1
        assert decided["decided_by"] == "Novak"
        assert decided["additions"] == known(client, heat)["recommendation"]["additions"]
        assert "Decided by <strong>Novak</strong>" in client.get(page(heat)).text

    def test_edited_without_a_reason_it_says_so_and_keeps_what_was_typed(
        self, client: TestClient, worker: Worker
    ) -> None:
        heat = recommended(client, worker)
        sent = form(client.get(page(heat)).text)
        sent["kg"][0] = "1 500,5"

        refused = client.post(page(heat), data=sent)
        sent["reason_code"] = "temperature"
        accepted = client.post(page(heat), data=sent, follow_redirects=False)

        assert refused.status_code == 422
        assert "A reason is needed" in refused.text
        assert 'value="1 500,5"' in refused.text
        assert accepted.status_code == 303
        assert known(client, heat)["decision"]["additions"][0]["added_kg"] == 1500.5

    def test_a_form_with_a_column_too_short_is_refused(self, client: TestClient, worker: Worker) -> None:
        heat = recommended(client, worker)
        sent = form(client.get(page(heat)).text)
        sent["lot"].pop()

        refused = client.post(page(heat), data=sent)

        assert refused.status_code == 422
        assert "as many of each" in refused.text

    def test_a_reason_for_each_addition_is_kept_and_shown(self, client: TestClient, worker: Worker) -> None:
        heat = recommended(client, worker)
        sent = form(client.get(page(heat)).text)
        sent["kg"][0], sent["kg"][1] = "1500", "0"
        sent["reason_of.SiMn"] = "temperature"

        refused = client.post(page(heat), data=sent)
        sent["reason_of.FeSi75"] = "stock"
        accepted = client.post(page(heat), data=sent, follow_redirects=False)

        assert "A reason is needed: FeSi75 differs" in refused.text
        assert '<option value="temperature" selected>' in refused.text
        assert accepted.status_code == 303
        assert known(client, heat)["decision"]["reasons"] == {"SiMn": "temperature", "FeSi75": "stock"}
        assert "SiMn temperature, FeSi75 stock" in client.get(page(heat)).text

    def test_of_two_screens_the_second_is_told_what_has_changed_and_keeps_what_was_typed(
        self, client: TestClient, worker: Worker
    ) -> None:
        heat = recommended(client, worker)
        first, second = (form(client.get(page(heat)).text) for _ in range(2))
        second["kg"][0], second["reason_code"], second["decided_by"] = "1500", "practice", "Svoboda"
        client.post(page(heat), data=first)

        refused = client.post(page(heat), data=second)
        again = form(refused.text, reason_code="practice", decided_by="Svoboda")
        accepted = client.post(page(heat), data=again, follow_redirects=False)

        assert refused.status_code == 409
        assert "Somebody else was faster." in refused.text
        assert "Novak decided at" in refused.text
        assert again["kg"][0] == "1500"
        assert accepted.status_code == 303
        assert known(client, heat)["decision"]["decided_by"] == "Svoboda"

    def test_a_heat_that_the_plant_corrected_under_the_fingers_is_a_conflict(
        self, client: TestClient, worker: Worker
    ) -> None:
        heat = recommended(client, worker)
        sent = form(client.get(page(heat)).text)
        client.post("/api/v1/heats", json=heat | {"revision": 2, "grade": "S355J2"})

        refused = client.post(page(heat), data=sent)

        assert refused.status_code == 409
        assert "it is at revision 2" in refused.text
        assert "the heat is for S355J2 now" in refused.text

    def test_what_changed_since_is_said_and_it_can_be_recommended_anew(
        self, client: TestClient, worker: Worker
    ) -> None:
        heat = recommended(client, worker)
        fresh = client.get(page(heat)).text
        master_data = client.get("/api/v1/master-data").json()
        master_data["additives"][0]["price_per_t"] |= {"amount": 2000.0, "valid_from": "2026-01-02T00:00:00Z"}
        assert client.put("/api/v1/master-data", json=master_data).status_code == 200

        stale = client.get(page(heat)).text
        again = client.post(f"{page(heat)}/again", follow_redirects=False)
        on_its_way = client.get(page(heat)).text
        work(worker)

        assert "Since this was recommended" not in fresh
        assert "the price of SiMn changed" in stale
        assert again.status_code == 303
        assert "The recommendation is on its way." in on_its_way
        assert "Since this was recommended" not in client.get(page(heat)).text

    def test_what_is_no_number_is_said(self, client: TestClient, worker: Worker) -> None:
        heat = recommended(client, worker)
        sent = form(client.get(page(heat)).text)
        sent["kg"][0] = "plenty"

        refused = client.post(page(heat), data=sent)

        assert refused.status_code == 422
        assert "is no number" in refused.text

    def test_the_handbook_is_labelled_and_its_reason_given(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        model.status = 503

        html = client.get(page(recommended(client, worker))).text

        assert "Handbook rule, not the model:" in html
        assert "the model service answered 503" in html
        assert "predicted by nominal recoveries" in html

    def test_before_the_recommendation_it_can_be_decided(self, client: TestClient) -> None:
        heat = plant.heat()
        client.post("/api/v1/heats", json=heat)
        html = client.get(page(heat)).text
        sent = form(html)
        sent["kg"][0] = "1400"

        answer = client.post(page(heat), data=sent, follow_redirects=False)

        assert "The recommendation is on its way." in html
        assert answer.status_code == 303
        assert known(client, heat)["decision"]["recommendation_id"] is None

    def test_afterwards_the_result_stands_beside_the_prediction(
        self, client: TestClient, worker: Worker
    ) -> None:
        heat = recommended(client, worker)
        client.put(f"{plant.path(heat['treatment'])}/decision", json=decision(client, heat))
        complete(client, worker, heat)

        html = client.get(page(heat)).text

        assert "predicted for what was weighed" in html
        assert '<td class="number big">0.790</td>' in html
        assert "1\u2009427" in html
        assert "Confirm" not in html

    def test_a_heat_without_windows_says_what_is_missing(self, client: TestClient, worker: Worker) -> None:
        heat = plant.heat(grade="new")
        del heat["windows"]
        client.post("/api/v1/heats", json=heat)

        assert "No window is known for grade new." in client.get(page(heat)).text

    def test_a_heat_that_is_not_known_is_a_page_for_a_person_and_a_problem_for_a_program(
        self, client: TestClient
    ) -> None:
        path = page(plant.heat())

        person = client.get(path, headers={"Accept": "text/html"})
        program = client.get(path, headers={"Accept": "application/json"})

        assert (person.status_code, program.status_code) == (404, 404)
        assert "Show heats now" in person.text
        assert program.json()["title"] == "Not known here"

    def test_nothing_is_fetched_from_elsewhere(self, client: TestClient, worker: Worker) -> None:
        heat = recommended(client, worker)

        for path in (
            "/",
            page(heat),
            "/static/style.css",
            "/static/heat.js",
            "/static/now.js",
            "/static/page.js",
        ):
            assert re.findall(r"(?:src|href|url\()=?[\"']?https?://", client.get(path).text) == []
