"""The change tab in a real browser, as in test_browser.py."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import h3
import pytest

from indexer.search.changes import changes
from indexer.search.words import period_of
from indexer.table.embedding_table import EmbeddingTable
from search_app.cli.launch import start, stop
from search_app.page_settings import PageSettings

from ..make_table import CELLS, small_table
from .chromium import MARKS, WAIT_MS
from .test_browser import Map, page  # noqa: F401 - a fixture

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = MARKS


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = small_table(tmp_path_factory.mktemp("views") / "table", years=(2021, 2022, 2023))
    assert table.path
    return table.path


@pytest.fixture(scope="module")
def url(years: Path) -> Iterator[str]:
    server, url = start(PageSettings(str(years)))
    yield url
    stop(server)


def extent(stage: sync_api.Locator) -> list[float]:
    return [float(side) for side in (stage.get_attribute("data-extent") or "").split()]


def test_change_is_seen_listed_and_followed(page: sync_api.Page, url: str, years: Path) -> None:  # noqa: F811
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
