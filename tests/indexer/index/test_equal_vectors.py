"""Thousands of equal or nearly equal rows do not crowd better ones out of an inverted file's answers."""

import numpy as np
import pytest

from indexer.geo.row_ranges import RowRanges
from indexer.index import ivf, planner, recall
from indexer.index.planner import EXACT, Plan
from indexer.index.vectors import Vectors
from indexer.table.columns import unit

ROWS, SAME, DIMENSION, QUERIES, K = 40_000, 1_200, 48, 60, 10


def with_equal_rows(noise: float) -> tuple[Vectors, np.ndarray]:
    """Vectors in groups, 3 % of them equal but for noise; and queries between these and others."""
    rng = np.random.default_rng(0)
    groups = rng.normal(size=(200, DIMENSION))
    matrix = unit(groups[rng.integers(0, 200, ROWS)] + 0.5 * rng.normal(size=(ROWS, DIMENSION)))
    same = rng.choice(ROWS, SAME, replace=False)
    matrix[same] = matrix[same[0]] + noise * rng.normal(size=(SAME, DIMENSION))
    queries = unit(matrix[same[0]] + matrix[rng.choice(ROWS, QUERIES)])
    return Vectors.of(matrix.astype(np.float16)), queries


@pytest.mark.parametrize("noise", [0, 1e-3])
def test_queries_beside_equal_rows_find_the_nearest(noise: float) -> None:
    held, queries = with_equal_rows(noise)
    everything, inverted = RowRanges.all_of(ROWS), ivf.train(held.matrix.unchecked)
    cases = recall._cases(held, "all", 1.0, np.random.default_rng(1))[: recall.LEARNT]
    slack = recall._least_slack(Plan(64, 60), held, inverted, cases)
    assert slack > 0
    exact = planner.run(EXACT, held, None, everything, queries, K)
    blind = planner.refine(Plan(64, 60), held, inverted, everything, queries, K)
    lost = [np.isin(rows, one.rows).mean() for (_, rows), one in zip(exact, blind, strict=True)]
    assert np.mean(lost) < 0.9, "or nothing is crowded out, and this test cannot fail"
    found = planner.run(Plan(64, 60, slack), held, inverted, everything, queries, K)
    shares = [np.isin(a, b).mean() for (_, a), (_, b) in zip(exact, found, strict=True)]
    assert min(shares) > 0
    assert np.mean(shares) >= 0.98
    if noise == 0:  # rows of one code are a crowd even where no slack was learnt
        found = planner.run(Plan(64, 60), held, inverted, everything, queries, K)
        assert np.mean([np.isin(a, b).mean() for (_, a), (_, b) in zip(exact, found, strict=True)]) >= 0.98


def test_codes_tell_how_alike_equal_rows_are() -> None:
    held, queries = with_equal_rows(0)
    everything, inverted = RowRanges.all_of(ROWS), ivf.train(held.matrix.unchecked)
    named, estimates = inverted.candidates(queries, everything, ROWS, inverted.lists)
    values, counts = np.unique(held.matrix.unchecked, axis=0, return_counts=True)
    equal = (held.matrix.unchecked == values[counts.argmax()]).all(axis=1)
    assert equal.sum() == SAME
    for query, rows, estimate in zip(queries, named, estimates, strict=True):
        cosine = held.matrix.unchecked[rows[equal[rows]][0]].astype(np.float64) @ query
        np.testing.assert_allclose(estimate[equal[rows]], cosine, atol=0.01)


def test_recall_is_measured_between_rows_too() -> None:
    held, _ = with_equal_rows(0)
    cases = recall._cases(held, "all", 1.0, np.random.default_rng(0))
    stored = unit(held.matrix.unchecked)
    nearest = [float((stored @ case.query).max()) for case in cases[:40]]
    rows = [case.row >= 0 for case in cases[:40]]
    assert rows == [True, False] * 20
    assert all(value > 1 - 1e-9 for value, is_row in zip(nearest, rows, strict=True) if is_row)
    assert np.median([value for value, is_row in zip(nearest, rows, strict=True) if not is_row]) < 0.99
    for case, answer in zip(cases[:4], recall._exact_answers(held, cases[:4]), strict=True):
        assert case.row not in answer, "a query that is a row would find itself in any case"
        assert answer.tolist() == recall._search(EXACT, held, None, case).tolist()
        assert len(answer) == planner.K
