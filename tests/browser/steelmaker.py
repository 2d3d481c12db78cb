"""What a steelmaker and his plant do, for tests: a heat that waits for him, its page, its end."""

from typing import Any

from playwright.sync_api import Locator, Page

import plant
from running_demo import RunningDemo, get, wait_until


def waiting_heat(demo: RunningDemo, station: str = "tapping", **changes: Any) -> dict[str, Any]:
    """Tell of a new heat and return it when its recommendation is there."""
    heat = plant.new_heat(**changes)
    heat["treatment"] = {**heat["treatment"], "station": station}
    plant.publish(demo.urls["nats"], [("plant.heat.registered.v1", heat)])
    wait_until(lambda: known(demo, heat).get("recommendation"))
    return heat


def known(demo: RunningDemo, heat: dict[str, Any]) -> dict[str, Any]:
    """All that the backend knows of the heat; nothing where it does not know it yet."""
    url = f"{demo.urls['backend']}/api/v1/treatments/{plant.path_of(heat['treatment'])}"
    return get(url, demo.headers) or {}


def address(demo: RunningDemo, heat: dict[str, Any]) -> str:
    return f"{demo.urls['backend']}/heats/{plant.path_of(heat['treatment'])}"


def kilograms(page: Page, additive: str) -> Locator:
    return page.get_by_label(f"{additive}, kg", exact=True)


def predicted(page: Page, element: str) -> Locator:
    return page.locator(f"tr[data-element={element}] .predicted-text")


def end(demo: RunningDemo, heat: dict[str, Any]) -> None:
    """Weigh and analyse."""
    treatment = heat["treatment"]
    plant.publish(
        demo.urls["nats"],
        [
            ("plant.addition.weighed.v1", plant.weighed(treatment)),
            ("plant.sample.analysed.v1", plant.sample(treatment)),
        ],
    )
