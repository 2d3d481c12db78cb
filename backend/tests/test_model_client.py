"""Asking the model service: within the time limit, once more after an early failure, with a reason."""

import time

import pytest

from backend import model_client
from backend.model_client import ModelClient, ModelUnavailableError
from tests.stub_model import StubModel

REQUEST = b'{"heat": {"treatment": {}, "revision": 1}}'


class TestAsk:
    def test_an_answer_is_passed_on_unchanged(self, model: StubModel, live: ModelClient) -> None:
        model.recommendation = {"what": "ever", "treatment": {}, "heat_revision": 1}

        assert live.recommend(REQUEST) == model.recommendation

    def test_a_try_that_failed_early_is_repeated_once(self, model: StubModel, live: ModelClient) -> None:
        model.failures = 1

        assert live.recommend(REQUEST)["status"] == "recommended"
        assert len(model.requests) == 2

    def test_two_failures_are_enough(self, model: StubModel, live: ModelClient) -> None:
        model.failures = 5

        with pytest.raises(ModelUnavailableError, match="the model service answered 503"):
            live.recommend(REQUEST)
        assert len(model.requests) == 2

    def test_a_service_that_asks_for_a_token_gets_it(self, model: StubModel, live: ModelClient) -> None:
        known = "a-token-of-the-service"
        model.token = known
        knows_it = ModelClient(model.url, 0.5, known)

        assert knows_it.recommend(REQUEST)["status"] == "recommended"
        with pytest.raises(ModelUnavailableError, match="answered 401"):
            live.recommend(REQUEST)

    def test_a_refusal_is_not_repeated(self, model: StubModel, live: ModelClient) -> None:
        model.status = 422

        with pytest.raises(ModelUnavailableError, match="answered 422"):
            live.recommend(REQUEST)
        assert len(model.requests) == 1

    def test_a_slow_service_is_not_waited_for(self, model: StubModel, live: ModelClient) -> None:
        model.delay_s = 5.0

        with pytest.raises(ModelUnavailableError, match=r"did not answer within 0\.5 s"):
            live.recommend(REQUEST)
        assert len(model.requests) == 1

    def test_a_service_that_is_down_is_named(self) -> None:
        client = ModelClient("http://127.0.0.1:9", timeout_s=0.5)

        with pytest.raises(ModelUnavailableError, match="the model service is down"):
            client.predict(REQUEST)

    def test_what_is_not_json_is_no_answer(self, model: StubModel, live: ModelClient) -> None:
        model.recommendation = b"<html>"

        with pytest.raises(ModelUnavailableError, match="not JSON"):
            live.recommend(REQUEST)


class TestBreaker:
    def test_a_service_that_failed_five_times_in_a_row_is_not_asked(
        self, model: StubModel, live: ModelClient
    ) -> None:
        model.status = 503
        for _ in range(5):
            with pytest.raises(ModelUnavailableError, match="answered 503"):
                live.recommend(REQUEST)
        asked = len(model.requests)

        with pytest.raises(ModelUnavailableError, match="failed 5 times in a row and is left alone"):
            live.recommend(REQUEST)

        assert len(model.requests) == asked

    def test_after_a_while_one_may_try_and_its_success_lets_all_through(
        self, model: StubModel, live: ModelClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(model_client, "OPEN_S", 0.05)
        model.status = 503
        for _ in range(5):
            with pytest.raises(ModelUnavailableError):
                live.recommend(REQUEST)
        model.status = 200
        time.sleep(0.06)

        answers = [live.recommend(REQUEST)["status"] for _ in range(2)]

        assert answers == ["recommended", "recommended"]

    def test_refusals_are_no_failures(self, model: StubModel, live: ModelClient) -> None:
        model.status = 422

        for _ in range(6):
            with pytest.raises(ModelUnavailableError, match="answered 422"):
                live.recommend(REQUEST)

    def test_a_service_that_was_restarted_is_asked_over_a_new_connection(self) -> None:
        with StubModel() as first:
            client = ModelClient(first.url, timeout_s=2.0)
            client.recommend(REQUEST)
            port = int(first.url.rsplit(":", 1)[1])
        with StubModel(port) as second:
            assert client.recommend(REQUEST)["status"] == "recommended"
            assert len(second.requests) == 1
