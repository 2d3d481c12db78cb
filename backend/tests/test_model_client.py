"""Asking the model service: within the time limit, once more after an early failure, with a reason."""

import pytest

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
        client.close()

    def test_what_is_not_json_is_no_answer(self, model: StubModel, live: ModelClient) -> None:
        model.recommendation = b"<html>"

        with pytest.raises(ModelUnavailableError, match="not JSON"):
            live.recommend(REQUEST)
