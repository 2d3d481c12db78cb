"""The pages of monitoring and MLflow, in a real browser."""

import re

import httpx
from playwright.sync_api import expect

from browser.conftest import HEATS, Visit
from running_demo import RunningDemo, get, wait_until


def test_monitoring_shows_the_figures_of_the_lake(demo: RunningDemo, visit: Visit) -> None:
    visit.page.goto(demo.urls["monitoring"])
    visit.picture("monitoring")
    summary = get(f"{demo.urls['monitoring']}/api/v1/summary")

    tile = visit.page.locator(".tile", has_text="Heats collected")
    assert summary is not None
    assert summary["heats"] >= HEATS
    expect(tile).to_contain_text(re.compile(r"\d"))
    expect(visit.page.get_by_role("link", name="Mn", exact=True)).to_be_visible()
    assert visit.complaints == []
    assert visit.outside(demo.urls["monitoring"]) == []


def test_mlflow_shows_the_registered_model_to_people(demo: RunningDemo, visit: Visit) -> None:
    wait_until(lambda: "ok mlflow" in demo.output)
    answer = httpx.get(f"{demo.urls['mlflow']}/api/2.0/mlflow/registered-models/search", timeout=30)

    visit.page.goto(f"{demo.urls['mlflow']}/#/models")
    (model,) = answer.json()["registered_models"]
    expect(visit.page.get_by_text(model["name"]).first).to_be_visible(timeout=30_000)
    visit.picture("mlflow")
