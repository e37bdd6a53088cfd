"""Intervals over blocks against a slow reference; distances against known ones."""

import numpy as np
import pytest

from experiments.retrieval.blocks import Scores, bootstrap, far_from, hold_out, pooled


def slow_bootstrap(scores: Scores, seed: int, resamples: int) -> np.ndarray:
    """Draw blocks, gather their rows, average: row by row."""
    names = np.unique(scores.block)
    counts = np.random.default_rng(seed).multinomial(
        len(names), [1 / len(names)] * len(names), size=resamples
    )
    means = []
    for draw in counts:
        rows = np.concatenate(
            [np.repeat(np.flatnonzero(scores.block == b), c) for b, c in zip(names, draw, strict=True)]
        )
        means.append(np.average(scores.values[rows], weights=scores.weight[rows]))
    return np.array(means)


@pytest.mark.parametrize("balanced", [False, True])
def test_the_interval_is_that_of_the_slow_reference(balanced: bool) -> None:
    rng = np.random.default_rng(3)
    values, block = rng.random(60), np.repeat(list("abcdef"), 10)
    scores = (
        Scores.balanced(values, block, rng.integers(0, 3, 60)) if balanced else Scores.plain(values, block)
    )
    found = bootstrap(scores, seed=5, resamples=50)
    low, high = np.percentile(slow_bootstrap(scores, 5, 50), [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((low, high))


def test_balanced_mean_weighs_classes_alike() -> None:
    scores = Scores.balanced(np.array([1.0, 1.0, 1.0, 0.0]), np.array(list("abab")), np.array([0, 0, 0, 1]))
    assert scores.mean == pytest.approx(0.5)


def test_a_constant_gain_in_every_block_has_no_width() -> None:
    block = np.repeat([1, 2, 3], 2)
    ours, theirs = Scores.plain(np.arange(6.0) + 0.25, block), Scores.plain(np.arange(6.0), block)
    found = bootstrap(ours.minus(theirs))
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


def test_one_block_gives_no_interval() -> None:
    found = bootstrap(Scores.plain(np.array([0.0, 1.0]), np.array(["a", "a"])))
    assert found.mean == 0.5
    assert np.isnan([found.low, found.high]).all()


def test_pooling_weighs_sets_alike() -> None:
    large = Scores.plain(np.ones(100), np.repeat([0, 1], 50))
    small = Scores.plain(np.zeros(2), np.array([0, 1]))
    assert pooled([large, small]).mean == pytest.approx(0.5)


def test_five_kilometres_are_five_kilometres() -> None:
    degree_km = 111.195
    lon = np.array([10.0, 10.0, 10.0, 10.0, np.nan])
    lat = np.array([0.0, 4.9 / degree_km, 5.1 / degree_km, 0.0, np.nan])
    assert far_from(lon, lat, np.array([True, False, False, False, False])).tolist() == [
        False, False, True, False, True,
    ]  # fmt: skip


def test_points_on_both_sides_of_the_antimeridian_are_near() -> None:
    lon, lat = np.array([179.999, -179.999]), np.array([60.0, 60.0])
    assert not far_from(lon, lat, np.array([True, False]))[1]


def test_whole_blocks_are_held_out_within_the_share() -> None:
    block = np.repeat([f"block{i}" for i in range(40)], np.arange(1, 41))
    held = hold_out(block, 0.3)
    assert 0.2 < held.mean() <= 0.3
    assert all(len(set(held[block == b])) == 1 for b in set(block))
    assert (hold_out(block, 0.3) == held).all()
