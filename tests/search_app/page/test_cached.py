"""What is kept of a table equals what the table says."""

from datetime import UTC, datetime
from pathlib import Path

import h3
import numpy as np
import pyarrow as pa
import pytest

from indexer.index.faiss_index import build_index
from indexer.prototypes.regional import cells_of_prototype, fit_prototypes
from indexer.search.filter import Filter, Region
from indexer.search.query import Cell, Query, resolve
from indexer.search.search import search
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from search_app.page import cached
from search_app.page.cached import read_areas, read_keys, read_kinds, read_vectors, similarities

from ...tolerance import cosine_error
from ..make_table import CELLS, small_table


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    return small_table(tmp_path / "t")


def test_similarities_are_those_of_the_search(table: EmbeddingTable) -> None:
    query = Query((Cell(CELLS[3]), Cell(CELLS[9])), negatives=(Cell(CELLS[5]),))
    vectors = read_vectors(table)
    assert vectors is not None
    found = similarities(vectors, resolve(table, query, Filter()).vectors)
    rows = search(table, query, k=len(CELLS), include_query=True).rows
    by_cell = dict(zip(rows["h3_cell"].to_pylist(), rows["similarity"].to_pylist(), strict=True))
    assert np.allclose(
        found, [by_cell[cell] for cell in read_keys(table).cells.tolist()], rtol=0, atol=cosine_error(16)
    )


def test_the_best_of_several_queries_is_taken(table: EmbeddingTable) -> None:
    vectors = read_vectors(table)
    assert vectors is not None
    matrix = vectors.matrix.whole().astype(np.float64)
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    queries = unit[:3]
    expected = (unit @ queries.T).max(axis=1)
    assert np.allclose(similarities(vectors, queries), expected, rtol=0, atol=2 * cosine_error(16))


def test_an_index_of_the_snapshot_lends_its_vectors(table: EmbeddingTable) -> None:
    kept = read_vectors(table)
    build_index(table)
    read_vectors.clear()
    lent = read_vectors(table)
    assert kept is not None
    assert lent is not None
    assert lent.matrix.whole().tobytes() == kept.matrix.whole().tobytes()
    assert isinstance(lent.matrix.whole().base, np.memmap)


def test_of_a_damaged_index_nothing_is_taken(table: EmbeddingTable) -> None:
    build_index(table)
    (matrix,) = (table.path / "index").rglob("embedding.bin")
    content = bytearray(matrix.read_bytes())
    content[0] ^= 1
    matrix.write_bytes(content)
    (rows,) = table.scan(["embedding"])
    vectors = read_vectors(table)
    assert vectors is not None
    assert vectors.matrix.whole().tobytes() == to_matrix(rows["embedding"]).tobytes()


def test_vectors_too_many_to_keep_are_not_read(
    table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached, "MAX_VECTOR_BYTES", 100)
    assert read_vectors(table) is None


def test_a_filter_keeps_the_rows_that_a_search_would(table: EmbeddingTable) -> None:
    asked = Filter(Region.from_bbox(9.99, 46.99, 10.2, 47.2), start=datetime(2021, 6, 1, tzinfo=UTC))
    kept = read_keys(table).cells[read_keys(table).matching(table, asked)]
    rows = search(table, Query((Cell(CELLS[0]),)), k=99, filter=asked, include_query=True).rows
    assert sorted(kept.tolist()) == sorted(rows["h3_cell"].to_pylist())
    assert 0 < len(kept) < len(CELLS)
    later = Filter(start=datetime(2022, 1, 1, tzinfo=UTC))
    assert not read_keys(table).matching(table, later).any()


def test_rows_have_the_kind_of_their_prototype(table: EmbeddingTable) -> None:
    assert read_kinds(table) is None
    fit_prototypes(table, region_resolution=4)
    table = EmbeddingTable.open(table.path)
    kinds, keys = read_kinds(table), read_keys(table)
    assert kinds is not None
    kind_of = dict(zip(keys.cells.tolist(), kinds.of_rows(keys).tolist(), strict=True))
    prototypes = kinds.prototypes
    for i in range(len(kinds.kind)):
        rows = cells_of_prototype(table, int(prototypes.region_cell[i]), int(prototypes.prototype[i]))
        assert {kind_of[cell] for cell in rows["h3_cell"].to_pylist()} <= {int(kinds.kind[i])}


def test_rows_without_direction_have_no_kind(table: EmbeddingTable) -> None:
    (rows,) = table.scan()
    empty = [row | {"embedding": [0.0] * table.dimension} for row in rows.to_pylist()]
    fit_prototypes(table.upsert(pa.Table.from_pylist(empty, rows.schema)), region_resolution=4)
    assert read_kinds(EmbeddingTable.open(table.path)) is None


def test_one_disk_is_one_area(table: EmbeddingTable) -> None:
    [area] = read_areas(table)
    assert area.rows == len(CELLS)
    assert h3.get_resolution(area.key) == 3
