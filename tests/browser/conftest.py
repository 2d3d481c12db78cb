"""Chromium, a demo to look at, and a page that notes every request it makes."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from running_demo import ROOT, RunningDemo, demo_running, get, wait_until

SCREENSHOTS = ROOT / "build" / "screenshots"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
HEATS = 12


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


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert found, "No Chromium: apt-get install chromium (as root), or set CHROMIUM to its path."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


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

    def outside(self, *servers: str) -> list[str]:
        """Return the requests that went anywhere else than to `servers`."""
        return [url for url in self.requests if not url.startswith((*servers, "data:"))]


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield Visit(context.new_page())
    context.close()
