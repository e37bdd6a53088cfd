"""The question panel in a real browser: uploads, pasted places, shapes, undo, and on a phone."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import h3
import numpy as np
import pytest

import skyhex
from indexer.index.faiss_index import build_index
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import make_rows
from pipeline.rows import model_info
from search_app.cli.launch import start, stop
from search_app.page.brought import UPLOAD
from search_app.page.shapes import region_of
from search_app.page_settings import PageSettings

from ...indexer.random_rows import columns_for
from ..cli.test_main import geotiff
from ..make_table import CELLS
from .chromium import MARKS, WAIT_MS
from .test_browser import QUESTION, Map

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = MARKS
A, B, C = (h3.int_to_str(CELLS[i]) for i in (20, 33, 5))
WIDGETS = "button, [data-testid=stSelectbox], [data-testid=stSlider], textarea, input[type=text]"
PASTE = "Several places, or your own"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """A row for each cell, of the shipped weights."""
    model = model_info(skyhex.load_encoder("nano"))
    table = EmbeddingTable.create(tmp_path_factory.mktemp("walk") / "t", model, h3_resolution=9)
    columns = columns_for(np.array(CELLS, np.uint64), dimension=model.dimension)
    build_index(table.upsert(make_rows(**columns | {"model": model})))
    return EmbeddingTable.open(table.path)


@pytest.fixture(scope="module")
def url(table: EmbeddingTable) -> Iterator[str]:
    server, url = start(PageSettings((str(table.path),)))
    yield url
    stop(server)


def asked(page: sync_api.Page) -> dict[str, list[str]]:
    """The question of the page's link."""
    params = parse_qs(urlparse(page.url).query)
    return {name: values for name, values in params.items() if name not in ("area", "tab")}


def wait_for(page: sync_api.Page, **wanted: list[str]) -> None:
    """Until the link asks just this."""
    deadline = time.monotonic() + WAIT_MS / 1000
    while time.monotonic() < deadline:
        if asked(page) == wanted:
            return
        page.wait_for_timeout(100)  # which hears where the page went
    pytest.fail(f"expected {wanted}, the link has {asked(page)}")


def found(page: sync_api.Page, count: int) -> None:
    page.get_by_text(f"{count} most similar").wait_for(timeout=WAIT_MS)


def paste(page: sync_api.Page, text: str) -> None:
    page.get_by_label("Cells or places, one a line").fill(text)
    page.get_by_role("button", name="Take these").click()


def test_an_image_and_an_area_are_uploaded(
    page: sync_api.Page,
    url: str,
    table: EmbeddingTable,
    tmp_path: Path,
) -> None:
    shown = Map(page, url)
    chip = geotiff(tmp_path / "my field.tif", crs="EPSG:32632")
    page.get_by_text(PASTE).click()
    box = page.locator("input[type=file][multiple]")
    box.set_input_files(chip)
    page.get_by_text("my field.tif: read as Sentinel-2 (S2).").wait_for(timeout=WAIT_MS)
    page.wait_for_url("**like=upload**", timeout=WAIT_MS)
    found(page, 20)
    [place] = asked(page)["like"]
    assert place.startswith(UPLOAD)
    best = skyhex.search(table, chip=chip, k=1).rows["h3_cell"][0].as_py()
    page.locator(f"text={h3.int_to_str(best)}").first.wait_for(state="attached", timeout=WAIT_MS)
    corners = [[9.995, 46.995], [10.005, 46.995], [10.0, 47.005], [9.995, 46.995]]
    area = tmp_path / "fields.geojson"
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [corners]}))
    box.set_input_files(area)
    page.wait_for_url("**within=upload**", timeout=WAIT_MS)
    inside = skyhex.search(table, chip=chip, k=100, within=area).rows.num_rows
    found(page, inside)
    page.locator(f"output.above[data-cells='{inside}']").wait_for(timeout=WAIT_MS)
    box.set_input_files({"name": "notes.tif", "mimeType": "image/tiff", "buffer": b"no image"})
    page.get_by_text("notes.tif is no GeoTIFF").wait_for(timeout=WAIT_MS)
    found(page, inside)  # what was asked stays
    assert shown.told("nodes")


def taken(shown: Map, **wanted: list[str]) -> None:
    """Until the link asks this, and the map shows the answer."""
    wait_for(shown.page, **wanted)
    shown.wait(**{name: places for name, places in wanted.items() if name in QUESTION})


def test_pasted_cells_and_a_box_are_asked_and_undone(page: sync_api.Page, url: str) -> None:
    shown = Map(page, url)
    page.get_by_text(PASTE).click()
    paste(page, f"{A}\n{B}\n# a comment")
    wait_for(page, like=[A, B])
    found(page, 20)
    page.get_by_role("radio", name="each").or_(page.get_by_role("button", name="each", exact=True)).click()
    wait_for(page, like=[A, B], match=["all"])
    shown.press("Box (B)")
    shown.drag([(-80, -80), (80, 80)])
    counted = page.locator(".shape output").first
    counted.wait_for(timeout=WAIT_MS)
    held = int(counted.get_attribute("data-cells") or 0)
    shown.press("Only here")
    page.wait_for_url("**within=**", timeout=WAIT_MS)
    [within] = asked(page)["within"]
    cells = np.array(CELLS, np.uint64)
    examples = np.array([int(A, 16), int(B, 16)], np.uint64)
    region = region_of(within)
    inside = region.rows(cells).count
    assert held == inside > 2
    found(page, min(20, inside - region.rows(np.sort(examples)).count))
    shown.press("Undo (U)")
    taken(shown, like=[A, B], match=["all"])


def test_the_panel_on_a_phone(phone: sync_api.Page, url: str) -> None:
    Map(phone, f"{url}/?like={A}&like={B}&unlike={C}")
    phone.locator("[data-testid=stExpandSidebarButton]").click()
    side = phone.locator("[data-testid=stSidebar]")
    phone.get_by_text("Which results").click()
    phone.get_by_text("Filters", exact=True).click()
    side.get_by_role("textbox", name="SQL condition").wait_for(timeout=WAIT_MS)
    boxes = [box for box in (part.bounding_box() for part in side.locator(WIDGETS).all()) if box]
    assert len(boxes) > 15
    for box in boxes:
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    side.get_by_role("button", name=f"Kept away from: {C}").click()
    phone.wait_for_url(f"**like={C}**", timeout=WAIT_MS)
    wait_for(phone, like=[A, B, C])


FOCUSED = """() => {
  let focused = document.activeElement;
  while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
  return focused?.getAttribute("aria-label") || focused?.innerText || "";
}"""


def tab_to(page: sync_api.Page, name: str) -> None:
    """Press Tab until what has that name has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            FOCUSED
        )  # an icon's word may stand before; what holds much is a part of the page
        if name in focused and len(focused) < len(name) + 20:
            return
    pytest.fail(f"Tab does not come to {name!r}")


def test_the_panel_by_keyboard_alone(page: sync_api.Page, url: str) -> None:
    Map(page, f"{url}/?like={C}")
    found(page, 20)
    tab_to(page, PASTE)
    page.keyboard.press("Enter")
    tab_to(page, "Cells or places, one a line")
    page.keyboard.type(A)
    page.keyboard.press("Enter")
    page.keyboard.type(B)
    tab_to(page, "Take these")
    page.keyboard.press("Space")
    wait_for(page, like=[A, B])
    found(page, 20)
    tab_to(page, f"How often {B} counts")
    page.keyboard.press("ArrowDown")  # which opens the list, on the second
    page.get_by_role("option", name="×3").wait_for(timeout=WAIT_MS)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    wait_for(page, like=[A, B, B, B])
    tab_to(page, f"Looked for: {A}")
    page.keyboard.press("Enter")
    wait_for(page, like=[B, B, B], unlike=[A])
    for wanted in ({"like": [A, B, B, B]}, {"like": [A, B]}, {"like": [C]}):
        tab_to(page, "Undo (U)")
        page.keyboard.press("Space")
        wait_for(page, **wanted)
