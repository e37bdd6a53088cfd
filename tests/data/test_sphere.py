"""The sphere of rasters and of rows is one."""

import numpy as np
import pytest

from data.sphere import EARTH_RADIUS_M, METRES_PER_DEGREE, on_sphere
from indexer.geo import great_circle


def test_it_is_as_large_as_that_of_search_areas() -> None:
    assert pytest.approx(1000 * great_circle.EARTH_RADIUS_KM, rel=1e-15) == EARTH_RADIUS_M
    assert pytest.approx(great_circle.METRES_PER_DEGREE, rel=1e-15) == METRES_PER_DEGREE


def test_chords_between_vectors_span_the_great_circle() -> None:
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(-180, 180, (2, 50)), rng.uniform(-90, 90, (2, 50))
    chord = np.linalg.norm(np.subtract(*on_sphere(lon, lat)), axis=-1)
    expected = great_circle.distance_km(lon[0], lat[0], lon[1], lat[1])
    np.testing.assert_allclose(2 * np.arcsin(chord / 2) * EARTH_RADIUS_M / 1000, expected, rtol=1e-9)
    np.testing.assert_allclose(on_sphere([0, 90, 45], [0, 0, 90]), np.eye(3), atol=1e-15)
