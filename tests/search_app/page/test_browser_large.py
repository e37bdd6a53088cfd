"""The walk on a hundred thousand imported rows; lasso, threshold and exports held against all of them."""

import time
from collections.abc import Iterator
from pathlib import Path

import geopandas
import h3
import numpy as np
import pyogrio
import pytest
import shapely

import skyhex
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from search_app.cli.launch import start, stop
from search_app.page.map_bytes import code_similarity
from search_app.page_settings import PageSettings

from .chromium import MARKS, WAIT_MS
from .test_browser import Map, question, sync_api
from .test_map_answers import CODE_ERROR

pytestmark = MARKS
ROWS, DIMENSION = 100_000, 8
MIDDLE = h3.latlng_to_cell(47.0, 9.0, 9)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """A disc of cells whose vectors change slowly over the ground."""
    folder = tmp_path_factory.mktemp("large")
    names = sorted(h3.grid_disk(MIDDLE, 183))[:ROWS]
    places = np.array([h3.cell_to_latlng(name)[::-1] for name in names])
    waves = (places - places.mean(axis=0)) @ np.random.default_rng(0).normal(0, 12, (2, DIMENSION))
    vectors = np.concatenate([np.sin(waves), np.cos(waves)], axis=1).astype(np.float32)
    skyhex.write_table(folder / "t", names, vectors, period=2024)
    return EmbeddingTable.open(folder / "t")


@pytest.fixture(scope="module")
def url(table: EmbeddingTable) -> Iterator[str]:
    server, url = start(PageSettings((str(table.path),)))
    yield url
    stop(server)


@pytest.fixture(scope="module")
def cells(table: EmbeddingTable) -> np.ndarray:
    return np.array(table.lookup(columns=["h3_cell"])["h3_cell"])


def cosines(table: EmbeddingTable, likes: list[int], unlikes: list[int]) -> np.ndarray:
    """Of all rows (n,) with the query that examples of both signs make, as docs/search.md defines it."""
    rows = table.lookup(columns=["h3_cell", "embedding"])
    matrix = to_matrix(rows["embedding"]).astype(np.float64)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    at = {int(cell): i for i, cell in enumerate(rows["h3_cell"].to_pylist())}
    query = matrix[[at[cell] for cell in likes]].mean(axis=0)
    if unlikes:
        query -= 0.5 * matrix[[at[cell] for cell in unlikes]].mean(axis=0)
    return matrix @ (query / np.linalg.norm(query))


def zoomed(page: sync_api.Page, url: str) -> Map:
    """The map so near that cells are hexagons of their own."""
    shown = Map(page, url)
    shown.stage.focus()
    for _ in range(5):
        before, deadline = shown.told("extent"), time.monotonic() + WAIT_MS / 1000
        page.keyboard.press("+")
        while shown.told("extent") == before and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.6)  # the map glides
    return shown


def test_looking_asking_and_the_threshold(
    page: sync_api.Page, url: str, table: EmbeddingTable, cells: np.ndarray, tmp_path: Path
) -> None:
    shown = zoomed(page, url)
    ring = h3.grid_ring(MIDDLE, 4)
    north, east = (max(ring, key=lambda name: h3.cell_to_latlng(name)[axis]) for axis in (0, 1))
    first, second, third = (h3.str_to_int(name) for name in (MIDDLE, north, east))
    shown.click(first)
    assert shown.card() == MIDDLE
    shown.press("Like this")
    shown.wait(like=[MIDDLE])
    shown.click(second, "Shift")
    shown.wait(like=[MIDDLE, north])
    shown.click(third, "Alt")
    shown.wait(like=[MIDDLE, north], unlike=[east])
    slider = page.get_by_label("Similarity threshold")
    slider.fill(str(round(int(slider.get_attribute("max") or 0) * 0.8)))
    least = code_similarity(np.array([int(slider.input_value())], np.uint16))[0]
    counted = int(page.locator("output.above").get_attribute("data-cells") or 0)
    truth = dict(zip(cells.tolist(), cosines(table, [first, second], [third]).tolist(), strict=True))
    certain = {cell for cell, cosine in truth.items() if cosine >= least + 2 * CODE_ERROR}
    possible = {cell for cell, cosine in truth.items() if cosine >= least - 2 * CODE_ERROR}
    assert 100 < len(certain) <= counted <= len(possible) < ROWS
    for form, ending in (("CSV", "csv"), ("GeoJSON", "geojson"), ("GeoParquet", "parquet")):
        link = page.get_by_role("link", name=form, exact=True)
        if not link.is_visible():
            page.get_by_label("Export the cells above the threshold").click()
        with page.expect_download() as download:
            link.click()
        file = tmp_path / f"cells.{ending}"
        download.value.save_as(file)
        read = geopandas.read_parquet(file) if ending == "parquet" else pyogrio.read_dataframe(file)
        assert all(isinstance(name, str) for name in read["h3_cell"]), form
        exported = {h3.str_to_int(name) for name in read["h3_cell"]}
        assert len(exported) == len(read) == counted, form
        assert certain <= exported <= possible, form
        if ending != "csv":
            assert read.geometry.is_valid.all(), form
            assert read.crs.is_geographic, form


def test_a_lasso_holds_the_cells_whose_centres_lie_in_it(
    page: sync_api.Page, url: str, cells: np.ndarray
) -> None:
    shown = zoomed(page, url)
    shown.press("Lasso (S)")
    shown.drag([(-180, -150), (90, -190), (190, 20), (-20, 170), (-150, 90)])
    counted = page.locator(".shape output").first
    counted.wait_for(timeout=WAIT_MS)
    held = int(counted.get_attribute("data-cells") or 0)
    shown.press("Like all of these")
    page.wait_for_url("**like=within**", timeout=WAIT_MS)
    [like] = question(page)["like"]
    corners = [tuple(map(float, corner.split())) for corner in like.removeprefix("within:").split(",")]
    centres = np.array([h3.cell_to_latlng(h3.int_to_str(cell))[::-1] for cell in cells.tolist()])
    assert held == shapely.contains_xy(shapely.Polygon(corners), *centres.T).sum() > 50
    shown.wait(like=[like])
    page.get_by_text("20 most similar").wait_for(timeout=WAIT_MS)
