"""Labels of the page: uploads, what clicks and shapes mean, a place that is not written, codes of classes."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import h3
import numpy as np
import pytest
import shapely
from streamlit.testing.v1 import AppTest

import skyhex
from indexer.errors import QueryError
from indexer.geo.cells import centres
from indexer.labels.store import label_place, mark
from indexer.table.embedding_table import EmbeddingTable
from search_app.page import label_place as kept
from search_app.page.class_map import (
    Lesson,
    class_codes,
    class_names,
    confidence_codes,
    label_codes,
    taught,
)
from search_app.page.class_panel import cells_of, read_upload
from search_app.page.map_bytes import NO_KIND, code_similarity

from ..make_table import CELLS, small_table

LON, LAT = centres(CELLS)
NAME = "set"


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    return small_table(tmp_path / "t")


@pytest.fixture(autouse=True)
def nobody_named_a_folder() -> Iterator[None]:
    kept._folders.clear()
    yield
    kept._folders.clear()


def polygon(corners: int) -> tuple[shapely.Polygon, bytes]:
    """A wavy disk, and as a file."""
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    away = 0.01 + 0.0001 * np.sin(corners // 100 * turn)
    ring = np.stack([10 + away * np.cos(turn), 47 + away * np.sin(turn)], axis=1).round(8).tolist()
    shape = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    feature = {"type": "Feature", "properties": {"label": "round"}, "geometry": shape}
    return shapely.Polygon(ring), json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()


def test_a_polygon_of_very_many_corners_labels_what_lies_in_it_or_is_refused(table: EmbeddingTable) -> None:
    drawn, content = polygon(200_000)
    inside = shapely.contains_xy(drawn, LON, LAT)
    read = read_upload(table, "big.geojson", content)
    assert sorted(read.marks) == [cell for cell, is_in in zip(CELLS, inside, strict=True) if is_in]
    assert 10 < len(read.marks) < len(CELLS)
    with pytest.raises(QueryError, match="more than 1,000,000 corners: simplify it first"):
        read_upload(table, "too-big.geojson", polygon(1_000_000)[1])


def test_an_upload_that_cannot_be_read_is_told_by_its_own_name(table: EmbeddingTable) -> None:
    for name, content, said in (
        ("my labels.geojson", b"{", r"^my labels.geojson: cannot be read as GeoJSON"),
        ("a.csv", b"h3_cell,kind\n1,2\n", r"^a.csv: number 1 has no class"),
        ("a.parquet", b"PAR1", r"^a.parquet: cannot be read as rows"),
    ):
        with pytest.raises(QueryError, match=said):
            read_upload(table, name, content)


def test_a_click_is_a_cell_of_the_table_and_a_shape_all_centres_in_it(table: EmbeddingTable) -> None:
    assert cells_of(table, h3.int_to_str(CELLS[3])) == [CELLS[3]]
    assert cells_of(table, "8928308280fffff") == []
    west, south = LON.min() - 0.001, LAT.min() - 0.001
    shape = f"within:{west} {south},10 {south},10 48,{west} 48"
    assert cells_of(table, shape) == [cell for cell, lon in zip(CELLS, LON, strict=True) if lon < 10]


def test_codes_are_those_of_the_classes_in_the_order_in_which_they_came(table: EmbeddingTable) -> None:
    place = label_place(table)
    mark(place, NAME, {CELLS[5]: "water"}, 9)
    labels = mark(place, NAME, {CELLS[7]: "barren", CELLS[8]: "barren"}, 9)
    assert class_names(labels) == ["water", "barren"]
    codes = np.frombuffer(label_codes(table, f"{NAME}/2"), np.uint8)
    expected = np.full(len(CELLS), NO_KIND)
    expected[[5, 7, 8]] = 0, 1, 1
    np.testing.assert_array_equal(codes, expected)
    assert (np.frombuffer(label_codes(table, f"{NAME}/1"), np.uint8) == NO_KIND).sum() == len(CELLS) - 1
    for address in (NAME, f"{NAME}/x", f"{NAME}/9"):
        with pytest.raises(QueryError, match=r"expected SET/VERSION|no labels"):
            label_codes(table, address)


def test_a_lesson_crosses_an_address_and_makes_one_map(table: EmbeddingTable) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    some = {cell: "west" if lon < 10 else "east" for cell, lon in zip(CELLS[::2], LON[::2], strict=True)}
    mark(label_place(table), NAME, some, 9)
    lesson = Lesson(NAME, 1, 8, date(2021, 1, 1))
    params = dict(pair.split("=") for pair in lesson.address("classes", "x").replace("%2F", "/").split("&"))
    assert Lesson.read(params, "classes") == lesson
    made = taught(table, lesson)
    assert made.mapped["h3_cell"].to_pylist() == CELLS
    names = ["east", "west"]  # marked in one go
    codes = np.frombuffer(class_codes(table, lesson), np.uint8)
    assert [names[code] for code in codes.tolist()] == made.mapped["label"].to_pylist()
    sure = code_similarity(np.frombuffer(confidence_codes(table, lesson), "<u2"))
    np.testing.assert_allclose(sure, made.mapped["confidence"].to_numpy(), atol=1e-4)
    with pytest.raises(QueryError, match="expected SET/VERSION/BLOCKS"):
        Lesson.read({"classes": "a/b"}, "classes")


def script(path: str) -> None:
    """A page that marks what it is told to, and draws what went wrong."""
    import streamlit as st

    from indexer.table.embedding_table import EmbeddingTable
    from search_app.page.label_place import draw_problem, keep

    table = EmbeddingTable.open(path)
    marks = st.session_state.pop("do", None)
    if marks:
        keep(table, "set", marks)
    draw_problem(table)


def test_where_the_table_cannot_be_written_marks_wait_for_a_folder(
    table: EmbeddingTable, tmp_path: Path
) -> None:
    a, b, c = CELLS[:3]
    mark(label_place(table), NAME, {a: "east"}, 9)
    held = table.path / "labels" / NAME
    held.rename(tmp_path / "aside")
    held.write_text("in the way")
    page = AppTest.from_function(script, kwargs={"path": str(table.path)}, default_timeout=20).run()
    for marks in ({b: "west"}, {c: "east"}):
        page.session_state["do"] = marks
        page.run()
    assert "cannot write" in page.error[0].value
    assert page.text_input[0].label == "2 marks wait. Keep labels in the folder"
    held.unlink()
    (tmp_path / "aside").rename(held)
    page.text_input[0].set_value(str(tmp_path / "mine")).run()
    assert not page.exception
    assert not page.error
    mine = skyhex.labels(table, NAME, tmp_path / "mine")
    assert dict(zip(mine["h3_cell"].to_pylist(), mine["label"].to_pylist(), strict=True)) == {
        a: "east",  # the table's own go on here
        b: "west",
        c: "east",
    }
    assert skyhex.labels(table, NAME)["h3_cell"].to_pylist() == [a]
