"""Every part of the page, with words of others that would be markup, pictures, formulas or code.

Nothing beyond this machine is asked, and the words stand there as they came.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import h3
import pytest

from indexer.prototypes.regional import fit_prototypes
from search_app.cli.launch import start, stop
from search_app.page_settings import PageSettings

from .. import make_table
from ..make_table import CELLS, small_table
from .chromium import MARKS, WAIT_MS, watched

pytestmark = MARKS
CELL = h3.int_to_str(CELLS[7])
WORDS = (
    "![x](https://example.org/x.png) [l](https://example.org/l) <img src=//example.org/i.png onerror=a()> "
    "<script>a()</script> **b** _i_ ~~s~~ `c` $x^2$ :smile: :red[r] :material/home: [/] [bold]r[/] # h | c | "
    "&amp; &#33; {f} ==m== www.example.org a@example.org https://example.org/u -> <- -- >= <= ~= ^p^ end"
)
SOURCES = str(Path(f"/data/{WORDS}"))
FOLDER = WORDS.replace("/", "_")[:120].strip()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A table whose folder, model, places and sources bear such names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_table, "MODEL", replace(make_table.MODEL, name=WORDS))
        sources = {cell: [f"https://example.org/{WORDS}.tif", f"{SOURCES}/x.tif"] for cell in CELLS}
        folder = tmp_path_factory.mktemp("hostile") / FOLDER
        table = small_table(folder, sample_ids=dict.fromkeys(CELLS, WORDS), source_items=sources)
    fit_prototypes(table, region_resolution=4)
    server, url = start(PageSettings((str(table.path),)))
    yield url
    stop(server)


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that fails the test if it asks anything of another machine, or runs what was written."""
    with watched(browser, 1300, 1400) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
        yield page
        links = page.locator("a[href*='example.org']").evaluate_all("all => all.map(a => a.outerHTML)")
    assert links == []


def text_of(page: Any, awaited: str) -> str:
    page.get_by_text(awaited).first.wait_for(timeout=WAIT_MS)
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')", timeout=WAIT_MS)
    return re.sub(r"\s+", " ", page.locator("body").inner_text())


def go(page: Any, url: str, **params: str) -> None:
    page.goto(f"{url}/?{urlencode(params)}")


def test_the_map_and_what_was_found(page: Any, url: str) -> None:
    go(page, url, like=CELL, k="3")
    said = text_of(page, "Read from example.org")
    assert said.count(WORDS) >= 2  # the model, the example
    assert FOLDER in said
    assert f"Read from {SOURCES}" in said
    page.get_by_text("skyhex", exact=True).first.hover()


def test_the_prototypes(page: Any, url: str) -> None:
    region = h3.cell_to_parent(CELL, 4)
    go(page, url, tab="prototypes", prototype=f"{region}/0")
    assert WORDS in text_of(page, "Most typical of it")


@pytest.mark.parametrize("name", ["like", "unlike", "k", "bbox", "start", "end", "colour", "tab"])
def test_a_link(page: Any, url: str, name: str) -> None:
    """Each parameter is quoted by an error or a notice."""
    go(page, url, **{"like": CELL, name: WORDS})
    said_twice = "words => document.body.innerText.replace(/\\s+/g, ' ').split(words).length > 2"
    page.wait_for_function(said_twice, arg=WORDS, timeout=WAIT_MS)
    assert text_of(page, "skyhex").count(WORDS) >= 2  # beside the model's name


def test_an_error_of_sql(page: Any, url: str) -> None:
    go(page, url, tab="sql", sql=f'SELECT "{WORDS}" FROM embeddings')
    page.get_by_role("button", name="Run").click(timeout=WAIT_MS)
    assert WORDS in text_of(page, "not found")


@pytest.mark.parametrize("name", ["- x -> y", "1. x -- y"])
def test_a_folder_is_called_as_it_is(page: Any, tmp_path: Path, name: str) -> None:
    """At the beginning of a line, where markup has lists and rules."""
    server, url = start(PageSettings((str(small_table(tmp_path / name).path),)))
    try:
        go(page, url)
        text_of(page, "Where else does it look like this?")
        assert page.locator("[data-testid=stSidebar] p").first.inner_text() == name
    finally:
        stop(server)
