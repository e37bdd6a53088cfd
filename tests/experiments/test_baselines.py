"""Baselines against loops, and CCA on sensors that share what they see."""

import numpy as np
import pytest

from experiments.retrieval.baselines import (
    CCA,
    _gaussian,
    chosen_cca,
    mean_reciprocal_rank,
    random_convolutions,
    raw_series,
    statistics,
)

from ..tolerance import gamma


def test_statistics_leave_out_what_is_missing() -> None:
    values = np.array([[[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]]])
    expected = [[2, np.nan, 1, np.nan, 3, np.nan, 1, np.nan]]  # mean, deviation, max, min of two bands
    assert statistics(values) == pytest.approx(np.array(expected), nan_ok=True)


def test_statistics_of_many_rows_are_those_of_each() -> None:
    values = np.random.default_rng(0).standard_normal((600, 4, 2))
    assert statistics(values)[300] == pytest.approx(statistics(values[[300]])[0])


def test_random_convolutions_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(1)
    images = rng.standard_normal((3, 5, 4, 2))
    images = (images - images.mean(axis=(0, 1, 2))) / images.std(axis=(0, 1, 2))
    found = random_convolutions(images, (3, 2), fit_on=np.arange(3), whitened=False, seed=7)
    stream = np.random.default_rng(7)
    stream.permutation(np.arange(3))  # rows are drawn first
    filters, _ = _gaussian((3, 2), 2, stream)
    pooled, largest = np.zeros(filters.shape[1]), 0.0
    for y in range(3):
        for x in range(3):
            window = images[1, y : y + 3, x : x + 2].transpose(2, 0, 1).ravel()
            pooled += np.maximum(window @ filters - 1, 0) / 9
            largest = max(largest, float((np.abs(window) @ np.abs(filters)).max()))
    assert found[1, : len(pooled)] == pytest.approx(pooled, abs=gamma(12 + 9 + 4) * (1 + largest))


@pytest.mark.parametrize("whitened", [False, True])
def test_random_convolutions_tell_textures_apart(whitened: bool) -> None:
    rng = np.random.default_rng(0)
    smooth = np.full((20, 8, 8, 1), 0.5) + 0.1 * rng.standard_normal((20, 1, 1, 1))
    rough = rng.standard_normal((20, 8, 8, 1))
    features = random_convolutions(
        np.concatenate([smooth, rough]), (3, 3), fit_on=np.arange(40), whitened=whitened
    )
    centres = features[:20].mean(axis=0), features[20:].mean(axis=0)
    nearer = [np.linalg.norm(f - centres[0]) < np.linalg.norm(f - centres[1]) for f in features]
    assert sum(nearer[:20]) >= 18
    assert sum(nearer[20:]) <= 2


def test_a_large_image_is_sampled_not_refused() -> None:
    images = np.random.default_rng(0).standard_normal((2, 200, 150, 3))
    assert np.isfinite(random_convolutions(images, (3, 3), fit_on=np.arange(2), whitened=True)).all()


def test_cca_finds_what_two_sensors_share() -> None:
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((400, 4))
    x = shared @ rng.standard_normal((4, 10)) + 0.1 * rng.standard_normal((400, 10))
    y = shared @ rng.standard_normal((4, 12)) + 0.1 * rng.standard_normal((400, 12))
    block = np.arange(400) // 20
    cca = chosen_cca(x[:300], y[:300], block[:300])
    assert mean_reciprocal_rank(cca, x[300:], y[300:]) > 0.8
    noise = chosen_cca(x[:300], rng.standard_normal((300, 12)), block[:300])
    assert mean_reciprocal_rank(noise, x[300:], rng.standard_normal((100, 12))) < 0.2


def test_cca_correlations_are_canonical() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5000, 1))
    y = 0.6 * x + 0.8 * rng.standard_normal((5000, 1))
    a, b = CCA.fit(x / x.std(), y / y.std(), ridge=0.0, k=1).project(x, y)
    assert abs(np.corrcoef(a[:, 0], b[:, 0])[0, 1]) == pytest.approx(0.6, abs=0.03)


def test_the_raw_series_is_standardised_step_by_step() -> None:
    values = np.array([[[1.0], [10.0]], [[3.0], [np.nan]]])
    assert raw_series(values, np.arange(2)).tolist() == [[-1, 0], [1, 0]]


def test_a_sensor_that_always_shows_the_same_has_nothing_to_correlate() -> None:
    rng = np.random.default_rng(0)
    same, other = np.zeros((40, 3)), rng.standard_normal((40, 5))
    projected = chosen_cca(same, other, np.arange(40) // 4).project(same, other)
    assert all(np.isfinite(part).all() for part in projected)
