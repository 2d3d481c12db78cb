"""What the page of a heat says of kilograms other than those recommended."""

from copy import deepcopy
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.heats.schemas import TreatmentRead
from backend.pages.view import ElementRow, heat_view
from backend.worker import Worker
from tests import life, plant
from tests.stub_model import StubModel

GROWTH = 0.04


@pytest.fixture
def decided(client: TestClient, worker: Worker, model: StubModel) -> dict[str, Any]:
    """A heat into which more is decided than was recommended; the model tells how its intervals grow."""
    model.recommendation = deepcopy(model.recommendation)
    for element in model.recommendation["elements"].values():
        element["interval_pct"]["half_per_added_pct"] = GROWTH
    heat = life.recommended(client, worker)
    made = life.decision(client, heat, reason_code="practice")
    made["additions"] = [
        {**addition, "added_kg": addition["added_kg"] + 200} for addition in made["additions"]
    ]
    answer = client.put(f"{plant.path(heat['treatment'])}/decision", json=made)
    assert answer.status_code == 201, answer.text
    return life.known(client, heat)


def manganese(known: dict[str, Any]) -> ElementRow:
    view = heat_view(TreatmentRead.model_validate_json(TreatmentRead(**known).model_dump_json()))
    return next(row for row in view.elements if row.element == "Mn")


def told(known: dict[str, Any]) -> dict[str, Any]:
    interval: dict[str, Any] = known["recommendation"]["answer"]["elements"]["Mn"]["interval_pct"]
    return interval


def test_the_interval_is_wider_where_more_is_decided_than_was_recommended(decided: dict[str, Any]) -> None:
    per_kg = {
        offer["additive"]: GROWTH * offer["assay"].get("Mn", 0.0) / (1000 * decided["heat"]["steel_mass_t"])
        for offer in decided["additives"]
    }
    before, after = (
        sum(per_kg[addition["additive"]] * addition["added_kg"] for addition in additions)
        for additions in (decided["recommendation"]["additions"], decided["decision"]["additions"])
    )
    half = (told(decided)["high"] - told(decided)["low"]) / 2

    estimate = manganese(decided).estimate

    assert after > before > 0
    assert estimate is not None
    assert estimate.half_pct == pytest.approx((half**2 - before**2 + after**2) ** 0.5)


def test_a_model_that_does_not_tell_how_it_grows_leaves_it_as_wide_as_it_is(decided: dict[str, Any]) -> None:
    del told(decided)["half_per_added_pct"]

    estimate = manganese(decided).estimate

    assert estimate is not None
    assert estimate.half_pct == pytest.approx((told(decided)["high"] - told(decided)["low"]) / 2)
