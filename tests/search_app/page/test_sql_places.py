"""An answer in SQL that names cells goes to the map, and becomes the next question."""

from pathlib import Path

import h3
import pyarrow as pa
import pytest

from search_app.page.sql_places import cells_in, latest_rows

from ..make_table import CELLS, small_table
from .test_streamlit_app import link, page, run_typed, texts

A, B = CELLS[20], CELLS[33]


def test_cells_of_an_answer_in_every_writing() -> None:
    finer, coarser = h3.cell_to_children(h3.int_to_str(B), 11)[3], h3.cell_to_parent(h3.int_to_str(A), 5)
    rows = pa.table({"h3_cell": [h3.int_to_str(A), "nothing", None, finer, coarser, h3.int_to_str(B)]})
    assert cells_in(rows, 9) == [A, B, h3.str_to_int(coarser)]
    assert cells_in(pa.table({"h3_cell": pa.array([B, A, B], pa.uint64())}), 9) == [B, A]
    assert cells_in(pa.table({"h3_cell": [1.5]}), 9) == []
    assert cells_in(pa.table({"cell": [A]}), 9) == []


def test_the_latest_row_of_each_cell(tmp_path: Path) -> None:
    table = small_table(tmp_path / "t", years=(2021, 2023))
    rows = latest_rows(table, [B, CELLS[0] + 1, A])
    assert rows["h3_cell"].to_pylist() == [B, A]
    assert [start.year for start in rows["start_datetime"].to_pylist()] == [2023, 2023]


def test_an_answer_with_cells_is_the_next_question(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = small_table(tmp_path / "t").path
    app = page(monkeypatch, table, tab="sql")
    run_typed(app, f"SELECT h3_cell FROM embeddings WHERE h3_cell IN ({A}, {B}) ORDER BY h3_cell = {A}")
    cells = [h3.int_to_str(cell) for cell in (B, A)]
    next(button for button in app.button if button.label == "Search only in these").click().run()
    assert link(app)["cells"] == cells
    assert "Filters · 1 on" in texts(app)
    app = page(monkeypatch, table, tab="sql")
    run_typed(app, f"SELECT h3_cell FROM embeddings WHERE h3_cell IN ({A}, {B}) ORDER BY h3_cell = {A}")
    next(button for button in app.button if button.label == "Places like these").click().run()
    assert link(app)["like"] == cells
    assert "20 most similar" in texts(app)
    app = run_typed(page(monkeypatch, table, tab="sql"), "SELECT 42 AS answer")
    assert "Places like these" not in [button.label for button in app.button]
