"""Finer cells inside a sample's window."""

from datetime import UTC, datetime

import h3.api.numpy_int as h3_int
import numpy as np
import pytest
import shapely

from data.child_cells import child_cells
from data.grid import lonlat_rings, project
from data.sample import InputError, Sample

CELL_M = 80.0


def sample_at(lon: float, lat: float, crs: str, resolution: int, cells: int = 8) -> Sample:
    """A window of 80 m cells around a place."""
    x, y = (float(v[0]) for v in project(crs, np.array([lon]), np.array([lat])))
    left, top = x - cells / 2 * CELL_M, y + cells / 2 * CELL_M
    bounds = np.array([[left, top - cells * CELL_M, left + cells * CELL_M, top]])
    ring = tuple(map(tuple, lonlat_rings(crs, bounds)[0].tolist()))
    return Sample(
        sample_id="a", h3_cell=int(h3_int.latlng_to_cell(lat, lon, resolution)), lon_deg=lon, lat_deg=lat,
        start=datetime(2021, 1, 1, tzinfo=UTC), end=datetime(2022, 1, 1, tzinfo=UTC), footprint=ring, crs=crs,
        origin_m=(left, top), grid_shape=(cells, cells), series={}, valid_fraction=1.0, cloud_fraction=0.0,
    )  # fmt: skip


def centred(resolution: int) -> Sample:
    """An area sample: its window is centred on its cell."""
    cell = h3_int.latlng_to_cell(48.2, 9.1, resolution)
    lat, lon = h3_int.cell_to_latlng(cell)
    return sample_at(lon, lat, "EPSG:32632", resolution)


def test_children_of_the_samples_own_cell() -> None:
    sample = centred(9)
    made = child_cells(sample, 10, CELL_M)
    assert made.cells.tolist() == sorted(int(c) for c in h3_int.cell_to_children(sample.h3_cell, 10))
    assert made.cells.dtype == np.uint64
    assert made.overlap_m2.shape == (7, 8, 8)
    assert made.overlap_m2.max() <= CELL_M**2 + 1e-6
    for cell, area in zip(made.cells, made.overlap_m2.sum(axis=(1, 2)), strict=True):
        assert area == pytest.approx(h3_int.cell_area(cell, "m^2"), rel=0.01)  # all inside; UTM's scale


def test_cells_of_a_chip_are_those_whose_centres_lie_in_its_footprint() -> None:
    sample = sample_at(9.1, 48.2, "EPSG:32632", resolution=12)
    made = child_cells(sample, 10, CELL_M)
    footprint = shapely.Polygon(sample.footprint)
    assert len(made.cells) > 10
    assert all(footprint.contains(shapely.Point(*h3_int.cell_to_latlng(c)[::-1])) for c in made.cells)
    covered = made.overlap_m2.sum(axis=0)
    assert (covered <= CELL_M**2 * (1 + 1e-9)).all()  # the pieces do not overlap
    np.testing.assert_allclose(covered[2:-2, 2:-2], CELL_M**2, rtol=1e-9)  # nor leave gaps inside


def test_a_chip_without_the_centre_of_a_cell_has_none() -> None:
    lat, lon = h3_int.cell_to_latlng(h3_int.latlng_to_cell(48.2, 9.1, 8))
    made = child_cells(sample_at(lon + 0.003, lat, "EPSG:32632", resolution=12, cells=2), 8, CELL_M)
    assert (len(made.cells), made.footprints, made.overlap_m2.shape) == (0, (), (0, 2, 2))


def test_footprints_are_closed_hexagons_turned_left() -> None:
    made = child_cells(centred(9), 10, CELL_M)
    for ring in made.footprints:
        assert len(ring) == 7
        assert ring[0] == ring[-1]
        assert shapely.LinearRing(ring).is_ccw


def test_across_the_antimeridian() -> None:
    sample = sample_at(179.9999, -17.0, "EPSG:32760", resolution=12)
    made = child_cells(sample, 10, CELL_M)
    assert made.overlap_m2.sum() == pytest.approx((8 * CELL_M) ** 2, rel=0.25)
    assert all(abs(lon - 180) < 1 for ring in made.footprints for lon, _ in ring)


def test_cells_smaller_than_a_grid_cell_are_refused() -> None:
    with pytest.raises(InputError, match=r"resolution 11 are smaller .* 80 m; the finest .* is 10"):
        child_cells(centred(9), 11, CELL_M)
