"""What the model is asked, what is done with its answer, and the handbook where there is none."""

import logging
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import select

from backend.clock import instant_text, now
from backend.database import reading, writing
from backend.errors import validate
from backend.events import PriceChanged, StockCounted
from backend.master_data import service as master_data
from backend.master_data import stock
from backend.master_data.tables import StockMovement
from backend.model_client import ModelClient
from backend.recommendations.service import recommend, recommend_in_shadow
from backend.recommendations.tables import Recommendation
from backend.tasks import service as tasks
from backend.worker import Worker
from tests import contracts, plant
from tests.life import complete, decision, known, recommended, work
from tests.stub_model import ABSTAINED, StubModel

HANDBOOK_KG = {"SiMn": 1425.0, "FeSi75": 80.0, "coke": 146.0}


def kilograms(recommendation: dict[str, Any]) -> dict[str, float]:
    return {addition["additive"]: addition["added_kg"] for addition in recommendation["additions"]}


def adding(additive: str, added_kg: float) -> dict[str, Any]:
    return {
        "additions": [
            {"additive": additive, "added_kg": added_kg, "cost": {"amount": 1.0, "currency": "EUR"}}
        ]
    }


class TestRequest:
    def test_what_the_model_is_asked_is_in_its_contract(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        complete(client, worker, recommended(client, worker))
        recommended(client, worker)

        for request in model.asked("/v1/recommendations"):
            contracts.check(request, "model-service/recommendation-request.v1.schema.json")
        for request in model.asked("/v1/predictions"):
            contracts.check(request, "model-service/prediction-request.v1.schema.json")

    def test_recent_heats_come_with_what_was_predicted_then(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        first, second = recommended(client, worker), recommended(client, worker)
        complete(client, worker, first)
        complete(client, worker, second)
        elsewhere = plant.heat()
        elsewhere["treatment"]["station"] = "ladle_furnace"
        client.post("/api/v1/heats", json=elsewhere)
        third = recommended(client, worker)

        requests = {
            request["heat"]["treatment"]["heat_uid"]: request
            for request in model.asked("/v1/recommendations")
        }
        last = requests[third["treatment"]["heat_uid"]]
        assert [recent["treatment"] for recent in last["recent_heats"]] == [
            first["treatment"],
            second["treatment"],
        ]
        newest = last["recent_heats"][-1]
        assert newest["base_prediction_pct"] == {"C": 0.189, "Si": 0.201, "Mn": 0.772}
        assert newest["bundle_hash"] == "ab" * 32
        assert newest["chemistry_after"]["Mn"] == 0.79
        assert [addition["added_kg"] for addition in newest["additions"]] == [1427.0, 79.0, 147.0]
        assert requests[elsewhere["treatment"]["heat_uid"]]["recent_heats"] == []

    def test_no_more_than_thirty_recent_heats_are_sent(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        for _ in range(32):
            complete(client, worker, recommended(client, worker))
        last = recommended(client, worker)

        assert len(model.asked("/v1/recommendations")[-1]["recent_heats"]) == 30
        assert known(client, last)["state"] == "recommended"

    def test_a_heat_whose_weighing_cannot_be_teaches_nothing(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        heat = recommended(client, worker)
        path = plant.path(heat["treatment"])
        weighed = plant.weighed(heat["treatment"])
        weighed["additions"][0]["added_kg"] = 1e308
        weighed["additions"][1] |= {"additive": "SiMn", "added_kg": 1e308}
        client.post(f"{path}/weighed", json=weighed)
        client.post(f"{path}/samples", json=plant.sample(heat["treatment"]))
        work(worker)

        recommended(client, worker)

        assert known(client, heat)["state"] == "completed"
        assert model.asked("/v1/recommendations")[-1]["recent_heats"] == []

    def test_windows_of_the_grade_are_sent_where_the_heat_has_none(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        heat = plant.heat()
        del heat["windows"]

        client.post("/api/v1/heats", json=heat)
        work(worker)

        assert model.asked("/v1/recommendations")[0]["heat"]["windows"]["Mn"] == {
            "min": 0.7,
            "aim": 0.8,
            "max": 1.0,
        }

    def test_an_additive_that_is_out_of_stock_is_not_offered(
        self, client: TestClient, worker: Worker, model: StubModel, engine: Engine
    ) -> None:
        counted = {
            "plant_id": "demo",
            "additive": "SiMn",
            "stock_kg": 0.0,
            "counted_at": "2026-03-02T05:00:00Z",
        }
        with writing(engine) as session:
            master_data.count_stock(session, validate(StockCounted, counted))

        recommended(client, worker)

        (request,) = model.asked("/v1/recommendations")
        assert [offer["additive"] for offer in request["additives"]] == ["FeMnHC", "FeSi75", "coke"]


class TestFallback:
    """The steelmaker gets the handbook's kilograms, and why."""

    def test_a_slow_model_is_not_waited_for(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        model.delay_s = 3.0

        recommendation = known(client, recommended(client, worker))["recommendation"]

        assert recommendation["source"] == "handbook"
        assert recommendation["fallback_reason"] == "the model service did not answer within 0.5 s"
        assert kilograms(recommendation) == HANDBOOK_KG
        assert recommendation["cost"] == {"amount": pytest.approx(1664.37), "currency": "EUR"}
        assert recommendation["model_version"] is None
        contracts.check(recommendation, "product-events/recommendation-record.v1.schema.json")

    def test_an_abstention_is_kept_with_its_reasons(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        model.recommendation = contracts.example(ABSTAINED)

        recommendation = known(client, recommended(client, worker))["recommendation"]

        assert recommendation["source"] == "handbook"
        assert recommendation["fallback_reason"] == (
            "the model abstained: steel mass 19.4 t is outside 98 to 131 t seen in training"
        )
        assert recommendation["answer"]["status"] == "abstained"
        assert kilograms(recommendation) == HANDBOOK_KG
        contracts.check(recommendation, "product-events/recommendation-record.v1.schema.json")

    def test_an_error_of_the_model_is_named(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        model.status = 500

        recommendation = known(client, recommended(client, worker))["recommendation"]

        assert recommendation["fallback_reason"] == "the model service answered 500"
        assert kilograms(recommendation) == HANDBOOK_KG

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"status": "certainly"}, "the model service's answer is not in its contract: $.status"),
            (adding("gold", 1.0), "gold is not among what can be added"),
            (
                adding("coke", 401.0),
                "breaks a hard limit: coke 401 kg is more than 400 kg per treatment",
            ),
        ],
    )
    def test_an_answer_that_cannot_be_followed_is_not_shown(
        self, client: TestClient, worker: Worker, model: StubModel, change: dict[str, Any], reason: str
    ) -> None:
        model.recommendation |= change

        recommendation = known(client, recommended(client, worker))["recommendation"]

        assert recommendation["source"] == "handbook"
        assert reason in recommendation["fallback_reason"]
        assert kilograms(recommendation) == HANDBOOK_KG
        contracts.check(recommendation, "product-events/recommendation-record.v1.schema.json")

    def test_without_a_rule_nothing_is_recommended_and_that_is_said(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        model.status = 503
        heat = plant.heat()
        heat["treatment"]["station"] = "ladle_furnace"

        client.post("/api/v1/heats", json=heat)
        work(worker)

        recommendation = known(client, heat)["recommendation"]
        assert recommendation["additions"] == []
        assert "no rule for station ladle_furnace and grade B500B" in recommendation["fallback_reason"]

    @pytest.mark.parametrize("steel_mass_t", [1e-300, 119_400.0, 1e308])
    def test_a_mass_that_cannot_be_gives_no_kilograms(
        self, client: TestClient, worker: Worker, model: StubModel, steel_mass_t: float
    ) -> None:
        model.status = 503

        heat = recommended(client, worker, steel_mass_t=steel_mass_t)

        recommendation = known(client, heat)["recommendation"]

        assert recommendation["additions"] == []
        assert "is not between 1 and 500 t" in recommendation["fallback_reason"]


class TestPrediction:
    def test_a_model_that_is_down_holds_up_no_completion(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        heat = recommended(client, worker)
        model.status = 503

        complete(client, worker, heat)

        assert known(client, heat)["state"] == "completed"
        assert known(client, heat)["prediction"] is None

    def test_what_was_not_predicted_when_weighed_is_asked_for_again_at_completion(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        heat = recommended(client, worker)
        path = plant.path(heat["treatment"])
        model.status = 503
        client.post(f"{path}/weighed", json=plant.weighed(heat["treatment"]))
        work(worker)
        model.status = 200

        client.post(f"{path}/samples", json=plant.sample(heat["treatment"]))
        work(worker)

        assert known(client, heat)["state"] == "completed"
        assert known(client, heat)["prediction"]["status"] == "predicted"

    def test_what_was_weighed_from_another_lot_is_predicted_with_its_certificate(
        self, client: TestClient, worker: Worker, model: StubModel, engine: Engine
    ) -> None:
        heat = recommended(client, worker)
        received = contracts.example("plant-events/examples/plant.lot.received.v1/valid/simn.json")
        with writing(engine) as session:
            master_data.receive_lot(session, validate(master_data.LotReceived, received))
        weighed = plant.weighed(heat["treatment"])
        weighed["additions"][0]["lot"] = "SM-119"

        client.post(f"{plant.path(heat['treatment'])}/weighed", json=weighed)
        work(worker)

        (request,) = model.asked("/v1/predictions")
        assert (request["additives"][0]["lot"], request["additives"][0]["assay"]["Mn"]) == ("SM-119", 65.4)

    def test_an_additive_that_nobody_knows_is_kept_but_not_predicted(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        heat = recommended(client, worker)
        weighed = plant.weighed(heat["treatment"])
        weighed["additions"][0]["additive"] = "mystery"

        client.post(f"{plant.path(heat['treatment'])}/weighed", json=weighed)
        work(worker)

        assert model.asked("/v1/predictions") == []
        assert known(client, heat)["weighed"][0]["additive"] == "mystery"
        assert known(client, heat)["prediction"] is None


class TestShadow:
    def test_a_shadow_is_asked_the_same_and_never_shown(
        self, client: TestClient, engine: Engine, model: StubModel, live: ModelClient
    ) -> None:
        with StubModel() as other:
            other.recommendation["model"] = other.recommendation["model"] | {"version": "4"}
            shadow = ModelClient(other.url, 0.5)
            worker = Worker(engine, live, shadow)
            heat = recommended(client, worker)
            worker.close()

        assert other.asked("/v1/recommendations") == model.asked("/v1/recommendations")
        assert known(client, heat)["recommendation"]["model_version"] == "3"
        with reading(engine) as session:
            roles = session.exec(select(Recommendation.role, Recommendation.model_version)).all()
        assert sorted(roles) == [("live", "3"), ("shadow", "4")]

    def test_what_a_shadow_was_asked_outlives_the_process(
        self, client: TestClient, engine: Engine, model: StubModel, live: ModelClient
    ) -> None:
        """Killed after the live recommendation was stored and before the shadow had answered."""
        heat = plant.heat()
        client.post("/api/v1/heats", json=heat)
        with reading(engine) as session:
            (due,) = tasks.due(session)
        recommend(engine, live, due.heat_id, has_shadow=True)
        client.post("/api/v1/heats", json=heat | {"revision": 2, "steel_mass_t": 99.0})

        with StubModel() as other:
            next_one = Worker(engine, live, ModelClient(other.url, 0.5))
            with reading(engine) as session:
                tasks_left = tasks.due(session)
            recommend_in_shadow(engine, next_one.shadow or live, due.heat_id)
            next_one.close()

        assert [task.kind for task in tasks_left] == ["recommendation", "shadow"]
        assert other.asked("/v1/recommendations") == model.asked("/v1/recommendations")

    def test_a_shadow_that_is_down_is_only_logged(
        self, client: TestClient, engine: Engine, live: ModelClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        shadow = ModelClient("http://127.0.0.1:9", 0.5)
        worker = Worker(engine, live, shadow)
        with caplog.at_level(logging.WARNING):
            heat = recommended(client, worker)
            worker.close()

        assert known(client, heat)["state"] == "recommended"
        assert "no shadow recommendation" in caplog.text


class TestAskAgain:
    def test_asking_again_makes_a_new_one(self, client: TestClient, worker: Worker) -> None:
        heat = recommended(client, worker)
        first = known(client, heat)["recommendation"]

        answer = client.post(f"{plant.path(heat['treatment'])}/recommendations")

        assert answer.status_code == 201
        assert answer.json()["recommendation_id"] != first["recommendation_id"]
        assert (
            known(client, heat)["recommendation"]["recommendation_id"] == answer.json()["recommendation_id"]
        )

    def test_a_treatment_that_was_decided_is_not_asked_for_again(
        self, client: TestClient, worker: Worker
    ) -> None:
        heat = recommended(client, worker)
        complete(client, worker, heat)

        answer = client.post(f"{plant.path(heat['treatment'])}/recommendations")

        assert answer.status_code == 409
        assert answer.json()["errors"][0]["what"] == "the treatment is completed"

    def test_the_time_it_was_first_shown_is_kept(self, client: TestClient, worker: Worker) -> None:
        heat = recommended(client, worker)
        before = now()
        path = plant.path(heat["treatment"])
        shown = f"{path}/recommendations/{known(client, heat)['recommendation']['recommendation_id']}/shown"

        first, second = client.post(shown).json()["shown_at"], client.post(shown).json()["shown_at"]

        assert first == second
        assert before.isoformat()[:19] <= first[:19]

    def test_the_same_key_again_is_the_same_recommendation(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        heat = recommended(client, worker)
        path = f"{plant.path(heat['treatment'])}/recommendations"

        answers = [client.post(path, headers={"Idempotency-Key": "tablet-2-click-1"}) for _ in "12"]

        assert [answer.status_code for answer in answers] == [201, 200]
        assert answers[0].json() == answers[1].json()
        assert len(model.asked("/v1/recommendations")) == 2


class TestStale:
    """What waits for the steelmaker is recommended anew when stock, price or lot change, else marked."""

    def price(self, engine: Engine, amount: float) -> None:
        price = {"amount": amount, "currency": "EUR", "valid_from": "2026-03-02T05:00:00Z"}
        with writing(engine) as session:
            changed = {"plant_id": "demo", "additive": "SiMn", "price_per_t": price}
            master_data.change_price(session, validate(PriceChanged, changed))

    def count(self, engine: Engine, stock_kg: float) -> None:
        counted_at = instant_text(now())
        counted = {"plant_id": "demo", "additive": "SiMn", "stock_kg": stock_kg, "counted_at": counted_at}
        with writing(engine) as session:
            master_data.count_stock(session, validate(StockCounted, counted))

    def test_a_new_price_is_reckoned_with(
        self, client: TestClient, worker: Worker, engine: Engine, model: StubModel
    ) -> None:
        heat = recommended(client, worker)
        first = known(client, heat)
        worker.refresh_stale()

        self.price(engine, 1234.0)
        stale = known(client, heat)["stale"]
        refreshed = worker.refresh_stale()
        work(worker)
        second = known(client, heat)

        assert (first["stale"], stale, refreshed) == ([], ["the price of SiMn changed"], 1)
        assert second["recommendation"]["recommendation_id"] != first["recommendation"]["recommendation_id"]
        assert second["stale"] == []
        prices = [asked["additives"][0]["price_per_t"] for asked in model.asked("/v1/recommendations")]
        assert prices[-1]["amount"] == 1234.0

    def test_stock_counts_where_it_decides(self, client: TestClient, worker: Worker, engine: Engine) -> None:
        heat = recommended(client, worker)
        worker.refresh_stale()

        self.count(engine, 30_000.0)
        plenty = worker.refresh_stale()
        self.count(engine, 500.0)
        too_little = worker.refresh_stale()

        assert (plenty, too_little) == (0, 1)
        assert known(client, heat)["stale"] == ["the stock of SiMn changed to 500 kg"]

    def test_what_is_decided_is_marked_and_left_alone(
        self, client: TestClient, worker: Worker, engine: Engine, model: StubModel
    ) -> None:
        heat = recommended(client, worker)
        client.put(f"{plant.path(heat['treatment'])}/decision", json=decision(client, heat))
        client.post("/api/v1/heats", json=heat | {"revision": 2})
        self.price(engine, 1234.0)

        refreshed = worker.refresh_stale()
        work(worker)

        assert refreshed == 0
        assert len(model.asked("/v1/recommendations")) == 1
        assert known(client, heat)["stale"] == [
            "the heat was corrected: revision 2",
            "the price of SiMn changed",
        ]


class TestMovements:
    def test_the_book_says_what_was_weighed_since_the_count(
        self, client: TestClient, worker: Worker, engine: Engine
    ) -> None:
        heat = recommended(client, worker)
        counted = {"plant_id": "demo", "additive": "SiMn", "stock_kg": 9000.0}
        with writing(engine) as session:
            at = "2026-03-02T05:00:00Z"
            master_data.count_stock(session, validate(StockCounted, counted | {"counted_at": at}))
        complete(client, worker, heat)
        correction = contracts.example(
            "plant-events/examples/plant.addition.weighed.v1/valid/correction.json"
        )
        path = plant.path(heat["treatment"])
        client.post(f"{path}/weighed", json={"additions": correction["additions"]})

        with reading(engine) as session:
            book = {one.additive: one for one in stock.of(session, "demo")}
            movements = session.exec(select(StockMovement.kind, StockMovement.kg).order_by("id")).all()

        assert (book["SiMn"].told_kg, book["SiMn"].weighed_since_kg) == (9000.0, 1437.0)
        assert book["SiMn"].book_kg == 9000.0 - 1437.0
        assert movements[0] == ("counted", 9000.0)
        assert movements[-2:] == [("weighed", -1427.0), ("weighed", 1437.0)]
