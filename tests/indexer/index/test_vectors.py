"""The exact scan against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.geo.row_ranges import RowRanges
from indexer.index import scan
from indexer.index.vectors import Vectors
from indexer.table.columns import DECIMALS, has_direction, unit

from ...tolerance import cosine_error

TOLERANCE = 0.51e-7  # rounded to seven decimals


def true_cosines(matrix: np.ndarray, query: np.ndarray) -> np.ndarray:
    """By the definition, in float64."""
    rows, wanted = matrix.astype(np.float64), query.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(rows @ wanted / (np.linalg.norm(rows, axis=1) * np.linalg.norm(wanted)))


def in_order(exact: np.ndarray, mask: np.ndarray) -> list[int]:
    """The rows of a mask, the most alike first; of equal ones the first row first."""
    rows = np.flatnonzero(mask)
    return [int(row) for row in rows[np.argsort(-exact[rows].round(DECIMALS), kind="stable")]]


@given(
    st.integers(1, 3000), st.sampled_from([1, 3, 8, 16, 37]), st.integers(1, 4000), st.integers(0, 9),
    st.sampled_from(["all", "few", "runs", "none"]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_nearest_is_the_brute_force_answer(n: int, d: int, k: int, seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, d)).astype(np.float16)
    query = unit(rng.normal(size=d))
    masks = {"all": np.ones(n, bool), "few": rng.random(n) < 0.05, "none": np.zeros(n, bool)}
    mask = masks.get(kind, np.arange(n) % 700 < 500)
    similarity, rows = Vectors.of(matrix).nearest(RowRanges.of_rows(np.flatnonzero(mask)), query, k)
    exact = true_cosines(matrix, query)
    assert len(rows) == min(k, mask.sum()) == len(set(rows.tolist()))
    assert mask[rows].all()
    assert rows.tolist() == in_order(exact, mask)[:k]
    np.testing.assert_allclose(similarity, exact[rows], rtol=0, atol=TOLERANCE)


@given(
    st.integers(1, 3000), st.sampled_from([1, 8, 37]), st.integers(1, 1200), st.integers(1, 9),
    st.sampled_from(["all", "few", "runs", "none"]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_many_queries_at_once_are_as_one_by_one(n: int, d: int, k: int, q: int, kind: str) -> None:
    rng = np.random.default_rng(n)
    matrix = rng.normal(size=(n, d)).astype(np.float16)
    queries = unit(rng.normal(size=(q, d)))
    masks = {"all": np.ones(n, bool), "few": rng.random(n) < 0.05, "none": np.zeros(n, bool)}
    rows = RowRanges.of_rows(np.flatnonzero(masks.get(kind, np.arange(n) % 700 < 500)))
    together = Vectors.of(matrix).nearest_many(rows, queries, k)
    assert len(together) == q
    for query, (similarity, found) in zip(queries, together, strict=True):
        alone, rows_alone = Vectors.of(matrix).nearest(rows, query, k)
        np.testing.assert_allclose(similarity, alone, rtol=0, atol=2 * TOLERANCE)
        assert found.tolist() == rows_alone.tolist()
        np.testing.assert_allclose(similarity, true_cosines(matrix, query)[found], rtol=0, atol=TOLERANCE)


@given(st.integers(1, 200), st.integers(1, 90), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_rows_of_their_own_for_each_query_are_as_one_by_one(m: int, q: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(300, 8)).astype(np.float16)
    matrix[::7] = 0  # no direction
    matrix[10:60] = matrix[9]
    vectors, queries = Vectors.of(matrix), unit(rng.normal(size=(q, 8)))
    rows = np.stack([rng.permutation(300)[:m] for _ in queries])
    together = list(vectors.nearest_of_each(rows, queries, 10))
    assert len(together) == q
    for mine, query, (similarity, found) in zip(rows, queries, together, strict=True):
        alone, rows_alone = vectors.nearest_of(mine, query, 10)
        np.testing.assert_allclose(similarity, alone, rtol=0, atol=2 * TOLERANCE)
        assert found.tolist() == rows_alone.tolist()


def test_duplicates_all_come_back_in_order_of_row() -> None:
    matrix = np.tile(np.eye(4, dtype=np.float16)[0], (500, 1))
    similarity, rows = Vectors.of(matrix).nearest(RowRanges.all_of(500), np.eye(4)[0], 500)
    assert rows.tolist() == list(range(500))
    assert (similarity == 1).all()


def test_duplicates_come_in_order_of_row_for_many_queries_too() -> None:
    matrix = np.tile(np.eye(4, dtype=np.float16)[0], (500, 1))
    for _, rows in Vectors.of(matrix).nearest_many(RowRanges.all_of(500), np.tile(np.eye(4)[0], (5, 1)), 20):
        assert rows.tolist() == list(range(20))


@pytest.mark.parametrize("sign", [1, -1])
def test_rows_of_very_different_length_are_ordered_by_cosine(sign: int) -> None:
    """A short row has a small product, whichever side of the query it lies on."""
    rng = np.random.default_rng(0)
    near = rng.normal(size=16) + 0.1 * rng.normal(size=(900, 16))
    matrix = (near * rng.choice([0.01, 1, 100], (900, 1))).astype(np.float16)
    query = unit(sign * near[0])
    expected = in_order(true_cosines(matrix, query), np.ones(900, bool))
    for k in (1, 10, 300):
        assert Vectors.of(matrix).nearest(RowRanges.all_of(900), query, k)[1].tolist() == expected[:k]


def test_rows_without_a_length_leave_room_for_the_others() -> None:
    """Their products are the largest, so a first scan names them alone."""
    matrix = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float16)
    matrix[50:150, 0] = np.inf
    query = np.eye(4)[0]
    expected = in_order(true_cosines(matrix, query), np.isfinite(matrix).all(axis=1))
    assert Vectors.of(matrix).nearest(RowRanges.all_of(200), query, 90)[1].tolist() == expected[:90]


def test_gathered_blocks_are_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "GATHERED_BYTES", 7 * 5 * 2)
    matrix = np.random.default_rng(0).normal(size=(100, 5)).astype(np.float16)
    odd = np.arange(1, 100, 2)
    _, rows = Vectors.of(matrix).nearest(RowRanges.of_rows(odd), unit(matrix[51]), 50)
    assert sorted(rows.tolist()) == odd.tolist()


def test_vectors_without_a_direction_are_known() -> None:
    matrix = np.ones((5, 3), np.float16)
    matrix[1], matrix[2, 0], matrix[3, 1] = 0, np.nan, np.inf
    assert has_direction(matrix).tolist() == [True, False, False, False, True]
    held = Vectors.of(matrix)
    assert held.count == 2
    assert held.valid is not None
    assert held.valid.tolist() == [True, False, False, False, True]
    assert Vectors.of(matrix[:1]).valid is None
    assert Vectors.of(matrix[1:4]).nearest(RowRanges.all_of(3), unit(np.ones(3)), 3)[1].tolist() == []


def test_each_row_has_its_similarity_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "PIECE_ROWS", 7)  # several passes
    rng = np.random.default_rng(0)
    matrix, query = rng.normal(size=(30, 16)).astype(np.float16), rng.normal(size=16)
    query /= np.linalg.norm(query)
    matrix[11], matrix[12] = np.nan, 0
    found = Vectors.of(matrix).similarity_of_each(query)
    known = ~np.isin(np.arange(30), (11, 12))
    stored = matrix[known].astype(np.float64)
    exact = stored / np.linalg.norm(stored, axis=1, keepdims=True) @ query
    assert np.isnan(found[[11, 12]]).all()
    np.testing.assert_allclose(found[known], exact, rtol=0, atol=2 * cosine_error(16))
    assert Vectors.of(matrix[:0]).similarity_of_each(query).shape == (0,)


@pytest.mark.parametrize(
    "way", ["nearest", "nearest_of", "nearest_of_each", "nearest_many", "nearest_to_all"]
)
def test_what_is_compared_is_checked_first(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, rows = Vectors.of(np.eye(40, 8, dtype=np.float16)), np.arange(7, 31)
    checked: list[tuple[object, np.ndarray]] = []

    def seen(self: object, starts: np.ndarray, stops: np.ndarray) -> None:
        held = [np.arange(start, stop) for start, stop in zip(starts, stops, strict=True)]
        checked.append((self, np.concatenate(held)))

    monkeypatch.setattr(type(vectors.matrix), "check", seen)
    queries = np.eye(8)[:5]
    if way == "nearest_of":
        vectors.nearest_of(rows, queries[0], 3)
    elif way == "nearest_of_each":
        vectors.nearest_of_each(np.tile(rows, (5, 1)), queries, 3)
    else:
        getattr(vectors, way)(RowRanges.of_rows(rows), queries if way != "nearest" else queries[0], 3)
    for array in (vectors.matrix, vectors.inverse_norms):
        held = [held for where, held in checked if where is array]
        assert held
        assert all(np.array_equal(np.unique(some), rows) for some in held)
