"""Take the pictures of docs/console from a demo of their own: `make screenshots`."""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from browser.conftest import chromium_running, log_in
from running_demo import ROOT, RunningDemo, demo_running, wait_until

FOLDER = ROOT / "docs" / "console"
SIZES = {"": (1280, 800), "-tablet": (1024, 768)}
# Some heats run through, every fourth waits for a person while the pictures are taken.
DEMO = {"HEATS": "24", "HEATS_PER_MINUTE": "0", "LEAVE_EVERY": "4", "HISTORY_HEATS": "2000"}
WAITING = 4


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as made,
        demo_running(Path(made), **DEMO) as demo,
        chromium_running() as browser,
    ):
        wait_until(lambda: waiting(browser, demo) >= WAITING)
        take(browser, demo)


def waiting(browser: Browser, demo: RunningDemo) -> int:
    """How many heats wait for a person."""
    page = open_page(browser, demo, "light", "")
    found = page.locator(".card.recommended").count()
    page.context.close()
    return found


def take(browser: Browser, demo: RunningDemo) -> None:
    for size in SIZES:
        page = open_page(browser, demo, "light", size)
        picture(page, f"heats-now{size}")
        page.locator(".card.recommended").first.click()
        expect(page.locator("#summary")).not_to_be_empty()
        picture(page, f"one-heat{size}")
        edit(page)
        picture(page, f"one-heat-edited{size}")
        page.context.close()
    page = open_page(browser, demo, "dark", "")
    page.locator(".card.recommended").nth(1).click()
    expect(page.locator("#summary")).not_to_be_empty()
    picture(page, "one-heat-dark")
    page.goto(demo.urls["backend"])
    page.locator(".last a").first.click()
    expect(page.get_by_role("columnheader", name="Result")).to_be_visible()
    picture(page, "one-heat-result-dark", whole=True)
    page.context.close()
    page = open_page(browser, demo, "light", "")
    for name in ("history", "grades", "additives", "model"):
        page.goto(f"{demo.urls['backend']}/{name}")
        picture(page, name)
    page.context.close()


def open_page(browser: Browser, demo: RunningDemo, scheme: str, size: str) -> Page:
    """The first page, with the technologist logged in."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    log_in(page, demo, "technologist")
    return page


def edit(page: Page) -> None:
    """Half of the first bin: something leaves its window, and a reason is asked for."""
    first = page.locator("input.kg").first
    first.fill(f"{float(first.input_value()) // 2:g}")


def picture(page: Page, name: str, whole: bool = False) -> None:
    page.wait_for_load_state("load")
    page.screenshot(path=FOLDER / f"{name}.png", full_page=whole)
    print(f"docs/console/{name}.png")


if __name__ == "__main__":
    main()
