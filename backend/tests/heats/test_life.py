"""The way of a heat, from registered to completed; corrected, cancelled, diverted."""

import uuid
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import Engine

from backend.database import writing
from backend.errors import validate
from backend.events import HeatDiverted
from backend.heats import service as heats
from backend.worker import Worker
from tests import contracts, plant
from tests.life import complete, decision, events, known, recommended, work
from tests.stub_model import StubModel

COMPLETED = "product.heat.completed.v1"


def divert(engine: Engine, heat: dict[str, Any], **changes: Any) -> None:
    document = contracts.example("plant-events/examples/plant.heat.diverted.v1/valid/to-c45e.json")
    with writing(engine) as session:
        heats.divert(session, validate(HeatDiverted, document | {"treatment": heat["treatment"]} | changes))


class TestWholeLife:
    def test_all_four_are_told_together_in_their_contract(
        self, client: TestClient, worker: Worker, engine: Engine
    ) -> None:
        heat = recommended(client, worker)
        put = decision(client, heat)
        path = plant.path(heat["treatment"])
        client.post(f"{path}/recommendations/{put['recommendation_id']}/shown")
        client.put(f"{path}/decision", json=put)
        complete(client, worker, heat)

        (event,) = events(engine, COMPLETED)
        contracts.check(event, "shapes/cloudevent.v1.schema.json")
        contracts.check(event["data"], f"product-events/{COMPLETED}.schema.json")
        data = event["data"]
        assert event["subject"] == f"demo/{heat['treatment']['heat_uid']}/tapping/1"
        assert data["x"]["heat"]["chemistry"] == heat["chemistry"]
        assert [offer["additive"] for offer in data["x"]["additives"]] == ["SiMn", "FeMnHC", "FeSi75", "coke"]
        assert data["y"]["answer"]["recoveries"]["Mn"]["reasons"] == [
            "oxygen 812 ppm: +0.004",
            "last 8 heats: +0.008",
        ]
        assert data["y_prime"]["decision"]["decision_id"] == put["decision_id"]
        assert data["y_prime"]["decision"]["shown_at"] is not None
        assert [addition["added_kg"] for addition in data["y_prime"]["weighed"]] == [1427.0, 79.0, 147.0]
        assert data["y_prime"]["prediction"]["model"]["version"] == "3"
        assert data["x_prime"]["samples"][0]["chemistry"]["Mn"] == 0.79
        assert known(client, heat)["state"] == "completed"

    def test_live_signals_are_in_their_contracts(
        self, client: TestClient, worker: Worker, engine: Engine
    ) -> None:
        heat = recommended(client, worker)
        client.put(f"{plant.path(heat['treatment'])}/decision", json=decision(client, heat))

        for event_type in ("product.recommendation.made.v1", "product.decision.made.v1"):
            (event,) = events(engine, event_type)
            contracts.check(event, "shapes/cloudevent.v1.schema.json")
            contracts.check(event["data"], f"product-events/{event_type}.schema.json")

    def test_nobody_decided_and_nothing_was_weighed(self, client: TestClient, engine: Engine) -> None:
        heat = plant.heat()
        client.post("/api/v1/heats", json=heat)

        client.post(f"{plant.path(heat['treatment'])}/samples", json=plant.sample(heat["treatment"]))

        (event,) = events(engine, COMPLETED)
        contracts.check(event["data"], f"product-events/{COMPLETED}.schema.json")
        assert event["data"]["y"] is None
        assert event["data"]["y_prime"] == {"decision": None, "weighed": [], "prediction": None}

    def test_a_sample_that_is_not_final_completes_nothing(
        self, client: TestClient, worker: Worker, engine: Engine
    ) -> None:
        heat = recommended(client, worker)

        path = plant.path(heat["treatment"])
        client.post(f"{path}/samples", json=plant.sample(heat["treatment"], "chemistry-not-measured"))

        assert known(client, heat)["state"] == "recommended"
        assert events(engine, COMPLETED) == []


class TestCorrections:
    def test_the_same_again_changes_nothing(self, client: TestClient, worker: Worker, engine: Engine) -> None:
        heat = recommended(client, worker)
        complete(client, worker, heat)
        path = plant.path(heat["treatment"])

        again = [
            client.post("/api/v1/heats", json=heat),
            client.post(f"{path}/weighed", json=plant.weighed(heat["treatment"])),
            client.post(f"{path}/samples", json=plant.sample(heat["treatment"])),
        ]
        work(worker)

        assert [answer.status_code for answer in again] == [200, 200, 200]
        assert len(events(engine, COMPLETED)) == 1

    def test_a_corrected_sample_makes_a_new_revision(
        self, client: TestClient, worker: Worker, engine: Engine
    ) -> None:
        heat = recommended(client, worker)
        complete(client, worker, heat)

        path = plant.path(heat["treatment"])
        client.post(f"{path}/samples", json=plant.sample(heat["treatment"], "corrected"))

        first, second = events(engine, COMPLETED)
        assert (first["data"]["revision"], second["data"]["revision"]) == (1, 2)
        assert first["id"] != second["id"]
        assert second["data"]["completed_at"] == first["data"]["completed_at"]
        assert second["data"]["available_at"] > first["data"]["available_at"]
        assert [sample["revision"] for sample in second["data"]["x_prime"]["samples"]] == [2]

    def test_a_correction_that_comes_before_what_it_corrects_holds(
        self, client: TestClient, worker: Worker, engine: Engine
    ) -> None:
        heat = recommended(client, worker)
        path = plant.path(heat["treatment"])

        client.post(f"{path}/samples", json=plant.sample(heat["treatment"], "corrected"))
        client.post(f"{path}/samples", json=plant.sample(heat["treatment"]))

        (event,) = events(engine, COMPLETED)
        assert event["data"]["x_prime"]["samples"][0]["chemistry"]["Mn"] == 0.81

    def test_corrected_kilograms_are_predicted_again(
        self, client: TestClient, worker: Worker, engine: Engine
    ) -> None:
        heat = recommended(client, worker)
        complete(client, worker, heat)
        correction = contracts.example(
            "plant-events/examples/plant.addition.weighed.v1/valid/correction.json"
        )

        path = plant.path(heat["treatment"])
        client.post(f"{path}/weighed", json={"additions": correction["additions"]})
        work(worker)

        second = events(engine, COMPLETED)[1]["data"]
        assert second["y_prime"]["weighed"][0]["added_kg"] == 1437.0
        assert second["y_prime"]["prediction"]["additions"][0]["added_kg"] == 1437.0

    def test_a_corrected_heat_is_recommended_anew_until_it_is_decided(
        self, client: TestClient, worker: Worker, model: StubModel
    ) -> None:
        heat = recommended(client, worker)
        first = known(client, heat)["recommendation"]

        client.post("/api/v1/heats", json=heat | {"revision": 2, "steel_mass_t": 121.0})
        work(worker)
        second = known(client, heat)["recommendation"]
        client.put(f"{plant.path(heat['treatment'])}/decision", json=decision(client, heat))
        client.post("/api/v1/heats", json=heat | {"revision": 3, "steel_mass_t": 122.0})
        work(worker)

        assert (first["heat_revision"], second["heat_revision"]) == (1, 2)
        assert known(client, heat)["recommendation"] == second
        assert known(client, heat)["heat"]["steel_mass_t"] == 122.0
        assert known(client, heat)["state"] == "decided"

    def test_an_older_revision_of_the_heat_changes_nothing(self, client: TestClient, worker: Worker) -> None:
        heat = recommended(client, worker, revision=2)

        answer = client.post("/api/v1/heats", json=heat | {"revision": 1, "steel_mass_t": 99.0})

        assert answer.status_code == 200
        assert known(client, heat)["heat"]["steel_mass_t"] == 119.4

    def test_a_late_decision_makes_a_new_revision(
        self, client: TestClient, worker: Worker, engine: Engine
    ) -> None:
        heat = recommended(client, worker)
        complete(client, worker, heat)

        client.put(f"{plant.path(heat['treatment'])}/decision", json=decision(client, heat))

        assert [event["data"]["revision"] for event in events(engine, COMPLETED)] == [1, 2]
        assert known(client, heat)["state"] == "completed"


class TestDivert:
    def test_a_diverted_heat_is_recommended_anew_for_its_new_windows(
        self, client: TestClient, worker: Worker, engine: Engine, model: StubModel
    ) -> None:
        heat = recommended(client, worker)
        client.put(f"{plant.path(heat['treatment'])}/decision", json=decision(client, heat))

        divert(engine, heat)
        waits = known(client, heat)["state"]
        work(worker)

        asked = model.asked("/v1/recommendations")
        assert waits == "registered"
        assert known(client, heat)["state"] == "recommended"
        assert asked[1]["heat"]["grade"] == "C45E"
        assert asked[1]["heat"]["windows"]["C"]["aim"] == 0.455

    def test_the_newest_diversion_holds_also_over_later_revisions_of_the_heat(
        self, client: TestClient, worker: Worker, engine: Engine
    ) -> None:
        heat = recommended(client, worker)

        divert(engine, heat)
        divert(engine, heat, diverted_at="2026-03-02T06:01:59.5Z", grade="older")
        client.post("/api/v1/heats", json=heat | {"revision": 2})
        divert(engine, heat, diverted_at="2026-03-02T06:02:00.5Z", grade="B500B", windows={})

        assert known(client, heat)["grade"] == "B500B"
        # Windows of the grade, from the master data: a diversion without windows does not keep the old ones.
        assert known(client, heat)["heat"]["windows"]["C"] == {"min": 0.17, "aim": 0.19, "max": 0.22}


class TestCancel:
    def test_a_cancelled_heat_is_asked_nothing_more(
        self, client: TestClient, worker: Worker, model: StubModel, engine: Engine
    ) -> None:
        heat = plant.heat()
        client.post("/api/v1/heats", json=heat)
        path = plant.path(heat["treatment"])

        cancelled = [
            client.post(f"{path}/cancelled", json={"cancelled_at": "2026-03-02T06:20:00Z"}) for _ in "12"
        ]
        client.post(f"{path}/samples", json=plant.sample(heat["treatment"]))
        work(worker)

        assert [answer.status_code for answer in cancelled] == [201, 200]
        assert known(client, heat)["state"] == "cancelled"
        assert model.requests == []
        assert events(engine, COMPLETED) == []

    def test_a_completed_heat_took_place(self, client: TestClient, worker: Worker) -> None:
        heat = recommended(client, worker)
        complete(client, worker, heat)

        path = plant.path(heat["treatment"])
        answer = client.post(f"{path}/cancelled", json={"cancelled_at": "2026-03-02T06:20:00Z"})

        assert answer.status_code == 409
        assert answer.json()["errors"][0]["allowed"] == "registered, recommended or decided"


class TestDecide:
    def test_the_same_decision_twice_is_one(self, client: TestClient, worker: Worker, engine: Engine) -> None:
        heat = recommended(client, worker)
        put = decision(client, heat)
        path = plant.path(heat["treatment"])

        answers = [client.put(f"{path}/decision", json=put) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [201, 200]
        assert answers[0].json() == answers[1].json()
        assert len(events(engine, "product.decision.made.v1")) == 1

    def test_the_same_id_for_another_decision_is_refused(self, client: TestClient, worker: Worker) -> None:
        heat = recommended(client, worker)
        put = decision(client, heat)
        path = plant.path(heat["treatment"])
        client.put(f"{path}/decision", json=put)

        answer = client.put(f"{path}/decision", json=put | {"decided_by": "somebody else"})

        assert answer.status_code == 409
        assert answer.json()["errors"][0]["where"] == "$.decision_id"

    def test_a_difference_needs_a_reason(self, client: TestClient, worker: Worker) -> None:
        heat = recommended(client, worker)
        put = decision(client, heat, additions=[{"additive": "SiMn", "lot": "SM-118", "added_kg": 1500.0}])
        path = plant.path(heat["treatment"])

        without = client.put(f"{path}/decision", json=put)
        with_one = client.put(f"{path}/decision", json=put | {"reason_code": "chemistry"})

        assert without.status_code == 422
        assert without.json()["errors"] == [
            {
                "where": "$.reason_code",
                "what": "a reason is needed: coke, SiMn, FeSi75 differs from what was recommended",
                "allowed": "cost, chemistry, temperature, stock, quality_of_lot, practice, distrust, other",
            }
        ]
        assert with_one.status_code == 201

    def test_each_addition_may_have_its_own_reason_also_one_that_is_left_out(
        self, client: TestClient, worker: Worker, engine: Engine
    ) -> None:
        heat = recommended(client, worker)
        path = f"{plant.path(heat['treatment'])}/decision"
        reasons = {"SiMn": "temperature", "coke": "stock"}
        put = decision(client, heat, additions=[{"additive": "SiMn", "added_kg": 1500.0}], reasons=reasons)

        one_missing = client.put(path, json=put)
        unheard_of = client.put(path, json=put | {"reasons": reasons | {"Kryptonite": "other"}})
        reasons["FeSi75"] = "temperature"
        all_there = client.put(path, json=put | {"reasons": reasons})
        the_same = client.put(path, json=put | {"reasons": reasons})
        another = client.put(path, json=put | {"reasons": reasons | {"coke": "cost"}})

        assert one_missing.json()["errors"][0]["what"].startswith("a reason is needed: FeSi75 differs")
        assert unheard_of.json()["errors"][0]["where"] == "$.reasons.Kryptonite"
        assert [answer.status_code for answer in (all_there, the_same, another)] == [201, 200, 409]
        assert all_there.json()["reasons"] == reasons
        assert all_there.json()["reason_code"] == "stock"  # coke differs by the most kilograms
        (event,) = events(engine, "product.decision.made.v1")
        contracts.check(event["data"], "product-events/product.decision.made.v1.schema.json")
        assert event["data"]["decision"]["reasons"] == reasons

    def test_a_decision_without_a_recommendation_is_taken(self, client: TestClient) -> None:
        heat = plant.heat()
        client.post("/api/v1/heats", json=heat)
        put = {
            "decision_id": str(uuid.uuid4()),
            "decided_by": "steelmaker-a",
            "additions": [{"additive": "SiMn", "added_kg": 1400.0}],
        }

        answer = client.put(f"{plant.path(heat['treatment'])}/decision", json=put)

        assert answer.status_code == 201
        assert known(client, heat)["state"] == "decided"

    def test_a_recommendation_that_comes_after_the_decision_does_not_undo_it(
        self, client: TestClient, worker: Worker
    ) -> None:
        heat = plant.heat()
        client.post("/api/v1/heats", json=heat)
        put = {"decision_id": str(uuid.uuid4()), "decided_by": "a", "additions": []}
        client.put(f"{plant.path(heat['treatment'])}/decision", json=put)

        work(worker)

        assert known(client, heat)["state"] == "decided"
        assert known(client, heat)["decision"]["recommendation_id"] is None

    def test_unknown_additives_and_too_much_are_refused_together(
        self, client: TestClient, worker: Worker
    ) -> None:
        heat = recommended(client, worker)
        additions = [{"additive": "gold", "added_kg": 1.0}, {"additive": "coke", "added_kg": 401.0}]

        answer = client.put(
            f"{plant.path(heat['treatment'])}/decision", json=decision(client, heat, additions=additions)
        )

        assert answer.status_code == 422
        assert [(error["where"], error["allowed"]) for error in answer.json()["errors"]] == [
            ("$.additions[0].additive", "SiMn, FeMnHC, FeSi75, coke"),
            ("$.additions[1].added_kg", "at most 400 kg"),
        ]

    def test_the_second_of_two_tablets_hears_what_changed(self, client: TestClient, worker: Worker) -> None:
        heat = recommended(client, worker)
        first, second = decision(client, heat), decision(client, heat)
        path = plant.path(heat["treatment"])
        additions = [{"additive": "SiMn", "lot": "SM-118", "added_kg": 1500.0}]
        client.put(
            f"{path}/decision",
            json=first | {"additions": additions, "reason_code": "practice", "decided_by": "Novak"},
        )

        refused = client.put(f"{path}/decision", json=second)
        seen = {"decision_id": first["decision_id"]}
        looked_at = client.put(f"{path}/decision", json=second | {"seen": seen})

        assert refused.status_code == 409
        (change,) = refused.json()["errors"]
        assert change["where"] == "$.seen.decision_id"
        assert change["what"].startswith("Novak decided at ")
        assert change["what"].endswith("UTC: SiMn 1500 kg")
        assert change["allowed"] == first["decision_id"]
        assert looked_at.status_code == 201
        assert looked_at.json()["revision"] == 2

    def test_a_decision_on_what_the_heat_was_is_refused_with_all_that_changed(
        self, client: TestClient, worker: Worker, engine: Engine
    ) -> None:
        heat = recommended(client, worker)
        put = decision(client, heat)
        seen = {"heat_revision": 1, "grade": "B500B", "recommendation_id": put["recommendation_id"]}
        divert(engine, heat)
        client.post("/api/v1/heats", json=heat | {"revision": 2})
        work(worker)

        refused = client.put(f"{plant.path(heat['treatment'])}/decision", json=put | {"seen": seen})

        assert refused.status_code == 409
        assert refused.json()["title"] == "Changed meanwhile"
        assert [error["what"] for error in refused.json()["errors"]] == [
            "the plant corrected the heat: it is at revision 2",
            "the heat is for C45E now",
            "another recommendation has come",
        ]

    def test_what_was_weighed_stands_beside_what_was_decided(
        self, client: TestClient, worker: Worker
    ) -> None:
        heat = recommended(client, worker)
        client.put(f"{plant.path(heat['treatment'])}/decision", json=decision(client, heat))
        before = known(client, heat)["differences"]
        complete(client, worker, heat)

        assert before == []
        assert known(client, heat)["differences"][0] == {
            "additive": "SiMn",
            "decided_kg": 1375.0,
            "weighed_kg": 1427.0,
            "difference_kg": 52.0,
        }


class TestAgain:
    def test_a_heat_that_is_treated_again_is_a_treatment_of_its_own(
        self, client: TestClient, worker: Worker, engine: Engine
    ) -> None:
        heat = recommended(client, worker)
        complete(client, worker, heat)
        again = heat | {"treatment": heat["treatment"] | {"treatment_no": 2}}

        assert client.post("/api/v1/heats", json=again).status_code == 201
        work(worker)

        assert known(client, again)["state"] == "recommended"
        complete(client, worker, again)
        subjects = [event["subject"] for event in events(engine, COMPLETED)]
        assert [subject.rsplit("/", 1)[1] for subject in subjects] == ["1", "2"]
