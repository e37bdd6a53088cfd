"""The app in a real browser: looking, asking, drawing, undoing; by pointer and keyboard, on small screens."""

import time
from collections.abc import Iterator
from math import asinh, radians, tan
from urllib.parse import parse_qs, urlparse

import h3
import numpy as np
import pytest

from search_app.cli.launch import start, stop
from search_app.page.shapes import region_of
from search_app.page_settings import PageSettings

from ..make_table import CELLS, small_table
from .chromium import MARKS, WAIT_MS

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
HOSTILE = '<img src=x onerror="document.title=1"> ![x](https://example.org/x.png)'
pytestmark = MARKS


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app on a small table."""
    table = small_table(tmp_path_factory.mktemp("browser") / "table", sample_ids={CELLS[7]: HOSTILE})
    server, url = start(PageSettings((str(table.path),)))
    yield url
    stop(server)


class Map:
    """The map of a page, and what a person does on it."""

    def __init__(self, page: sync_api.Page, url: str) -> None:
        self.page = page
        page.goto(url)
        self.stage = page.locator(".stage").first
        page.locator(".stage[data-nodes]").first.wait_for(timeout=WAIT_MS)

    def at(self, cell: int) -> tuple[float, float]:
        """Where the centre of a cell is on the screen, by what the pointer says of places near it."""
        box = self.stage.bounding_box()
        assert box
        lat, lon = h3.cell_to_latlng(h3.int_to_str(cell))
        west, south, east, north = (float(side) for side in self.told("extent").split(" "))
        x = box["x"] + 1 + (lon - west) / (east - west) * (box["width"] - 2)
        y = (
            box["y"]
            + 1
            + (mercator(north) - mercator(lat)) / (mercator(north) - mercator(south)) * (box["height"] - 2)
        )
        return x, y

    def told(self, name: str) -> str:
        return self.stage.get_attribute(f"data-{name}") or ""

    def click(self, cell: int, key: str = "", seconds: float = 0.05) -> None:
        x, y = self.at(cell)
        self.page.mouse.move(x, y)
        if key:
            self.page.keyboard.down(key)
        self.page.mouse.down()
        time.sleep(seconds)
        self.page.mouse.up()
        if key:
            self.page.keyboard.up(key)

    def card(self) -> str:
        """The cell that is looked at, once its card is there."""
        card = self.page.locator(".card dl").first
        card.wait_for(timeout=WAIT_MS)
        return self.page.locator(".card").first.get_attribute("data-cell") or ""

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def wait(self, **asked: list[str]) -> None:
        """Until the link asks this, and the map shows the answer."""
        wanted = {name: places for name, places in asked.items() if places}
        deadline = time.monotonic() + WAIT_MS / 1000
        while time.monotonic() < deadline:
            shown = parse_qs(self.told("question"))
            linked = question(self.page)
            if linked == wanted and {name: shown[name] for name in QUESTION if name in shown} == wanted:
                return
            time.sleep(0.1)
        pytest.fail(
            f"expected {wanted}; the link has {question(self.page)}, the map {self.told('question')!r}"
        )

    def drag(self, corners: list[tuple[float, float]]) -> None:
        """A line drawn by hand through places given as cells' offsets from the middle, in pixels."""
        box = self.stage.bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x + corners[0][0], y + corners[0][1])
        self.page.mouse.down()
        for dx, dy in corners[1:]:
            self.page.mouse.move(x + dx, y + dy, steps=4)
        self.page.mouse.up()


QUESTION = ("like", "unlike", "within")


def mercator(lat_deg: float) -> float:
    return asinh(tan(radians(lat_deg)))


def question(page: sync_api.Page) -> dict[str, list[str]]:
    """The places in the page's link."""
    params = parse_qs(urlparse(page.url).query)
    return {name: params[name] for name in QUESTION if name in params}


A, B, C, D = (h3.int_to_str(CELLS[i]) for i in (20, 33, 40, 5))


def test_a_click_looks_and_asks_nothing(page: sync_api.Page, url: str) -> None:
    shown = Map(page, url)
    for number, seconds in ((20, 0.02), (33, 0.6), (5, 0.2)):  # however long the press
        shown.click(CELLS[number], seconds=seconds)
        page.locator(f".card[data-cell='{h3.int_to_str(CELLS[number])}']").wait_for(timeout=WAIT_MS)
    assert shown.card() == D
    assert page.locator(".card").get_by_text("HR 1 · S2 4 · S1 2").is_visible()
    assert question(page) == {}


def test_asking_adding_undoing_and_going_back(page: sync_api.Page, url: str) -> None:
    shown = Map(page, url)
    shown.click(CELLS[20])
    assert shown.card() == A
    shown.press("Like this")
    shown.wait(like=[A])
    shown.stage.focus()
    page.keyboard.press("Escape")  # the card lies over other cells
    shown.click(CELLS[33], "Shift")
    shown.wait(like=[A, B])
    shown.click(CELLS[5], "Alt")
    shown.wait(like=[A, B], unlike=[D])
    page.go_back()
    shown.wait(like=[A, B])
    page.go_back()
    shown.wait(like=[A])
    page.go_forward()
    shown.wait(like=[A, B])
    shown.press("Undo (U)")
    shown.wait(like=[A])
    page.reload()
    shown.wait(like=[A])
    shown.click(CELLS[33], "Shift")
    shown.click(CELLS[40], "Shift")  # before the page has taken the one before
    shown.wait(like=[A, B, C])
    shown.click(CELLS[5])
    assert shown.card() == D
    page.keyboard.press("n")  # a key after a click means what was clicked
    shown.wait(like=[A, B, C], unlike=[D])


def test_a_lasso_is_an_example_and_a_limit(page: sync_api.Page, url: str) -> None:
    shown = Map(page, f"{url}/?like={A}")
    shown.wait(like=[A])
    shown.press("Lasso (S)")
    shown.drag([(-100, -90), (60, -100), (100, 0), (0, 90), (-90, 60)])
    counted = page.locator(".shape output").first
    counted.wait_for(timeout=WAIT_MS)
    cells = int(counted.get_attribute("data-cells") or 0)
    shown.press("Only here")
    page.wait_for_url("**within=**", timeout=WAIT_MS)
    [within] = question(page)["within"]
    inside = region_of(within).rows(np.array(CELLS, np.uint64)).count
    assert cells == inside
    shown.wait(like=[A], within=[within])
    assert page.locator("output.above").get_attribute("data-cells") == str(inside)
    shown.press("Undo (U)")
    shown.wait(like=[A])
    for tool, corners in (("Box (B)", [(-60, -60), (60, 60)]), ("Brush (R)", [(-90, 0), (0, 10), (90, 0)])):
        shown.press(tool)
        shown.drag(corners)
        counted.wait_for(timeout=WAIT_MS)
        cells = int(counted.get_attribute("data-cells") or 0)
        shown.press("Like all of these")
        page.wait_for_url("**like=within**", timeout=WAIT_MS)
        [like] = question(page)["like"]
        assert cells == region_of(like).rows(np.array(CELLS, np.uint64)).count > 1
        shown.wait(like=[like])
        page.get_by_text("20 most similar").wait_for(timeout=WAIT_MS)
        shown.press("Undo (U)")
        shown.wait(like=[A])


def test_the_threshold_counts_and_exports_what_lies_above(page: sync_api.Page, url: str) -> None:
    shown = Map(page, f"{url}/?like={A}")
    shown.wait(like=[A])
    above = page.locator("output.above")
    assert above.get_attribute("data-cells") == str(len(CELLS))
    slider = page.get_by_label("Similarity threshold")
    least = round(int(slider.get_attribute("max") or 0) * 0.6)
    slider.fill(str(least))
    with page.expect_download() as download:
        page.get_by_label("Export the cells above the threshold").click()
        page.get_by_role("link", name="CSV").click()
    lines = download.value.path().read_text().splitlines()
    cells = [line.split(",")[0] for line in lines[1:]]
    assert 0 < len(cells) < len(CELLS)
    assert A in cells
    assert above.get_attribute("data-cells") == str(len(cells))
    area = sum(h3.cell_area(cell, "km^2") for cell in cells)
    assert float(above.get_attribute("data-km2") or 0) == pytest.approx(area, rel=1e-6)


def test_the_keyboard_is_enough(page: sync_api.Page, url: str) -> None:
    shown = Map(page, url)
    shown.stage.focus()
    page.keyboard.press("Enter")
    middle = shown.card()
    page.keyboard.press("l")
    shown.wait(like=[middle])
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator(f".card:not([data-cell='{middle}'])").wait_for(timeout=WAIT_MS)
    beside = shown.card()
    page.keyboard.press("a")
    shown.wait(like=[middle, beside])
    page.keyboard.press("u")
    shown.wait(like=[middle])
    page.keyboard.press("Escape")
    looked = []
    for _ in range(2):  # looks are taken back as questions are, the last one first
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Enter")
        looked.append(shown.card())
    assert looked[0] != looked[1]
    page.keyboard.press("u")
    page.locator(f".card[data-cell='{looked[0]}'] dl").wait_for(timeout=WAIT_MS)
    page.keyboard.press("u")
    page.locator(".card").first.wait_for(state="hidden", timeout=WAIT_MS)
    assert question(page) == {"like": [middle]}
    page.keyboard.press("b")  # a box, corner by corner
    page.keyboard.press("Enter")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert int(page.locator(".shape output").get_attribute("data-cells") or 0) > 1
    page.keyboard.press("Escape")
    assert not page.locator(".shape").is_visible()


def test_a_link_reproduces_the_view_and_a_reload_keeps_it(page: sync_api.Page, url: str) -> None:
    shown = Map(page, f"{url}/?like={D}&k=4&bbox=9.9,46.9,10.1,47.1")
    for _ in range(2):
        page.get_by_text("4 most similar").wait_for(timeout=WAIT_MS)
        assert page.locator(f"code:has-text('{D}')").first.is_visible()
        assert page.get_by_text("Filters · 1 on").is_visible()
        shown.wait(like=[D])
        page.reload()


def test_a_hostile_name_is_text(page: sync_api.Page, url: str) -> None:
    cell = h3.int_to_str(CELLS[7])
    shown = Map(page, f"{url}/?like={cell}")
    shown.wait(like=[cell])
    shown.click(CELLS[7])
    assert shown.card() == cell
    assert page.locator(".card dd").first.inner_text() == HOSTILE
    assert page.get_by_text(HOSTILE).count() == 2  # in the card, and beside the example's picture
    assert page.locator("img[src='x']").count() == 0
    assert page.title() == "skyhex"


def test_a_phone_shows_map_and_card(phone: sync_api.Page, url: str) -> None:
    shown = Map(phone, f"{url}/?like={A}")
    shown.wait(like=[A])
    shown.click(CELLS[33])
    assert shown.card() == B
    for part in (shown.stage, phone.locator(".card").first, phone.locator(".legend").first):
        box = part.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
