"""The facade: three lines to a result in a notebook."""

import re
from pathlib import Path

import h3
import numpy as np
import pytest

import skyhex
from indexer.errors import QueryError
from indexer.table import EmbeddingTable

from .search_app.make_table import CELLS, small_table

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    return small_table(tmp_path_factory.mktemp("table"))


def test_a_cell_a_place_and_a_vector_find_the_same(table: EmbeddingTable) -> None:
    cell = h3.int_to_str(CELLS[7])
    lat, lon = h3.cell_to_latlng(cell)
    by_cell = skyhex.search(table.path, cell=cell, k=5).rows
    by_place = skyhex.search(table, lonlat=(lon, lat), k=5).rows
    assert by_cell.num_rows == 5
    assert by_cell["h3_cell"].to_pylist() == by_place["h3_cell"].to_pylist()
    vector = np.asarray(table.lookup(cell=CELLS[7])["embedding"][0].as_py(), np.float32)
    by_vector = skyhex.search(table, vector=vector, k=6).rows
    assert by_vector["h3_cell"].to_pylist() == [CELLS[7], *by_cell["h3_cell"].to_pylist()]


def test_a_box_is_searched_not_cut_afterwards(table: EmbeddingTable) -> None:
    lat, lon = h3.cell_to_latlng(h3.int_to_str(CELLS[0]))
    box = (lon - 0.02, lat - 0.02, lon + 0.02, lat + 0.02)
    inside = [
        c for c in CELLS[1:]
        if abs(h3.cell_to_latlng(h3.int_to_str(c))[0] - lat) <= 0.02
        and abs(h3.cell_to_latlng(h3.int_to_str(c))[1] - lon) <= 0.02
    ]  # fmt: skip
    hits = skyhex.search(table, cell=CELLS[0], bbox=box, k=100)
    assert sorted(hits.rows["h3_cell"].to_pylist()) == inside


def test_nothing_or_too_much_to_look_like_is_an_error(table: EmbeddingTable) -> None:
    for words in ({}, {"not_cell": CELLS[0]}, {"cell": CELLS[0], "query": skyhex.Query(())}):
        with pytest.raises(QueryError, match="expected something to look like"):
            skyhex.search(table, **words)


def test_sql_counts_the_rows(table: EmbeddingTable) -> None:
    assert skyhex.sql(table, "SELECT count(*) AS n FROM embeddings")["n"].to_pylist() == [len(CELLS)]


def test_every_name_it_promises_is_there() -> None:
    for name in skyhex.__all__:
        assert getattr(skyhex, name).__doc__, name


def test_the_notebook_lines_of_the_readme_run(table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block is not None
    code = block[1].replace("CELL", h3.int_to_str(CELLS[0])).replace("skyhex-data", str(table.path))
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    hits = names["hits"]
    assert isinstance(hits, skyhex._import("indexer.search").Hits)
    assert hits.rows.num_rows == 10
