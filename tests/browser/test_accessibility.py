"""Every page in light and dark: nothing serious for axe, and targets that a glove finds."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, StorageState, ViewportSize, expect

from browser.conftest import Visit
from browser.steelmaker import address, end, kilograms, known, waiting_heat
from running_demo import RunningDemo, get, wait_until

GLOVE_PX = 48
TARGETS = (
    "button, .button, input:not([type=hidden]):not([type=radio]):not([type=checkbox]), select, summary, nav a"
)
PAGES = (
    "/",
    "/history",
    "/grades",
    "/grades/one?name=C45E",
    "/additives",
    "/additives/one?name=SiMn",
    "/model",
)
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def heats(demo: RunningDemo) -> dict[str, str]:
    """Addresses of a heat that waits, one that the handbook answered, and one that is finished."""
    waiting, fallback, finished = waiting_heat(demo), waiting_heat(demo, "ladle_furnace"), waiting_heat(demo)
    end(demo, finished)
    wait_until(lambda: known(demo, finished)["state"] == "completed")
    return {
        "waiting": address(demo, waiting),
        "fallback": address(demo, fallback),
        "finished": address(demo, finished),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_pages_have_nothing_serious(demo: RunningDemo, other_visit: Visit, path: str, scheme: Scheme) -> None:
    page = other_visit.page
    page.emulate_media(color_scheme=scheme)
    page.goto(demo.urls["backend"] + path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.url == demo.urls["backend"] + path

    assert other_visit.findings() == []
    assert other_visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_login_page_has_nothing_serious(demo: RunningDemo, chromium: Browser, scheme: Scheme) -> None:
    context = chromium.new_context(color_scheme=scheme)
    visit = Visit(context.new_page())
    visit.page.goto(demo.urls["backend"])  # a stranger is led there
    visit.page.get_by_label("User name").fill("nobody")
    visit.page.get_by_label("Password").fill("nothing")
    visit.page.get_by_role("button", name="Log in").click()
    expect(visit.page.get_by_text("User name or password is not right.")).to_be_visible()

    assert visit.findings() == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 800), (768, 1024)])
def test_monitorings_page_and_reports_have_nothing_serious(
    demo: RunningDemo, chromium: Browser, scheme: Scheme, size: tuple[int, int], tmp_path: Path
) -> None:
    """Reports as they are mailed: a file of their own."""
    screen: ViewportSize = {"width": size[0], "height": size[1]}
    context = chromium.new_context(color_scheme=scheme, viewport=screen)
    visit = Visit(context.new_page())
    monitoring = demo.urls["monitoring"]
    wait_until(lambda: (get(f"{monitoring}/api/v1/diagnosis") or {})["bundle_hash"])
    model = (get(f"{monitoring}/api/v1/diagnosis") or {})["bundle_hash"]
    places = [f"{monitoring}/", f"{monitoring}/?element=Mn"]
    for name, path in (("week", "week"), ("model", f"model/{model}")):
        file = tmp_path / f"{name}.html"
        file.write_bytes(context.request.get(f"{monitoring}/reports/{path}").body())
        places.append(file.as_uri())
    for place in places:
        visit.page.goto(place)
        for summary in visit.page.locator("summary").all():
            summary.click()
        assert (place, visit.findings()) == (place, [])
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
    assert visit.complaints == []
    assert visit.outside(monitoring, "file://") == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["waiting", "fallback", "finished"])
def test_heats_have_nothing_serious(heats: dict[str, str], visit: Visit, which: str, scheme: Scheme) -> None:
    page = visit.page
    page.emulate_media(color_scheme=scheme)
    page.goto(heats[which])
    if which == "waiting":
        kilograms(page, "SiMn").fill("100")
        expect(page.locator("#why-different")).to_be_visible()
        kilograms(page, "coke").fill("7")
        expect(page.locator("#one-by-one")).to_be_visible()
    for summary in page.locator("summary").all():
        if summary.is_visible():  # reasons one by one are offered where several amounts differ
            summary.click()

    assert visit.findings() == []
    assert visit.complaints == []


@pytest.mark.parametrize("size", [(1280, 800), (1024, 768), (768, 1024)])
def test_targets_are_large_enough_for_gloves_and_nothing_is_cut_off(
    demo: RunningDemo,
    heats: dict[str, str],
    chromium: Browser,
    logged_in: Callable[[str], StorageState],
    size: tuple[int, int],
) -> None:
    state = logged_in("technologist")
    screen: ViewportSize = {"width": size[0], "height": size[1]}
    context = chromium.new_context(viewport=screen, has_touch=True, storage_state=state)
    page = context.new_page()
    for url in [*heats.values(), *(demo.urls["backend"] + path for path in PAGES)]:
        page.goto(url)
        for summary in page.locator("summary").all():
            if summary.is_visible():
                summary.click()
        small = page.eval_on_selector_all(
            TARGETS,
            """(found, least) => found
                .filter((one) => one.offsetParent && one.getBoundingClientRect().height < least - 0.5)
                .map((one) => one.outerHTML.slice(0, 120))""",
            GLOVE_PX,
        )
        assert (url, small) == (url, [])
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), url
    context.close()
