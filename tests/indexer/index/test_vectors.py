"""The exact scan against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.geo.row_ranges import RowRanges
from indexer.index import vectors
from indexer.index.vectors import Vectors, nearest, nearest_many
from indexer.table.columns import has_direction

from ...tolerance import gamma


def dot_error(matrix: np.ndarray, query: np.ndarray) -> float:
    """How far a float32 dot product of a row and the query is off, at most."""
    longest = np.linalg.norm(matrix.astype(float), axis=1).max() * np.linalg.norm(query.astype(float))
    return gamma(len(query)) * longest


@given(
    st.integers(1, 3000), st.sampled_from([1, 3, 8, 16, 37]), st.integers(1, 4000), st.integers(0, 9),
    st.sampled_from(["all", "few", "runs", "none"]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_nearest_is_the_brute_force_answer(n: int, d: int, k: int, seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, d)).astype(np.float16)
    query = rng.normal(size=d).astype(np.float32)
    masks = {"all": np.ones(n, bool), "few": rng.random(n) < 0.05, "none": np.zeros(n, bool)}
    mask = masks.get(kind, np.arange(n) % 700 < 500)
    similarity, rows = nearest(matrix, RowRanges.of_rows(np.flatnonzero(mask)), query, k)
    exact = matrix.astype(np.float64) @ query
    assert len(rows) == min(k, mask.sum()) == len(set(rows.tolist()))
    assert mask[rows].all()
    atol = dot_error(matrix, query)
    np.testing.assert_allclose(similarity, np.sort(exact[mask])[::-1][:k], rtol=0, atol=atol)
    np.testing.assert_allclose(similarity, exact[rows], rtol=0, atol=atol)


@given(
    st.integers(1, 3000), st.sampled_from([1, 8, 37]), st.integers(1, 1200), st.integers(1, 9),
    st.sampled_from(["all", "few", "runs", "none"]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_many_queries_at_once_are_as_one_by_one(n: int, d: int, k: int, q: int, kind: str) -> None:
    rng = np.random.default_rng(n)
    matrix = rng.normal(size=(n, d)).astype(np.float16)
    queries = rng.normal(size=(q, d)).astype(np.float32)
    masks = {"all": np.ones(n, bool), "few": rng.random(n) < 0.05, "none": np.zeros(n, bool)}
    rows = RowRanges.of_rows(np.flatnonzero(masks.get(kind, np.arange(n) % 700 < 500)))
    together = nearest_many(matrix, rows, queries, k)
    assert len(together) == q
    for query, (similarity, found) in zip(queries, together, strict=True):
        alone, _ = nearest(matrix, rows, query, k)
        atol = 2 * dot_error(matrix, query)
        np.testing.assert_allclose(similarity, alone, rtol=0, atol=atol)
        assert len(set(found.tolist())) == len(found)
        assert np.isin(found, rows.rows()).all()
        np.testing.assert_allclose(similarity, matrix[found].astype(np.float32) @ query, rtol=0, atol=atol)


def test_duplicates_all_come_back_in_order_of_row() -> None:
    matrix = np.tile(np.eye(4, dtype=np.float16)[0], (500, 1))
    similarity, rows = nearest(matrix, RowRanges.all_of(500), np.eye(4, dtype=np.float32)[0], 500)
    assert rows.tolist() == list(range(500))
    assert (similarity == 1).all()


def test_gathered_blocks_are_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "GATHERED_BYTES", 7 * 5 * 2)
    matrix = np.random.default_rng(0).normal(size=(100, 5)).astype(np.float16)
    odd = np.arange(1, 100, 2)
    _, rows = nearest(matrix, RowRanges.of_rows(odd), matrix[51].astype(np.float32), 50)
    assert sorted(rows.tolist()) == odd.tolist()


def test_vectors_without_a_direction_are_known() -> None:
    matrix = np.ones((5, 3), np.float16)
    matrix[1], matrix[2, 0], matrix[3, 1] = 0, np.nan, np.inf
    assert has_direction(matrix).tolist() == [True, False, False, False, True]
    held = Vectors.of(matrix)
    assert held.count == 2
    assert Vectors.of(matrix[:1]).valid is None


def test_each_row_has_its_similarity_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "RANGE_ROWS", 7)  # several passes
    rng = np.random.default_rng(0)
    matrix, query = rng.normal(size=(30, 16)).astype(np.float16), rng.normal(size=16).astype(np.float32)
    matrix[11] = np.nan
    found = vectors.similarity_of_each(matrix, query)
    known = np.arange(30) != 11
    exact = matrix[known].astype(np.float64) @ query
    assert np.isnan(found[11])
    np.testing.assert_allclose(found[known], exact, rtol=0, atol=dot_error(matrix[known], query))
    assert vectors.similarity_of_each(matrix[:0], query).shape == (0,)
