"""The model page: which model answers, since when, and what it says of itself."""

from fastapi.testclient import TestClient

from backend.worker import Worker
from tests.contracts import example
from tests.life import recommended
from tests.stub_model import CARD, StubModel


def test_the_live_model_is_named_with_its_card_and_what_it_has_answered(
    client: TestClient, worker: Worker, model: StubModel
) -> None:
    recommended(client, worker)
    model.recommendation["model"] |= {"version": "4", "bundle_hash": "cd" * 32}
    recommended(client, worker)
    recommended(client, worker)

    html = client.get("/model").text

    rows = html[html.index("<tbody>") : html.index("</tbody>")]
    assert rows.index('<th scope="row">4</th>') < rows.index('<th scope="row">3</th>')
    assert '<td class="number">2</td>' in rows
    assert f"version {example(CARD)['version']} answers" in html
    assert example(CARD)["bundle_hash"] in html


def test_a_service_that_is_down_is_said_and_the_rest_of_the_page_stays(
    client: TestClient, worker: Worker, model: StubModel
) -> None:
    recommended(client, worker)
    model.status = 503
    recommended(client, worker)

    answer = client.get("/model")

    assert answer.status_code == 200
    assert "The model service does not answer." in answer.text
    assert "Of the last 2 recommendations 1 are the handbook&#39;s." in answer.text


def test_before_the_first_heat_it_says_what_to_expect(client: TestClient) -> None:
    assert "No model has answered yet." in client.get("/model").text
