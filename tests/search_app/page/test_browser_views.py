"""Change and projection in a real browser, as in test_browser.py."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import h3
import numpy as np
import pyarrow as pa
import pytest

from indexer.search.changes import changes
from indexer.search.words import period_of
from indexer.table.embedding_table import EmbeddingTable
from search_app.cli.launch import start, stop
from search_app.page.plane import inside, read_drawn
from search_app.page.shapes import region_of
from search_app.page_settings import PageSettings

from ..make_table import CELLS, small_table
from .chromium import MARKS, WAIT_MS
from .test_browser import Map

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = MARKS


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = small_table(tmp_path_factory.mktemp("views") / "table", years=(2021, 2022, 2023))
    assert table.path
    return table.path


@pytest.fixture(scope="module")
def url(years: Path) -> Iterator[str]:
    server, url = start(PageSettings((str(years),)))
    yield url
    stop(server)


def extent(stage: sync_api.Locator) -> list[float]:
    return [float(side) for side in (stage.get_attribute("data-extent") or "").split()]


def test_change_is_seen_listed_and_followed(page: sync_api.Page, url: str, years: Path) -> None:
    shown = Map(page, f"{url}/?tab=change")
    other = page.locator(".stage[data-nodes]").nth(1)
    other.wait_for(timeout=WAIT_MS)
    page.get_by_text("20 greatest changes").wait_for(timeout=WAIT_MS)
    table = EmbeddingTable.open(years)
    greatest = changes(table, period_of("2021"), period_of("2023"), 1).to_pylist()[0]
    high = page.locator(".legend .end").nth(1)
    assert float(high.inner_text()) == pytest.approx(greatest["change"], abs=1e-3)

    page.get_by_role("button", name="Zoom in").nth(0).click()  # one moves, the other follows
    page.wait_for_timeout(1500)
    assert extent(other) == pytest.approx(extent(shown.stage), rel=1e-6)
    page.get_by_role("button", name="See it all (H)").nth(1).click()
    page.wait_for_timeout(1500)
    assert extent(other) == pytest.approx(extent(shown.stage), rel=1e-6)

    shown.click(CELLS[20])
    cell = h3.int_to_str(CELLS[20])
    page.wait_for_url(f"**seen={cell}**", timeout=WAIT_MS)
    page.get_by_text("2022 · ").first.wait_for(timeout=WAIT_MS)
    assert page.locator(".card .periods [aria-pressed=true]").first.inner_text() == "2021"
    page.reload()
    page.get_by_role("heading", name=cell).wait_for(timeout=WAIT_MS)

    page.goto(f"{url}/?tab=change&before=2022&after=2023&shade=similarity&like={cell}")
    for number, year in enumerate((2022, 2023)):
        page.locator(f".stage[data-question*='start={year}-01-01']").nth(0).wait_for(timeout=WAIT_MS)
        question = page.locator(".stage").nth(number).get_attribute("data-question") or ""
        assert parse_qs(question)["end"] == [f"{year + 1}-01-01"]
        assert parse_qs(urlparse(page.url).query)["like"] == [cell]


def test_a_lasso_in_the_plane_picks_on_the_map_and_back(page: sync_api.Page, url: str, years: Path) -> None:
    shown = Map(page, f"{url}/?tab=projection")
    plane = page.locator(".stage.plane[data-rows]")
    plane.wait_for(timeout=WAIT_MS)
    table = EmbeddingTable.open(years)
    assert plane.get_attribute("data-rows") == str(3 * len(CELLS))

    plane.get_by_role("button", name="Lasso (S)").click()
    box = plane.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    corners = [(-150, -90), (40, -160), (120, 0), (0, 90), (-120, 60)]
    page.mouse.move(x + corners[0][0], y + corners[0][1])
    page.mouse.down()
    for dx, dy in corners[1:]:
        page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up()
    page.wait_for_url("**picked=plane**", timeout=WAIT_MS)
    [shape] = parse_qs(urlparse(page.url).query)["picked"]
    holds = inside(table, shape)
    cells = set(read_drawn(table).keys.filter(pa.array(holds))["h3_cell"].to_pylist())
    assert 0 < len(cells) < len(CELLS)
    page.get_by_role("heading", name=f"{holds.sum()} rows of {len(cells)} cells picked").wait_for(
        timeout=WAIT_MS
    )
    assert plane.get_attribute("data-picked") == str(holds.sum())
    assert shown.told("picked") == plane.get_attribute("data-cells") == str(len(cells))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
        page.get_by_role("button", name="CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert {line.split(",")[0] for line in lines[1:]} == {h3.int_to_str(cell) for cell in cells}
    assert len(lines) == 1 + holds.sum()

    page.reload()
    page.locator(f".stage.plane[data-picked='{holds.sum()}']").wait_for(timeout=WAIT_MS)
    page.locator(f".stage[data-picked='{len(cells)}'][data-nodes]").wait_for(timeout=WAIT_MS)

    shown.stage.get_by_role("button", name="Lasso (S)").click()
    shown.drag([(-100, -90), (60, -100), (100, 0), (0, 90), (-90, 60)])
    page.wait_for_url("**picked=within**", timeout=WAIT_MS)
    [shape] = parse_qs(urlparse(page.url).query)["picked"]
    count = region_of(shape).rows(np.array(CELLS, np.uint64)).count
    page.get_by_role("heading", name=f"{3 * count} rows of {count} cells picked").wait_for(timeout=WAIT_MS)
    assert shown.told("picked") == plane.get_attribute("data-cells") == str(count)
    assert plane.get_attribute("data-picked") == str(3 * count)
    page.get_by_role("button", name="Like all of these").click()
    shown.wait(like=[shape])

    page.goto(f"{url}/?like=plane:pca:-0.5 -0.6,0.9 0.1,-0.2 0.8")
    page.get_by_text("20 most similar").wait_for(timeout=WAIT_MS)


def test_the_plane_by_keyboard_on_a_phone(phone: sync_api.Page, url: str) -> None:
    phone.goto(f"{url}/?tab=projection")
    plane = phone.locator(".stage.plane[data-rows]")
    plane.wait_for(timeout=WAIT_MS)
    box = plane.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    plane.focus()
    for key in ("b", "Enter", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", "Enter"):
        phone.keyboard.press(key)
    phone.wait_for_url("**picked=plane**", timeout=WAIT_MS)
    assert int(plane.get_attribute("data-picked") or 0) > 1
    phone.get_by_role("heading", name="cells picked").wait_for(timeout=WAIT_MS)
    plane.focus()
    phone.keyboard.press("Escape")
    phone.wait_for_url(lambda link: "picked" not in link, timeout=WAIT_MS)
    assert plane.get_attribute("data-picked") == "0"


def test_what_was_picked_on_one_plane_is_seen_on_another(page: sync_api.Page, url: str, years: Path) -> None:
    pytest.importorskip("pacmap")
    shape = "plane:pca:-0.5 -0.6,0.9 0.1,-0.2 0.8"
    holds = inside(EmbeddingTable.open(years), shape)
    assert 1 < holds.sum() < len(holds)
    page.goto(f"{url}/?tab=projection&plane=pacmap&picked={shape}")
    page.locator(f".stage.plane[data-picked='{holds.sum()}']").wait_for(timeout=2 * WAIT_MS)
    page.get_by_role("heading", name=f"{holds.sum()} rows of").wait_for(timeout=WAIT_MS)
