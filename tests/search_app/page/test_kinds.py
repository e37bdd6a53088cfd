"""Prototypes in few kinds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search_app.page.kinds import group, kind_name, letters


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_clusters_that_are_there_are_found() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), 10)
    vectors = unit(np.eye(8)[truth] + rng.normal(scale=0.05, size=(40, 8)))
    kind = group(vectors, np.ones(40), count=4)
    for cluster in range(4):
        assert len(set(kind[truth == cluster].tolist())) == 1
    assert sorted(set(kind.tolist())) == [0, 1, 2, 3]


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 100))
def test_kinds_are_numbered_by_weight_without_gaps(prototypes: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 50, prototypes).astype(float)
    kind = group(unit(rng.normal(size=(prototypes, 6))), weights, count)
    assert sorted(set(kind.tolist())) == list(range(kind.max() + 1))
    assert kind.max() < max(count, 1)
    totals = np.bincount(kind, weights)
    assert (np.diff(totals) <= 0).all()


def test_labels_carry_their_share() -> None:
    assert letters(np.array([0, 0, 1]), np.array([30, 45, 25])) == ["A 75%", "B 25%"]
    assert kind_name(2) == "⬢ C"
