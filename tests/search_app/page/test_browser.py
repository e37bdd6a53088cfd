"""The app in a real browser: a click on a hexagon searches from it, a link reproduces the view."""

import shutil
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlparse

import h3
import pytest

from search_app.cli.launch import start, stop

from ..make_table import CELLS, small_table

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
]
CLICKS = 12  # software rendering loses about half of them
WAIT_MS = 30_000
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app on a small table."""
    server, url = start(small_table(tmp_path_factory.mktemp("browser") / "table").path)
    yield url
    stop(server)


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: sync_api.Browser) -> Iterator[sync_api.Page]:
    """A page that fails the test if it asks anything of another machine."""
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    page.close()
    outside = [
        url
        for url in asked
        if urlparse(url).hostname != "127.0.0.1" and not url.startswith(("data:", "blob:"))
    ]
    assert asked
    assert outside == []


def queried_cell(page: sync_api.Page) -> str:
    """The cell in the page's link."""
    return parse_qs(urlparse(page.url).query).get("like", [""])[0]


def open_map(page: sync_api.Page, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("[data-testid=stDeckGlJsonChart] canvas", timeout=WAIT_MS)
    time.sleep(2)  # the first frame comes after the canvas


def click(page: sync_api.Page, x: float, y: float) -> None:
    """A click as slow as a person's: deck.gl must have seen the pointer rest on the hexagon."""
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    time.sleep(1)
    page.mouse.down()
    time.sleep(0.08)
    page.mouse.up()


def click_until_another_cell(page: sync_api.Page, x: float, y: float) -> str:
    """Click the map at a place until the link names another cell than before; that cell."""
    before = queried_cell(page)
    for _ in range(CLICKS):
        click(page, x, y)
        for _ in range(10):
            time.sleep(0.2)
            if queried_cell(page) != before:
                return queried_cell(page)
    pytest.fail(f"{CLICKS} clicks at {x}, {y} chose no cell; the link is {page.url}")


def test_a_click_on_a_hexagon_searches_from_it(page: sync_api.Page, url: str) -> None:
    open_map(page, url)
    box = page.locator("[data-testid=stDeckGlJsonChart]").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    middle = click_until_another_cell(page, x, y)
    assert h3.str_to_int(middle) in CELLS
    assert h3.grid_distance(middle, h3.latlng_to_cell(47.0, 10.0, 9)) <= 1
    page.get_by_text("20 most similar").wait_for(timeout=WAIT_MS)
    assert page.locator(f"code:has-text('{middle}')").first.is_visible()

    west = click_until_another_cell(page, x - 120, y)
    assert h3.str_to_int(west) in CELLS
    assert h3.cell_to_latlng(west)[1] < h3.cell_to_latlng(middle)[1]
    page.locator(f"code:has-text('{west}')").first.wait_for(timeout=WAIT_MS)
    assert page.locator(f"code:has-text('{middle}')").count() == 0


def test_a_link_reproduces_the_view_and_a_reload_keeps_it(page: sync_api.Page, url: str) -> None:
    cell = h3.int_to_str(CELLS[5])
    open_map(page, f"{url}/?like={cell}&k=4&bbox=9.9,46.9,10.1,47.1")
    for _ in range(2):
        page.get_by_text("4 most similar").wait_for(timeout=WAIT_MS)
        assert page.locator(f"code:has-text('{cell}')").first.is_visible()
        assert page.get_by_text("Filters · 1 on").is_visible()
        assert queried_cell(page) == cell
        page.reload()
