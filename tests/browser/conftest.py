"""Chromium, a demo to look at, and a page that notes every request it makes."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, StorageState, ViewportSize, expect, sync_playwright

from running_demo import ROOT, RunningDemo, demo_running, get, wait_until

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
SERIOUS = ("serious", "critical")
SCREENSHOTS = ROOT / "build" / "screenshots"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
HEATS = 12
SCREEN: ViewportSize = {"width": 1280, "height": 800}


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo with MLflow's page and a dozen heats in the lake."""
    settings = {
        "HEATS": str(HEATS),
        "HEATS_PER_MINUTE": "0",
        "LEAVE_EVERY": "0",
        "HISTORY_HEATS": "600",
        "MLFLOW": "1",
    }
    with demo_running(tmp_path_factory.mktemp("demo"), **settings) as running:
        wait_until(lambda: (get(f"{running.urls['monitoring']}/api/v1/summary") or {})["heats"] == HEATS)
        yield running


@contextmanager
def chromium_running() -> Iterator[Browser]:
    """Debian's Chromium, or what CHROMIUM names."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert found, "No Chromium: apt-get install chromium (as root), or set CHROMIUM to its path."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with chromium_running() as browser:
        yield browser


class Visit:
    """A page, the addresses it asked for, and what it complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)

    def picture(self, name: str) -> Path:
        """Take a screenshot of the whole page."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path, full_page=True)
        return path

    def findings(self) -> list[str]:
        """What axe finds serious or critical on the page as it is now: rule, place, what to mend."""
        self.page.evaluate(AXE)
        found = self.page.evaluate("async () => (await axe.run()).violations")
        return [
            f"{one['id']} at {node['target']}: {node['failureSummary']}"
            for one in found
            if one["impact"] in SERIOUS
            for node in one["nodes"]
        ]

    def outside(self, *servers: str) -> list[str]:
        """Return the requests that went anywhere else than to `servers`."""
        return [url for url in self.requests if not url.startswith((*servers, "data:"))]


def log_in(page: Page, demo: RunningDemo, name: str) -> None:
    """Fill in the login page as that person of the demo."""
    page.goto(f"{demo.urls['backend']}/login")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(demo.password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()


@pytest.fixture(scope="session")
def logged_in(demo: RunningDemo, chromium: Browser) -> Callable[[str], StorageState]:
    """The cookies of a person of the demo, who logs in once."""

    @cache
    def state(name: str) -> StorageState:
        context = chromium.new_context()
        log_in(context.new_page(), demo, name)
        kept = context.storage_state()
        context.close()
        return kept

    return state


@pytest.fixture
def visit(chromium: Browser, logged_in: Callable[[str], StorageState]) -> Iterator[Visit]:
    """A tablet on which the steelmaker is logged in."""
    context = chromium.new_context(viewport=SCREEN, storage_state=logged_in("steelmaker"))
    yield Visit(context.new_page())
    context.close()


@pytest.fixture
def other_visit(chromium: Browser, logged_in: Callable[[str], StorageState]) -> Iterator[Visit]:
    """Another tablet, on which the technologist is logged in."""
    context = chromium.new_context(viewport=SCREEN, storage_state=logged_in("technologist"))
    yield Visit(context.new_page())
    context.close()
