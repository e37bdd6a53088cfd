"""The question panel in a real browser: pasted places, a shape, Back and undo."""

import time
from collections.abc import Iterator
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
from search_app.page.shapes import region_of
from search_app.page_settings import PageSettings

from ...indexer.random_rows import columns_for
from ..make_table import CELLS
from .chromium import MARKS, WAIT_MS
from .test_browser import Map, page  # noqa: F401 - a fixture

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = MARKS
A, B = (h3.int_to_str(CELLS[i]) for i in (20, 33))
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
    server, url = start(PageSettings(str(table.path)))
    yield url
    stop(server)


def asked(page: sync_api.Page) -> dict[str, list[str]]:  # noqa: F811
    """The question of the page's link."""
    params = parse_qs(urlparse(page.url).query)
    return {name: values for name, values in params.items() if name not in ("area", "tab")}


def wait_for(page: sync_api.Page, **wanted: list[str]) -> None:  # noqa: F811
    """Until the link asks just this."""
    deadline = time.monotonic() + WAIT_MS / 1000
    while time.monotonic() < deadline:
        if asked(page) == wanted:
            return
        page.wait_for_timeout(100)  # which hears where the page went
    pytest.fail(f"expected {wanted}, the link has {asked(page)}")


def found(page: sync_api.Page, count: int) -> None:  # noqa: F811
    page.get_by_text(f"{count} most similar").wait_for(timeout=WAIT_MS)


def paste(page: sync_api.Page, text: str) -> None:  # noqa: F811
    page.get_by_label("Cells or places, one a line").fill(text)
    page.get_by_role("button", name="Take these").click()


def test_pasted_cells_a_polygon_and_back_through_three_questions(page: sync_api.Page, url: str) -> None:  # noqa: F811
    shown = Map(page, url)
    page.get_by_text(PASTE).click()
    paste(page, f"{A}\n{B}\n# a comment")
    wait_for(page, like=[A, B])
    found(page, 20)
    page.get_by_role("radio", name="each").or_(page.get_by_role("button", name="each", exact=True)).click()
    wait_for(page, like=[A, B], match=["all"])
    shown.press("Box (B)")
    shown.drag([(-80, -80), (80, 80)])
    page.locator(".shape output").first.wait_for(timeout=WAIT_MS)
    shown.press("Only here")
    page.wait_for_url("**within=**", timeout=WAIT_MS)
    [within] = asked(page)["within"]
    cells = np.array(CELLS, np.uint64)
    examples = np.array([int(A, 16), int(B, 16)], np.uint64)
    region = region_of(within)
    inside = region.rows(cells).count
    found(page, min(20, inside - region.rows(np.sort(examples)).count))
    page.go_back()
    wait_for(page, like=[A, B], match=["all"])
    page.go_back()
    wait_for(page, like=[A, B])
    page.go_back()
    wait_for(page)
    for _ in range(3):
        page.go_forward()
    wait_for(page, like=[A, B], match=["all"], within=[within])
    found(page, min(20, inside - region.rows(np.sort(examples)).count))
    for wanted in ({"like": [A, B], "match": ["all"]}, {"like": [A, B]}, {}):
        shown.press("Undo (U)")
        wait_for(page, **wanted)
