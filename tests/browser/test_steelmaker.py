"""The steelmaker's path in a real browser: see, edit, confirm, and find the result; by mouse and by keys."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

import lake
import plant
from browser.conftest import Visit
from browser.steelmaker import address, end, kilograms, known, predicted, waiting_heat
from running_demo import RunningDemo, wait_until


def confirm(page: Page) -> None:
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text(re.compile("Decided by"))).to_be_visible()


def test_what_waits_is_on_the_first_page_and_its_whole_way_is_followed_there(
    demo: RunningDemo, visit: Visit
) -> None:
    page = visit.page
    page.goto(demo.urls["backend"])
    heat = waiting_heat(demo)
    card = page.get_by_role("link", name=re.compile(str(heat["heat_no"])))

    expect(card).to_contain_text("waits for you")  # nobody reloaded the page
    visit.picture("heats-now")
    card.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(str(heat["heat_no"]))
    expect(page.locator("#summary")).to_contain_text(re.compile("in their windows|At the edge|Outside"))
    visit.picture("heat-recommended")
    confirm(page)
    visit.picture("heat-decided")
    end(demo, heat)

    expect(page.get_by_text("predicted for what was weighed")).to_be_visible(timeout=30_000)
    expect(page.locator("tr[data-element=Mn]")).to_contain_text("0.790")
    visit.picture("heat-completed")
    page.goto(demo.urls["backend"])
    expect(card).to_contain_text(re.compile("in its windows|outside|not measured"))
    assert visit.complaints == []
    assert visit.outside(demo.urls["backend"]) == []


def test_an_override_is_predicted_at_once_needs_a_reason_and_reaches_the_lake(
    demo: RunningDemo, visit: Visit
) -> None:
    heat = waiting_heat(demo)
    page = visit.page
    page.goto(address(demo, heat))
    bin_ = kilograms(page, "SiMn")
    recommended_kg = float(bin_.input_value())
    before, cost = predicted(page, "Mn").inner_text(), page.locator("#cost").inner_text()

    bin_.fill(f"{recommended_kg + 100:g}")

    expect(predicted(page, "Mn")).not_to_have_text(before)
    expect(page.locator("#cost")).not_to_have_text(cost)
    expect(page.locator("#different")).to_have_text("SiMn +100 kg")
    page.get_by_role("button", name="Confirm").click()
    assert known(demo, heat)["decision"] is None  # the browser asks for a reason first
    page.get_by_label("practice", exact=True).check()
    visit.picture("heat-edited")
    confirm(page)
    end(demo, heat)
    wait_until(lambda: lake.rows_of(demo.folder, heat["treatment"]).height)

    (row,) = lake.rows_of(demo.folder, heat["treatment"]).iter_rows(named=True)
    decided = {addition["additive"]: addition["added_kg"] for addition in row["decided"]}
    assert decided["SiMn"] == recommended_kg + 100
    assert row["reason_code"] == "practice"
    assert row["shown_at"] <= row["decided_at"]


def test_the_prediction_of_an_edit_is_the_model_services_own(demo: RunningDemo, visit: Visit) -> None:
    heat = waiting_heat(demo)
    manganese = known(demo, heat)["recommendation"]["answer"]["elements"]["Mn"]
    page = visit.page
    page.goto(address(demo, heat))
    bin_ = kilograms(page, "SiMn")

    bin_.fill(f"{float(bin_.input_value()) + 200:g}")

    expected = manganese["predicted_pct"] + 200 * manganese["slope_pct_per_kg"]["SiMn"]
    shown = predicted(page, "Mn")
    digits = len(shown.inner_text().partition(".")[2])
    expect(shown).to_have_text(f"{expected:.{digits}f}")


def test_the_interval_of_an_edit_is_as_wide_as_the_model_services_own(
    demo: RunningDemo, visit: Visit
) -> None:
    heat = waiting_heat(demo)
    page = visit.page
    page.goto(address(demo, heat))
    before = width_pct(page, "Mn")
    bin_ = kilograms(page, "SiMn")
    more_kg = float(bin_.input_value()) + 400

    bin_.fill(f"{more_kg:g}")
    after = width_pct(page, "Mn")
    page.get_by_label("practice", exact=True).check()
    confirm(page)

    assert after > before
    assert after / before == pytest.approx(model_widening(demo, heat, "Mn"), rel=0.02)  # drawn in tenths
    assert width_pct(page, "Mn") == pytest.approx(after, rel=0.01)  # the server draws the same


def model_widening(demo: RunningDemo, heat: dict[str, Any], element: str) -> float:
    """How much wider the model service itself says for what was decided than for what was recommended.

    Without the heats before: how they scatter widens both alike.
    """
    treatment = known(demo, heat)
    widths = []
    for said in (treatment["recommendation"], treatment["decision"]):
        question = {name: treatment[name] for name in ("heat", "additives")} | {
            "additions": said["additions"]
        }
        answer = httpx.post(f"{demo.urls['model_service']}/v1/predictions", json=question).json()
        interval = answer["elements"][element]["interval_pct"]
        widths.append(interval["high"] - interval["low"])
    return float(widths[1] / widths[0])


def width_pct(page: Page, element: str) -> float:
    """How wide the element's interval is drawn, in wt %."""
    drawn: float = page.locator(f"tr[data-element={element}] svg.bar").evaluate(
        """(bar) => {
          const line = bar.querySelector(".interval");
          const span = Number(bar.dataset.right) - Number(bar.dataset.left);
          return ((line.getAttribute("x2") - line.getAttribute("x1")) / 320) * span;
        }"""
    )
    return drawn


def test_steppers_go_by_bags_within_what_may_be_tipped_and_back_again(
    demo: RunningDemo, visit: Visit
) -> None:
    heat = waiting_heat(demo)
    (offer,) = [one for one in known(demo, heat)["additives"] if one["additive"] == "SiMn"]
    bag = offer["increment_kg"]
    page = visit.page
    page.goto(address(demo, heat))
    bin_ = kilograms(page, "SiMn")
    start = float(bin_.input_value())
    more = page.get_by_role("button", name=f"{bag:g} kg more SiMn")

    more.click()
    expect(bin_).to_have_value(f"{start + bag:g}")
    bin_.fill(f"{offer['max_kg']:g}")
    more.click()
    expect(bin_).to_have_value(f"{offer['max_kg']:g}")
    bin_.fill("3")
    page.get_by_role("button", name=f"{bag:g} kg less SiMn").click()
    expect(bin_).to_have_value("0")
    page.get_by_role("button", name="Back to the recommendation").click()
    expect(bin_).to_have_value(f"{start:g}")
    expect(page.locator("#why-different")).to_be_hidden()


def test_the_handbook_answers_where_the_model_does_not_and_says_so(demo: RunningDemo, visit: Visit) -> None:
    heat = waiting_heat(demo, station="ladle_furnace")
    page = visit.page

    page.goto(address(demo, heat))

    expect(page.get_by_text("Handbook rule, not the model:")).to_be_visible()
    expect(page.get_by_text("predicted by nominal recoveries")).to_be_visible()
    visit.picture("heat-fallback")
    confirm(page)
    assert known(demo, heat)["recommendation"]["source"] == "handbook"


def test_keys_alone_are_enough(demo: RunningDemo, visit: Visit) -> None:
    heat = waiting_heat(demo)
    page = visit.page
    page.goto(demo.urls["backend"])
    card = page.get_by_role("link", name=re.compile(str(heat["heat_no"])))
    expect(card).to_be_visible()

    for _ in range(200):
        page.keyboard.press("Tab")
        if card.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(str(heat["heat_no"]))
    bin_ = kilograms(page, "SiMn")
    for _ in range(60):
        page.keyboard.press("Tab")
        if bin_.evaluate("one => one === document.activeElement"):
            break
    start = float(bin_.input_value())
    for _ in range(4):
        page.keyboard.press("ArrowUp")
    added_kg = float(bin_.input_value())
    page.keyboard.press("Enter")  # on to the next bin: nothing is confirmed by it
    assert known(demo, heat)["decision"] is None
    reason = page.get_by_label("temperature", exact=True)
    go = page.get_by_role("button", name="Confirm")
    for wanted in (reason, go) if page.locator("#why-different").is_visible() else (go,):
        for _ in range(80):
            if wanted is reason and page.evaluate("document.activeElement.name") == "reason_code":
                page.keyboard.press("ArrowRight")
                page.keyboard.press("ArrowRight")
                break
            if wanted.evaluate("one => one === document.activeElement"):
                break
            page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_text(re.compile("Decided by"))).to_be_visible()
    decision = known(demo, heat)["decision"]
    assert added_kg > start
    assert {one["additive"]: one["added_kg"] for one in decision["additions"]}["SiMn"] == added_kg


def test_without_the_server_it_says_so_and_keeps_what_was_typed(demo: RunningDemo, visit: Visit) -> None:
    heat = waiting_heat(demo)
    page = visit.page
    page.goto(address(demo, heat))
    kilograms(page, "SiMn").fill("777")
    expect(page.locator("#live")).not_to_be_empty()

    page.context.set_offline(True)
    expect(page.get_by_text("No connection to the plant's server.")).to_be_visible(timeout=30_000)
    visit.picture("heat-offline")
    page.context.set_offline(False)

    expect(page.get_by_text("No connection to the plant's server.")).to_be_hidden(timeout=30_000)
    expect(kilograms(page, "SiMn")).to_have_value("777")


def test_news_of_a_heat_under_the_fingers_is_told_and_takes_nothing_away(
    demo: RunningDemo, visit: Visit
) -> None:
    heat = waiting_heat(demo)
    page = visit.page
    page.goto(address(demo, heat))
    kilograms(page, "SiMn").fill("777")

    again = {**heat, "revision": 2, "steel_mass_t": heat["steel_mass_t"] + 1}
    plant.publish(demo.urls["nats"], [("plant.heat.registered.v1", again)])

    expect(page.get_by_text("There is news of this heat.")).to_be_visible(timeout=30_000)
    expect(kilograms(page, "SiMn")).to_have_value("777")
    page.get_by_role("link", name="Show it").click()
    expect(page.get_by_text(f"{again['steel_mass_t']:.1f} t")).to_be_visible()


def test_of_two_tablets_on_one_heat_the_second_sees_what_the_first_did(
    demo: RunningDemo, visit: Visit, other_visit: Visit
) -> None:
    heat = waiting_heat(demo)
    first, second = visit.page, other_visit.page
    second.goto(address(demo, heat))
    kilograms(second, "SiMn").fill("777")
    second.get_by_label("practice", exact=True).check()
    first.goto(address(demo, heat))
    confirm(first)

    second.get_by_role("button", name="Confirm").click()

    expect(second.get_by_text("Somebody else was faster.")).to_be_visible()
    expect(second.get_by_role("alert")).to_contain_text("steelmaker decided at")
    expect(kilograms(second, "SiMn")).to_have_value("777")
    other_visit.picture("heat-conflict")
    assert other_visit.findings() == []
    assert known(demo, heat)["decision"]["decided_by"] == "steelmaker"
    second.get_by_role("button", name="Confirm the change").click()
    expect(second.get_by_text(re.compile("Decided by"))).to_be_visible()
    assert known(demo, heat)["decision"]["decided_by"] == "technologist"


def test_a_viewer_sees_everything_and_can_confirm_nothing(
    demo: RunningDemo, chromium: Browser, logged_in: Callable[[str], StorageState]
) -> None:
    heat = waiting_heat(demo)
    context = chromium.new_context(storage_state=logged_in("viewer"))
    page = context.new_page()

    page.goto(address(demo, heat))

    expect(page.locator("tr[data-element=Mn]")).to_be_visible()
    expect(page.get_by_role("button", name="Confirm")).to_have_count(0)
    expect(page.get_by_role("spinbutton")).to_have_count(0)
    assert known(demo, heat)["shown_at"] is None
    context.close()
