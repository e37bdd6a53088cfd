"""How rare a similarity is, against all rows; and what is said of questions and rows of different sensors."""

from pathlib import Path

import numpy as np
import pytest

from indexer.geo.cells import cells_to_text
from indexer.index import sample, segment_files
from indexer.index.faiss_index import build_index, open_index
from indexer.search.query import Cell, Query, Vector
from indexer.search.search import search, search_many
from indexer.table.columns import cosines, to_matrix
from indexer.table.embedding_table import EmbeddingTable

from ..random_rows import MODEL, random_rows
from ..small_tables import place_rows, place_table, whole


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    table = place_table(tmp_path / "t")
    build_index(table)
    return table


def shares(table: EmbeddingTable, query: np.ndarray, similarity: np.ndarray, without: int = 0) -> np.ndarray:
    """Of all rows but those of a cell, the share that is at least as like."""
    rows = whole(table)
    each = cosines(to_matrix(rows["embedding"]), query / np.linalg.norm(query))
    each = each[rows["h3_cell"].to_numpy() != without]
    return np.array([np.mean(each >= one) for one in similarity])


def test_of_a_small_table_the_share_is_exact(table: EmbeddingTable) -> None:
    query = np.random.default_rng(0).normal(size=MODEL.dimension)
    rows = search(table, Query((Vector(query),)), 30).rows
    found = rows["top_share"].to_numpy()
    np.testing.assert_allclose(found, shares(table, query, rows["similarity"].to_numpy()), rtol=1e-12)
    assert found[0] == 1 / table.row_count


def test_the_places_of_the_examples_are_left_out(table: EmbeddingTable) -> None:
    cell = int(whole(table)["h3_cell"][7].as_py())
    (hits,) = search_many(table, [Query((Cell(cell),))], 20)
    assert hits.query is not None
    expected = shares(table, hits.query.vectors[0], hits.rows["similarity"].to_numpy(), without=cell)
    kept = hits.rows["h3_cell"].to_numpy() != cell  # the other year of the same place is a hit, and no peer
    np.testing.assert_allclose(hits.rows["top_share"].to_numpy()[kept], expected[kept], rtol=1e-12)
    again = search(table, Query((Cell(cell),)), 20, include_query=True)
    assert again.rows["top_share"][0].as_py() == 1 / (table.row_count - 2)


def test_a_large_segment_keeps_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sample, segment_files):
        monkeypatch.setattr(module, "SAMPLE_ROWS", 50)
    table = EmbeddingTable.create(tmp_path / "t", MODEL, h3_resolution=9).upsert(random_rows(400))
    build_index(table)
    query = np.random.default_rng(1).normal(size=MODEL.dimension)
    rows = search(table, Query((Vector(query),)), 400).rows
    found, exact = rows["top_share"].to_numpy(), shares(table, query, rows["similarity"].to_numpy())
    assert found[0] == 1 / 50  # no row of the sample is as like: no more than one of it
    assert np.abs(found - exact).max() < 0.2
    assert len(set(found.tolist())) == 50
    index, _ = open_index(table)
    assert index is not None
    index.segments[0].check()
    kept = index.segments[0].sample("embedding")
    assert kept is not None
    own = whole(table).take(np.linspace(0, 399, 50).round().astype(int))
    assert cells_to_text(kept.cells.whole()) == cells_to_text(own["h3_cell"].to_numpy())
    np.testing.assert_array_equal(kept.matrix.whole(), to_matrix(own["embedding"]))
    monkeypatch.setattr(segment_files, "SAMPLE_CELLS", "none")  # as an index that was written before
    segment_files.open_segment.cache_clear()
    assert search(table, Query((Vector(query),)), 3).rows["top_share"].to_pylist() == [None] * 3


def test_two_segments_count_by_their_rows(table: EmbeddingTable) -> None:
    more = table.upsert(place_rows(np.unique(random_rows(5, seed=77)["h3_cell"].to_numpy()), (2023,)))
    build_index(more)
    query = np.random.default_rng(2).normal(size=MODEL.dimension)
    rows = search(more, Query((Vector(query),)), 50).rows
    expected = shares(more, query, rows["similarity"].to_numpy())
    np.testing.assert_allclose(rows["top_share"].to_numpy(), expected, rtol=1e-9)


def test_without_an_index_nothing_is_claimed(tmp_path: Path) -> None:
    rows = search(place_table(tmp_path / "t"), Query((Vector(np.ones(MODEL.dimension)),)), 5).rows
    assert rows["top_share"].null_count == 5


def test_sensors_that_do_not_overlap_are_told(table: EmbeddingTable) -> None:
    def said(query: Query) -> list[str]:
        return [note for note in search(table, query, 20).notes if "no sensor" in note]

    vector = np.ones(MODEL.dimension)
    assert said(Query((Vector(vector),))) == []  # of a vector it is not known
    (note,) = said(Query((Vector(vector, ("hr",)),), against="embedding_s1"))
    assert note.startswith(
        "20 of 20 results share no sensor with the question: it was made from HR, they from S1"
    )
    assert said(Query((Vector(vector, ("hr", "s1")),), against="embedding_s1")) == []
    rows = whole(table)
    first = next(row for row in rows.select(["h3_cell", "n_s1"]).to_pylist() if row["n_s1"])
    assert said(Query((Cell(first["h3_cell"]),), using="embedding_s1", against="embedding_s1")) == []
    found = search(table, Query((Vector(vector, ("hr",)),)), 20)
    without = sum(not n for n in found.rows["n_hr"].to_pylist())
    assert 0 < without < 20
    assert said(Query((Vector(vector, ("hr",)),)))[0].startswith(f"{without} of 20 results share no sensor")
