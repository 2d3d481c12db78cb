"""What a steelmaker and a data scientist do with the pages, in a real browser."""

import re

import httpx
from playwright.sync_api import expect

import lake
import plant
from browser.conftest import HEATS, Visit
from running_demo import RunningDemo, get, wait_until


def registered_heat(demo: RunningDemo) -> dict[str, object]:
    """Tell of a new heat and return it when its recommendation is there."""
    heat = plant.new_heat()
    plant.publish(demo.urls["nats"], [("plant.heat.registered.v1", heat)])
    url = f"{demo.urls['backend']}/api/v1/treatments/{plant.path_of(heat['treatment'])}"
    wait_until(lambda: (get(url) or {}).get("recommendation"))
    return heat


def test_the_list_shows_the_heats_and_leads_to_one(demo: RunningDemo, visit: Visit) -> None:
    heat = registered_heat(demo)

    visit.page.goto(demo.urls["backend"])
    visit.picture("heats")
    visit.page.get_by_role("link", name=str(heat["heat_no"])).first.click()

    expect(visit.page.get_by_role("heading", level=1)).to_have_text(str(heat["heat_no"]))
    visit.picture("heat-recommended")
    assert visit.complaints == []
    assert visit.outside(demo.urls["backend"]) == []


def test_an_edit_is_predicted_at_once_confirmed_and_reaches_the_lake(demo: RunningDemo, visit: Visit) -> None:
    heat = registered_heat(demo)
    treatment = heat["treatment"]
    assert isinstance(treatment, dict)
    page = visit.page
    page.goto(f"{demo.urls['backend']}/heats/{plant.path_of(treatment)}")
    kilograms = page.get_by_label(re.compile("^SiMn, kg"))
    manganese = page.locator("tr[data-element=Mn] .predicted-text")
    decided_kg = float(kilograms.input_value()) + 100
    before = manganese.inner_text()

    kilograms.fill(f"{decided_kg:g}")
    expect(manganese).not_to_have_text(before)
    page.get_by_label("Reason, where you differ").select_option("practice")
    page.get_by_label("Your name or badge").fill("steelmaker-a")
    visit.picture("heat-edited")
    page.get_by_role("button", name="Confirm").click()

    expect(page.get_by_text("Decided by steelmaker-a")).to_be_visible()
    visit.picture("heat-decided")
    plant.publish(
        demo.urls["nats"],
        [
            ("plant.addition.weighed.v1", plant.weighed(treatment)),
            ("plant.sample.analysed.v1", plant.sample(treatment)),
        ],
    )
    wait_until(lambda: lake.rows_of(demo.folder, treatment).height)
    (row,) = lake.rows_of(demo.folder, treatment).iter_rows(named=True)
    assert {addition["additive"]: addition["added_kg"] for addition in row["decided"]}["SiMn"] == decided_kg
    assert (row["decided_by"], row["reason_code"]) == ("steelmaker-a", "practice")
    assert row["shown_at"] <= row["decided_at"]
    page.reload()
    visit.picture("heat-completed")
    assert visit.complaints == []
    assert visit.outside(demo.urls["backend"]) == []


def test_the_prediction_of_an_edit_is_the_model_services_own(demo: RunningDemo, visit: Visit) -> None:
    heat = registered_heat(demo)
    treatment = heat["treatment"]
    assert isinstance(treatment, dict)
    known = get(f"{demo.urls['backend']}/api/v1/treatments/{plant.path_of(treatment)}")
    assert known is not None
    manganese = known["recommendation"]["answer"]["elements"]["Mn"]
    page = visit.page
    page.goto(f"{demo.urls['backend']}/heats/{plant.path_of(treatment)}")
    kilograms = page.get_by_label(re.compile("^SiMn, kg"))

    kilograms.fill(f"{float(kilograms.input_value()) + 200:g}")

    expected = manganese["predicted_pct"] + 200 * manganese["slope_pct_per_kg"]["SiMn"]
    shown = page.locator("tr[data-element=Mn] .predicted-text")
    digits = len(shown.inner_text().partition(".")[2])
    expect(shown).to_have_text(f"{expected:.{digits}f}")


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
