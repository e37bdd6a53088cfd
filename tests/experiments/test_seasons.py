"""Seasons as a baseline: places that green at other times of the year are told apart, others not."""

import numpy as np
import pytest

from data.modality import S1, S2
from experiments.nano_geometry import with_season
from experiments.retrieval.neighbours import unit
from experiments.retrieval.seasons import SEASON_OF, whitened_season

from .test_nano_geometry import samples

BANDS = {"s2": len(S2.bands), "s1": len(S1.bands)}
LEVEL = {"s2": (1500.0, 1000.0, 20.0), "s1": (-14.0, 4.0, 0.3)}  # mean, swing of the year, noise


def places(sensor: str, count: int = 90, dates: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, days and the kind of each place: spring, autumn or a level year. Dates are the place's own."""
    rng = np.random.default_rng(0)
    kind = np.arange(count) % 3
    days = rng.integers(1, 366, size=(count, dates))
    mean, swing, noise = LEVEL[sensor]
    phase = np.array([120.0, 260.0, 0.0])[kind][:, None]
    wave = np.where(kind[:, None] == 2, 0.0, np.cos(2 * np.pi * (days - phase) / 365))
    bands = np.linspace(0.5, 1.5, BANDS[sensor])
    values = mean + swing * wave[:, :, None] * bands + noise * rng.normal(size=(count, dates, len(bands)))
    return values, days, kind


@pytest.mark.parametrize("sensor", ["s2", "s1"])
def test_neighbours_have_the_same_season(sensor: str) -> None:
    values, days, kind = places(sensor)
    values[5] = np.nan  # a place that was never seen
    values[6, ::2] = np.nan  # and one with gaps
    fit_on = np.arange(0, 60)
    vectors = whitened_season(sensor, values, days, fit_on)
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(np.delete(vectors, 5, axis=0), axis=1), 1, rtol=1e-6)
    asked = np.arange(60, 90)
    nearest = (vectors[asked] @ vectors[:60].T).argmax(axis=1)
    assert (kind[nearest] == kind[asked]).mean() > 0.95
    assert not (vectors[5] @ vectors.T).any()  # it is like none


def test_what_has_other_dates_is_the_same_season() -> None:
    values, days, kind = places("s2", dates=40)
    halves = [(values[:, part], days[:, part]) for part in (slice(0, None, 2), slice(1, None, 2))]
    both = np.concatenate([half[0] for half in halves]), np.concatenate([half[1] for half in halves])
    vectors = whitened_season("s2", *both, np.arange(180))
    twin = (vectors[:90] * vectors[90:]).sum(axis=1)
    others = (vectors[:90] @ vectors[90:].T)[kind[:, None] != kind]
    assert np.median(twin) > np.quantile(others, 0.95)


def test_it_is_what_the_geometry_is_fitted_on() -> None:
    of_set = samples(4, 60)
    features = with_season({}, of_set)[SEASON_OF["s2"]]
    there = np.isfinite(features).all(axis=1)
    dates = max(len(s.series["s2"].valid) for s in of_set if s is not None and "s2" in s.series)
    values, days = np.full((60, dates, BANDS["s2"]), np.nan), np.zeros((60, dates), int)
    for row, sample in enumerate(of_set):
        if sample is not None and (series := sample.series.get("s2")) is not None:
            values[row, : len(series.valid)] = series.pixels[:, :, 0, 0]
            days[row, : len(series.valid)] = series.day_of_year
    rows = np.flatnonzero(there)
    found = whitened_season("s2", values, days, rows)
    centred = features[there] - features[there].mean(axis=0)
    _, size, axes = np.linalg.svd(centred, full_matrices=False)
    variance = size**2 / len(centred)
    kept = variance > 1e-6 * variance[0]
    wanted = unit(centred @ (axes[kept].T / variance[kept] ** 0.35))
    near = np.abs(found[there] @ found[there].T - wanted @ wanted.T)
    assert near.max() < 0.02  # axes without variance are no axes of either
