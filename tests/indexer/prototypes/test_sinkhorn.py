"""Sinkhorn clustering against its formulas written out one number at a time."""

import numpy as np
import pytest

from indexer.prototypes import sinkhorn

from ...tolerance import gamma, rounding, scaling_error


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def slow_sinkhorn_knopp(cosines: np.ndarray, epsilon: float, iterations: int) -> list[list[float]]:
    n, p = cosines.shape
    s = [[float(np.exp(float(cosines[i][j]) / epsilon)) for j in range(p)] for i in range(n)]
    for _ in range(iterations):
        for j in range(p):
            total = sum(s[i][j] for i in range(n))
            for i in range(n):
                s[i][j] *= n / p / total
        for i in range(n):
            total = sum(s[i])
            s[i] = [value / total for value in s[i]]
    return s


def test_sinkhorn_knopp_is_its_formula() -> None:
    cosines = np.random.default_rng(0).uniform(-1, 1, (23, 5))
    shares, slow = sinkhorn.sinkhorn_knopp(cosines, 0.1, 4), slow_sinkhorn_knopp(cosines, 0.1, 4)
    np.testing.assert_allclose(shares, slow, rtol=rounding(np.float32))


def test_many_iterations_balance_what_one_side_hoards() -> None:
    cosines = np.random.default_rng(0).uniform(-0.2, 0.2, (400, 4))
    cosines[:, 0] += 0.5  # nearly all rows prefer the first
    shares = sinkhorn.sinkhorn_knopp(cosines, 0.2, 50)
    np.testing.assert_allclose(shares.sum(axis=1, dtype=float), 1, rtol=rounding(np.float32))
    np.testing.assert_allclose(shares.sum(axis=0, dtype=float), 100, rtol=rounding(np.float32))
    assert np.bincount(cosines.argmax(axis=1), minlength=4)[0] > 350


def test_extreme_cosines_stay_finite() -> None:
    shares = sinkhorn.sinkhorn_knopp(np.array([[1, -1], [1, -1], [1, -1]], np.float32), 0.001)
    assert np.isfinite(shares).all()


def test_a_step_is_its_formula() -> None:
    rng = np.random.default_rng(1)
    prototypes, batch = unit(rng.normal(size=(3, 6))), unit(rng.normal(size=(40, 6)))
    shares = np.array(slow_sinkhorn_knopp(batch @ prototypes.T, sinkhorn.EPSILON, sinkhorn.ITERATIONS))
    expected = np.empty_like(prototypes)
    for j in range(3):
        mean = sum(shares[i][j] * batch[i] for i in range(40)) / shares[:, j].sum()
        mixed = 0.9 * prototypes[j] + 0.1 * mean
        expected[j] = mixed / np.sqrt((mixed**2).sum())
    # Shares and their sum over 40 rows are float32: 43 roundings of a tenth of what is at least 0.8 long.
    np.testing.assert_allclose(sinkhorn.updated(prototypes, batch, 0.9), expected, rtol=0, atol=gamma(44))


def test_clusters_are_found_and_the_seed_decides() -> None:
    rng = np.random.default_rng(2)
    centres = unit(rng.normal(size=(6, 16)))
    vectors = unit(np.repeat(centres, 100, axis=0) + 0.05 * rng.normal(size=(600, 16))).astype(np.float32)
    found = sinkhorn.fit(vectors, 6, np.random.default_rng(0))
    assert ((centres @ found.T).max(axis=1) > 0.99).all()
    np.testing.assert_array_equal(found, sinkhorn.fit(vectors, 6, np.random.default_rng(0)))
    length = np.linalg.norm(found.astype(float), axis=1)
    np.testing.assert_allclose(length, 1, rtol=scaling_error(16))


def test_duplicates_can_be_seeded() -> None:
    same = np.tile(unit(np.ones((1, 4))), (50, 1))
    assert np.isfinite(sinkhorn.fit(same, 3, np.random.default_rng(0))).all()


def test_the_prototype_with_the_fewest_goes_first() -> None:
    prototypes = unit(np.array([[1.0, 0, 0], [0, 1, 0], [0, 1, 1]]))
    vectors = np.repeat(prototypes, [30, 5, 20], axis=0)
    np.testing.assert_array_equal(sinkhorn.pruned(prototypes, vectors, 10), prototypes[[0, 2]])
    np.testing.assert_array_equal(sinkhorn.pruned(prototypes, vectors, 30), prototypes[[0]])


@pytest.mark.parametrize("least", [1, 10, 40, 120])
def test_pruned_prototypes_each_have_enough(least: int) -> None:
    rng = np.random.default_rng(3)
    vectors, prototypes = unit(rng.normal(size=(120, 5))), unit(rng.normal(size=(30, 5)))
    kept = sinkhorn.pruned(prototypes, vectors, least)
    counts = np.bincount((vectors @ kept.T).argmax(axis=1), minlength=len(kept))
    assert counts.min() >= least
    assert all((kept_one == prototypes).all(axis=1).any() for kept_one in kept)


def test_a_fit_takes_whole_rounds_of_shuffled_batches_until_it_has_its_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors, batches = unit(np.random.default_rng(1).normal(size=(25, 3))).astype(np.float32), []

    def seen(prototypes: np.ndarray, batch: np.ndarray) -> np.ndarray:
        batches.append(batch)
        return prototypes

    monkeypatch.setattr(sinkhorn, "BATCH_ROWS", 10)
    monkeypatch.setattr(sinkhorn, "STEPS", 4)
    monkeypatch.setattr(sinkhorn, "updated", seen)
    sinkhorn.fit(vectors, 2, np.random.default_rng(0))
    assert [len(batch) for batch in batches] == [10, 10, 5] * 2
    for first in (0, 3):
        each = np.concatenate(batches[first : first + 3])
        assert not np.array_equal(each, vectors)
        np.testing.assert_array_equal(np.sort(each, axis=0), np.sort(vectors, axis=0))
