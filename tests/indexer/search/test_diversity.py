"""Diverse results: per parent cell, and by maximal marginal relevance written out."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import QueryError
from indexer.geo import cells
from indexer.search.diversity import Diversity, marginal_relevance, spread
from indexer.search.query import Query, Vector
from indexer.search.search import POOL, search
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import make_rows

from ..random_rows import MODEL, columns_for, random_cells
from ..small_tables import place_table

QUERY = Query((Vector(np.arange(1, MODEL.dimension + 1)),))


def test_spread_keeps_the_first_of_each_parent() -> None:
    h3_cell = random_cells(200)
    seen: Counter[int] = Counter()
    expected = []
    for i, cell in enumerate(h3_cell.tolist()):
        seen[cells.parent(cell, 4)] += 1
        if seen[cells.parent(cell, 4)] <= 3:
            expected.append(i)
    assert spread(h3_cell, 3, 4).tolist() == expected
    assert spread(h3_cell[:0], 3, 4).tolist() == []
    with pytest.raises(QueryError, match="finer"):
        spread(h3_cell, 3, 10)


def test_marginal_relevance_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 5))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    similarity = vectors @ vectors[3]
    chosen: list[int] = []
    for _ in range(8):
        left = [i for i in range(30) if i not in chosen]
        scores = [
            0.6 * similarity[i] - 0.4 * max((vectors[i] @ vectors[j] for j in chosen), default=0)
            for i in left
        ]
        chosen.append(left[int(np.argmax(scores))])
    assert marginal_relevance(vectors, similarity, 0.6, 8).tolist() == chosen
    in_order = np.argsort(-similarity, kind="stable")[:8].tolist()
    assert marginal_relevance(vectors, similarity, 1.0, 8).tolist() == in_order


def test_duplicates_are_passed_over_for_what_is_new() -> None:
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0.6, 0.8]], np.float32)
    assert marginal_relevance(vectors, vectors[:, 0], 0.4, 2).tolist() == [0, 3]


def test_a_search_keeps_to_both(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=200)
    plain = search(table, QUERY, 400).rows
    hits = search(table, QUERY, 30, diversity=Diversity(per_parent=1, parent_resolution=4)).rows
    found = cells.parents(hits["h3_cell"].to_numpy(), 4)
    everywhere = cells.parents(plain["h3_cell"].to_numpy(), 4)
    assert len(set(found.tolist())) == len(found) == min(30, len(set(everywhere.tolist())))
    assert (np.diff(hits["similarity"].to_numpy()) <= 0).all()
    assert hits["similarity"][0] == plain["similarity"][0]
    novel = search(table, QUERY, 10, diversity=Diversity(relevance=0.3)).rows
    assert novel["h3_cell"].to_pylist() != plain["h3_cell"].to_pylist()[:10]
    assert len(novel) == 10


def test_the_pool_grows_until_enough_remain(tmp_path: Path) -> None:
    """All rows of one place are more alike than the only one of another."""
    h3_cell = np.concatenate([np.unique(random_cells(60)), random_cells(1, box=(-60, -20, -58, -18))])
    vectors = np.eye(MODEL.dimension)[np.where(np.arange(len(h3_cell)) < len(h3_cell) - 1, 0, 1)]
    table = EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9)
    table = table.upsert(make_rows(**columns_for(h3_cell) | {"embedding": vectors}))
    query, diversity = Query((Vector(vectors[0]),)), Diversity(per_parent=1, parent_resolution=0)
    assert table.row_count > 2 * POOL
    hits = search(table, query, 2, diversity=diversity).rows
    assert hits["similarity"].to_pylist() == [1, 0]
    assert hits["h3_cell"][1].as_py() == h3_cell[-1]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(QueryError, match="0 to 1"):
        Diversity(relevance=2)
    with pytest.raises(QueryError, match="1 or more"):
        Diversity(per_parent=0)
