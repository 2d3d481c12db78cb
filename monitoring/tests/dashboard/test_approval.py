"""A model in shadow becomes champion where a person lets it, and only one that was found better."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from monitoring.dashboard.app import create_app
from monitoring.lake.tables import append, open_table
from monitoring.settings import Settings
from tests.alarms.test_degraded import valid
from tests.conftest import free_port, wait_for
from tests.dashboard.test_app import store
from tests.measures.test_against_shadow import SHADOW, as_shadows, heats, shadow_event

HERE = {"origin": "http://testserver"}


def serving(lake: Path, off_pct: float) -> TestClient:
    """The dashboard over a plant where another model in shadow was so far off the results."""
    of = heats(80)
    store(lake, *of)
    said = as_shadows([shadow_event(one, off_pct) for one in of]).collect().to_dicts()
    append(open_table(lake, "shadows"), said, stream="PRODUCT then", after=0, upto=len(said))
    settings = Settings(lake=lake, nats_url=f"nats://127.0.0.1:{free_port()}", diagnose_every_s=0.2)
    return TestClient(create_app(settings))


@pytest.fixture
def better(lake: Path) -> Iterator[TestClient]:
    with serving(lake, 0.001) as one:
        wait_for(lambda: bool(one.get("/api/v1/diagnosis").json()["against"]), "the comparison")
        yield one


@pytest.fixture
def worse(lake: Path) -> Iterator[TestClient]:
    with serving(lake, 0.2) as one:
        wait_for(lambda: bool(one.get("/api/v1/diagnosis").json()["against"]), "the comparison")
        yield one


def told(client: TestClient) -> list[dict[str, Any]]:
    events = client.get("/api/v1/announcements").json()["announcements"]
    return [one for one in events if one["type"] == "monitoring.promotion.approved.v1"]


def test_a_better_one_is_promoted_when_somebody_presses_the_button(better: TestClient) -> None:
    page = better.get("/").text
    before = told(better)
    pressed = better.post(
        f"/shadow/{SHADOW}", content="by=Anna&note=seen", headers=HERE, follow_redirects=False
    )
    (event,) = told(better)

    assert f'action="/shadow/{SHADOW}"' in page
    assert before == []
    assert pressed.status_code == 303
    assert {key: event["data"][key] for key in ("bundle_hash", "by", "note")} == {
        "bundle_hash": SHADOW,
        "by": "Anna",
        "note": "seen",
    }
    valid("monitoring.promotion.approved.v1", event["data"])


def test_pressing_again_says_it_once(better: TestClient) -> None:
    for _ in range(2):
        better.post(f"/api/v1/shadow/{SHADOW}/approved", json={"by": "Anna"})

    assert len(told(better)) == 1


def test_nobody_is_promoted_unnamed_or_from_another_site(better: TestClient) -> None:
    unnamed = better.post(f"/shadow/{SHADOW}", content="by=", headers=HERE)
    from_elsewhere = better.post(
        f"/shadow/{SHADOW}", content="by=Eve", headers={"origin": "http://elsewhere"}
    )

    too_long = better.post(f"/shadow/{SHADOW}", content=f"by=Anna&note={'x' * 501}", headers=HERE)

    assert {one.status_code for one in (unnamed, from_elsewhere, too_long)} == {422}
    assert told(better) == []


def test_a_worse_one_has_no_button_and_cannot_be_promoted(worse: TestClient) -> None:
    refused = worse.post(f"/api/v1/shadow/{SHADOW}/approved", json={"by": "Anna"})

    assert "Make it champion" not in worse.get("/").text
    assert refused.status_code == 409
    assert refused.json()["errors"][0]["allowed"] == "a shadow that was judged better"
    assert told(worse) == []
