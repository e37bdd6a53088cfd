"""In a real browser: a table is labelled, a classifier taught, areas estimated; marks teach a search."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import geopandas
import h3
import numpy as np
import pyarrow as pa
import pytest
import shapely

import skyhex
from indexer.geo.cells import centres
from indexer.labels.area import check_sample, estimate_areas
from indexer.labels.classifier import apply_classifier, fit_classifier
from indexer.labels.feedback import Feedback, rounds_of
from indexer.table.embedding_table import EmbeddingTable
from search_app.cli.launch import start, stop
from search_app.page.map_bytes import similarity_codes
from search_app.page_settings import PageSettings

from .chromium import MARKS, WAIT_MS, watched
from .test_browser import Map

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytestmark = MARKS

CELLS = sorted(h3.str_to_int(c) for c in h3.grid_disk(h3.latlng_to_cell(47.0, 10.0, 9), 7))
EAST = centres(CELLS)[0] > 10.0
VECTORS = np.random.default_rng(0).normal(scale=0.5, size=(len(CELLS), 6))
VECTORS[:, 0] += np.where(EAST, 1, -1)
RIGHT = EAST & (VECTORS[:, 1] > 0)  # what a person looks for
HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """Two kinds of ground, east and west, with noise."""
    return skyhex.write_table(tmp_path_factory.mktemp("teach") / "t", CELLS, VECTORS, period=2024)


@pytest.fixture(scope="module")
def url(table: EmbeddingTable) -> Iterator[str]:
    server, url = start(PageSettings((str(table.path),)))
    yield url
    stop(server)


@pytest.fixture
def page(browser: sync_api.Browser) -> Iterator[sync_api.Page]:
    with watched(browser, 1400, 1000) as page:
        yield page


def type_in(page: sync_api.Page, label: str, text: str) -> None:
    page.get_by_label(label, exact=True).fill(text)
    page.get_by_label(label, exact=True).press("Enter")


def pill(page: sync_api.Page, text: str) -> sync_api.Locator:
    return page.get_by_role("radio", name=text).or_(page.get_by_role("button", name=text)).first


def bring(page: sync_api.Page, number: int, file: Path) -> None:
    """Give the page's uploader of a number a file, and wait until it is there."""
    page.get_by_test_id("stMain").locator("input[type=file]").nth(number).set_input_files(file)
    page.get_by_test_id("stFileChipName").get_by_text(file.name).wait_for(timeout=WAIT_MS)


def saved(page: sync_api.Page, form: str, path: Path) -> Path:
    """A file of the class map's downloads."""
    page.get_by_role("button", name="Download").first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name=form, exact=True).click()
    page.keyboard.press("Escape")
    download.value.save_as(path)
    return path


def labelled(table: EmbeddingTable, name: str = "sides") -> dict[int, str]:
    rows = skyhex.labels(table, name)
    return dict(zip(rows["h3_cell"].to_pylist(), rows["label"].to_pylist(), strict=True))


def test_labels_are_painted_imported_taught_and_their_areas_estimated(
    page: sync_api.Page, url: str, table: EmbeddingTable, tmp_path: Path
) -> None:
    page.goto(f"{url}/?tab=labels&labels=sides")
    type_in(page, "New class", "east")
    pill(page, "east · 0").wait_for(timeout=WAIT_MS)
    shown = Map(page, page.url)
    type_in(page, "New class", "east")
    pill(page, "east · 0").wait_for(timeout=WAIT_MS)

    # a click, and it is taken back
    shown.click(CELLS[80])
    pill(page, "east · 1").wait_for(timeout=WAIT_MS)
    assert labelled(table) == {CELLS[80]: "east"}
    shown.press("Undo (U)")
    page.get_by_role("button", name="Undo (U)", exact=True).and_(page.locator("[disabled]")).wait_for(
        timeout=WAIT_MS
    )
    assert labelled(table) == {}

    # a box around the eastern half, a brush of another class in the west
    box = shown.stage.bounding_box()
    assert box
    middle = shown.at(CELLS[np.argmin(abs(centres(CELLS)[0] - 10.0) + abs(centres(CELLS)[1] - 47.0))])
    type_in(page, "New class", "east")
    pill(page, "east · 0").wait_for(timeout=WAIT_MS)
    half = middle[0] - box["x"] - box["width"] / 2
    for name, corners in (
        ("east", [(half + 45, -200), (half + 250, 200)]),
        (HOSTILE, [(half - 250, -200), (half - 45, 200)]),
    ):
        if name != "east":
            type_in(page, "New class", name)
            pill(page, f"{name} · 0").wait_for(timeout=WAIT_MS)
        shown.press("Box (B)")
        shown.drag(corners)
        page.locator(".shape output").wait_for(timeout=WAIT_MS)
        cells = int(page.locator(".shape output").get_attribute("data-cells") or 0)
        shown.press(f"Mark as {name}")
        pill(page, f"{name} · {cells}").wait_for(timeout=WAIT_MS)
        assert list(labelled(table).values()).count(name) == cells > 10
    assert page.title() == "skyhex"
    assert page.locator("img[src='x']").count() == 0
    assert all(EAST[CELLS.index(cell)] == (name == "east") for cell, name in labelled(table).items())

    # a file: what lies outside is told, and it is the last that counts
    file = tmp_path / "more.geojson"
    lon, lat = centres(CELLS)
    north = np.flatnonzero(lat > np.sort(lat)[-12])
    points = [(lon[i], lat[i], "east" if EAST[i] else HOSTILE) for i in north] + [(100.0, 10.0, "east")]
    features = [
        {
            "type": "Feature",
            "properties": {"class": name},
            "geometry": {"type": "Point", "coordinates": [x, y]},
        }
        for x, y, name in points
    ]
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    page.get_by_text("Import a file").click()
    bring(page, 0, file)
    page.get_by_role("button", name="Add to the set").click()
    page.get_by_text("11 cells marked. 1 labels lie where the table has no cell.").wait_for(timeout=WAIT_MS)
    held = labelled(table)
    assert all(held[CELLS[i]] == ("east" if EAST[i] else HOSTILE) for i in north)
    (tmp_path / "none.geojson").write_text('{"features": []}')
    bring(page, 0, tmp_path / "none.geojson")
    page.get_by_role("button", name="Add to the set").click()
    page.get_by_text("none.geojson holds no features").wait_for(timeout=WAIT_MS)

    # taught: the map, the classifier and the sample are those of the engine
    type_in(page, "Blocks left out, H3 resolution", "8")
    page.get_by_role("button", name="Teach a classifier").click()
    page.get_by_text("labelled cells are told right").wait_for(timeout=WAIT_MS)
    fit = fit_classifier(table, skyhex.labels(table, "sides"), block_resolution=8)
    page.get_by_text(f"{fit.accuracy:.1%}", exact=True).wait_for(timeout=WAIT_MS)
    mapped = pa.concat_tables(apply_classifier(fit.classifier, table))
    said = dict(zip(mapped["h3_cell"].to_pylist(), mapped["label"].to_pylist(), strict=True))
    assert list(said) == CELLS
    for form, name in (("CSV", "map.csv"), ("GeoJSON", "map.geojson"), ("GeoParquet", "map.parquet")):
        path = saved(page, form, tmp_path / name)
        if form == "CSV":
            rows = [(row["h3_cell"], row["label"]) for row in csv.DictReader(path.open())]
        else:
            read = geopandas.read_parquet if form == "GeoParquet" else geopandas.read_file
            frame = read(path)
            rows = list(zip(frame["h3_cell"], frame["label"], strict=True))
            assert shapely.contains_xy(frame.geometry.to_numpy(), lon, lat).all()
        assert [(int(cell, 16), label) for cell, label in rows] == list(said.items())
    with page.expect_download() as download:
        page.get_by_role("button", name="Classifier", exact=True).click()
    assert json.loads(download.value.path().read_text()) == json.loads(fit.classifier.to_json())
    pill(page, "Confidence").click()
    page.get_by_label("Confidence threshold").wait_for(timeout=WAIT_MS)
    least = float(np.sort(mapped["confidence"].to_numpy())[40])
    slider = page.get_by_label("Confidence threshold")
    slider.fill(str(similarity_codes(np.array([least]))[0]))
    above = page.locator("output.above").last
    assert int(above.get_attribute("data-cells") or 0) == (mapped["confidence"].to_numpy() >= least).sum()

    # the sample comes back, checked
    page.get_by_text("Areas of the classes").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Sample to check").click()
    rows = list(csv.DictReader(download.value.path().open()))
    drawn = check_sample(mapped, 50)
    assert [int(row["h3_cell"], 16) for row in rows] == drawn["h3_cell"].to_pylist()
    truth = ["east" if EAST[CELLS.index(cell)] else "west" for cell in drawn["h3_cell"].to_pylist()]
    for row, name in zip(rows, truth, strict=True):
        row["reference"] = name
    with (tmp_path / "checked.csv").open("w") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    bring(page, 1, tmp_path / "checked.csv")
    page.get_by_text("Not classes of the map: west.").wait_for(timeout=WAIT_MS)
    found = estimate_areas(mapped, drawn.set_column(3, "reference", [truth]))
    page.get_by_text(f"overall accuracy {found.overall_accuracy:.1%}").wait_for(timeout=WAIT_MS)


def test_rounds_of_marks_teach_a_search(page: sync_api.Page, url: str, table: EmbeddingTable) -> None:
    """Results marked in the panel and the map's card; undone, gone back to, taken up again."""
    start = CELLS[int(np.flatnonzero(RIGHT)[3])]
    shown = Map(page, f"{url}/?like={h3.int_to_str(start)}&k=40")
    shown.wait(like=[h3.int_to_str(start)])
    page.get_by_text("Teach this search").click()
    marks: dict[int, bool] = {}

    def mark(cells: list[int]) -> None:
        for cell in cells:
            is_right = bool(RIGHT[CELLS.index(cell)])
            button = page.locator(f".st-key-mark-{'right' if is_right else 'wrong'}-{cell:x} button")
            button.first.click()
            button.and_(page.locator("[kind=primary]")).first.wait_for(timeout=WAIT_MS)
            marks[cell] = is_right

    def put(version: int) -> None:
        """The round, and what the page then shows is what the engine finds."""
        page.get_by_role("button", name=f"Next round · {len(marks) - before} marked").click()
        page.wait_for_url(f"**marks=feedback-*%2F{version}*", timeout=WAIT_MS)
        expect_taught()

    def expect_taught() -> None:
        found = engine()
        page.get_by_text(f"taught by {len(marks)} marks").wait_for(timeout=WAIT_MS)
        code = page.get_by_test_id("stCode").first.text_content() or ""
        assert all(
            f"--{'right' if is_right else 'wrong'} {cell:x}" in code for cell, is_right in marks.items()
        )
        assert len(found.hits.rows) == 40

    def engine() -> Feedback:
        said = {True: [c for c, is_right in marks.items() if is_right], False: []}
        said[False] = [c for c in marks if c not in said[True]]
        return skyhex.feedback(table, cell=start, right=said[True], wrong=said[False], k=40)

    hits = skyhex.search(table, cell=start, k=40).rows["h3_cell"].to_pylist()
    before = 0
    mark(hits[:10])
    put(1)
    before = len(marks)
    ask = engine().ask["h3_cell"].to_pylist()
    mark(ask[:9])
    shown.stage.scroll_into_view_if_needed()
    shown.click(ask[9])
    assert shown.card() == f"{ask[9]:x}"
    marks[ask[9]] = bool(RIGHT[CELLS.index(ask[9])])
    page.locator(".card").get_by_role("button", name="Right" if marks[ask[9]] else "Wrong").click()
    put(2)
    assert 0 < sum(marks.values()) < len(marks)
    kept = skyhex.labels(table, page.url.split("marks=")[1].split("%2F")[0])
    assert {row["h3_cell"]: row["label"] == "right" for row in kept.to_pylist()} == marks
    assert [(said.right, said.marked) for said in rounds_of(kept)] == [
        (sum(marks[cell] for cell in cells), 10) for cells in (hits[:10], ask)
    ]
    with page.expect_download() as download:
        saved_results = page.get_by_role("button", name="Download").first
        saved_results.click()
        page.get_by_role("button", name="CSV", exact=True).click()
    rows = [int(row["h3_cell"], 16) for row in csv.DictReader(download.value.path().open())]
    assert rows == engine().hits.rows["h3_cell"].to_pylist()
    page.keyboard.press("Escape")

    page.go_back()  # a round is a step
    page.wait_for_url("**marks=feedback-*%2F1*", timeout=WAIT_MS)
    page.get_by_text("taught by 10 marks").wait_for(timeout=WAIT_MS)
    page.go_forward()
    page.get_by_text("taught by 20 marks").wait_for(timeout=WAIT_MS)
    page.get_by_role("button", name="Undo round").click()
    page.wait_for_url("**marks=feedback-*%2F3*", timeout=WAIT_MS)
    for cell in ask:
        del marks[cell]
    expect_taught()
    page.goto(f"{url}/?like={h3.int_to_str(start)}&k=40")
    page.get_by_text("Teach this search").click()
    page.get_by_role("button", name="Take up 10 marks of before").click()
    page.get_by_text("taught by 10 marks").wait_for(timeout=WAIT_MS)
