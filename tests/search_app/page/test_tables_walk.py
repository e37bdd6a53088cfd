"""Several tables in a real browser: chosen, asked, undone, gone back to; one that does not open."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import h3
import pytest

from indexer.labels.store import read_labels
from indexer.prototypes.regional import fit_prototypes
from indexer.table.embedding_table import EmbeddingTable
from search_app.cli.launch import start, stop
from search_app.page_settings import PageSettings

from ..make_table import CELLS, coarse_table, small_table
from .chromium import MARKS, WAIT_MS
from .test_browser import Map
from .test_question_walk import asked, wait_for

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = MARKS
A, B = (h3.int_to_str(CELLS[i]) for i in (20, 33))
COARSE = len({h3.cell_to_parent(h3.int_to_str(cell), 8) for cell in CELLS})
ABOVE_A = h3.cell_to_parent(A, 8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tables of one ground, one that is broken, one that has yet to be made."""
    folder = tmp_path_factory.mktemp("tables")
    fit_prototypes(small_table(folder / "fine"), region_resolution=4)
    coarse_table(folder / "coarse")
    (folder / "broken" / "_manifests").mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    server, url = start(PageSettings(tuple(str(folder / name) for name in ("fine", "coarse", "broken"))))
    yield url
    stop(server)


def choose(page: sync_api.Page, name: str) -> None:
    page.get_by_role("combobox", name="Table").click()
    page.get_by_role("option", name=name, exact=True).click()
    page.mouse.move(700, 5)  # off what would tell more of itself, over the box


def cells_drawn(page: sync_api.Page, count: int) -> None:
    page.locator(f".stage[aria-label^='Hexagon map of {count} cells']").first.wait_for(timeout=WAIT_MS)


def test_a_table_is_chosen_and_its_questions_are_steps(page: sync_api.Page, url: str, folder: Path) -> None:
    shown = Map(page, f"{url}/?like={A}")
    wait_for(page, table=["fine"], like=[A])
    choose(page, "coarse")
    wait_for(page, table=["coarse"], like=[ABOVE_A])
    cells_drawn(page, COARSE)
    page.get_by_text(f"of {COARSE} rows").wait_for(timeout=WAIT_MS)  # its own search
    assert str(folder) not in page.url
    page.locator(f".stage[data-question*='{ABOVE_A}']").wait_for(timeout=WAIT_MS)
    shown.press("Undo (U)")
    wait_for(page, table=["fine"], like=[A])
    cells_drawn(page, len(CELLS))
    page.go_back()
    wait_for(page, table=["coarse"], like=[ABOVE_A])
    cells_drawn(page, COARSE)
    page.go_forward()
    wait_for(page, table=["fine"], like=[A])
    cells_drawn(page, len(CELLS))


def test_what_one_table_alone_knows_stays_behind_and_is_said(page: sync_api.Page, url: str) -> None:
    region = h3.cell_to_parent(A, 4)
    Map(page, f"{url}/?like=prototype:{region}/0&like={B}")
    choose(page, "coarse")
    wait_for(page, table=["coarse"], like=[h3.cell_to_parent(B, 8)])
    page.get_by_text("Not taken along to coarse: 1 example (prototypes").wait_for(timeout=WAIT_MS)


def test_marks_stay_with_their_table(page: sync_api.Page, url: str, folder: Path) -> None:
    shown = Map(page, f"{url}/?table=fine&like={A}")
    shown.click(CELLS[33])
    page.get_by_role("button", name="Right", exact=True).first.click()
    page.get_by_text("Teach this search").click()
    page.get_by_text("Next round · 1 marked").wait_for(timeout=WAIT_MS)
    choose(page, "coarse")
    wait_for(page, table=["coarse"], like=[ABOVE_A])
    page.get_by_text("Next round · 0 marked").wait_for(timeout=WAIT_MS)
    choose(page, "fine")
    cells_drawn(page, len(CELLS))
    page.go_back()
    page.go_back()
    wait_for(page, table=["fine"], like=[A])
    page.get_by_text("Next round · 1 marked").click(timeout=WAIT_MS)
    page.wait_for_url("**marks=**", timeout=WAIT_MS)
    name = asked(page)["marks"][0].partition("/")[0]
    kept = read_labels(EmbeddingTable.open(folder / "fine").storage, name)
    assert kept["h3_cell"].to_pylist() == [CELLS[33]]
    assert not (folder / "coarse" / "labels").exists()


def test_a_table_that_does_not_open_is_said_and_the_others_work(
    page: sync_api.Page, url: str, folder: Path
) -> None:
    Map(page, f"{url}/?table=coarse&like={ABOVE_A}")
    choose(page, "broken")
    alert = page.get_by_role("alert").filter(has_text="broken")
    alert.wait_for(timeout=WAIT_MS)
    choose(page, "fine")
    cells_drawn(page, len(CELLS))
    page.go_back()
    alert.wait_for(timeout=WAIT_MS)
    page.go_back()
    wait_for(page, table=["coarse"], like=[ABOVE_A])
    page.get_by_text(f"of {COARSE} rows").wait_for(timeout=WAIT_MS)
    page.goto(f"{url}/?table=other")
    page.get_by_text("not started with a table 'other', but with fine, coarse, broken").wait_for(
        timeout=WAIT_MS
    )


def test_a_table_that_vanishes_is_said_and_found_again(page: sync_api.Page, url: str, folder: Path) -> None:
    Map(page, f"{url}/?table=coarse&like={ABOVE_A}")
    shutil.move(folder / "coarse", folder / "away")
    try:
        page.get_by_role("textbox", name="Look for places like").fill("10, 47")
        page.get_by_role("textbox", name="Look for places like").press("Enter")
        page.get_by_role("alert").filter(has_text="coarse").wait_for(timeout=WAIT_MS)
    finally:
        shutil.move(folder / "away", folder / "coarse")
    choose(page, "fine")
    cells_drawn(page, len(CELLS))
    choose(page, "coarse")
    page.get_by_text("10, 47", exact=True).first.wait_for(timeout=WAIT_MS)
    cells_drawn(page, COARSE)
