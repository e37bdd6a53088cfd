"""Footprints, across the antimeridian too."""

import numpy as np
import pytest
import shapely

from indexer.geo import footprints

SQUARE = [(5.0, 45.0), (5.0, 46.0), (6.0, 46.0), (6.0, 45.0), (5.0, 45.0)]  # clockwise
ACROSS = [(179.5, 10.0), (-179.5, 10.0), (-179.5, 11.0), (179.5, 11.0), (179.5, 10.0)]


def test_a_polygon_runs_counter_clockwise_whichever_way_it_came() -> None:
    (shape,) = footprints.polygons([SQUARE])
    assert shape.exterior.is_ccw
    assert shape.area == 1.0
    assert footprints.bbox_array(footprints.polygons([SQUARE])).to_pylist() == [
        {"xmin": 5.0, "ymin": 45.0, "xmax": 6.0, "ymax": 46.0}
    ]


@pytest.mark.parametrize("turn", ["jumps", "past 180", "past -180"])
def test_a_footprint_across_the_antimeridian_is_cut_there(turn: str) -> None:
    past = {"jumps": lambda x: x, "past 180": lambda x: x % 360, "past -180": lambda x: x % 360 - 360}[turn]
    shapes = footprints.polygons([SQUARE, [(past(x), y) for x, y in ACROSS]])
    parts = shapely.get_parts(shapes[1])
    assert sorted(part.bounds for part in parts) == [(-180.0, 10.0, -179.5, 11.0), (179.5, 10.0, 180.0, 11.0)]
    assert footprints.geometry_types(shapely.to_wkb(shapes)) == ["Polygon", "MultiPolygon"]


def test_centres_are_in_the_middle_on_both_sides_of_the_antimeridian() -> None:
    lon, lat = footprints.centroids(footprints.polygons([SQUARE, ACROSS]))
    np.testing.assert_allclose(np.abs(lon), [5.5, 180.0])
    np.testing.assert_allclose(lat, [45.5, 10.5])


def test_rings_of_different_lengths_stay_apart() -> None:
    hexagon = [(np.cos(a), np.sin(a)) for a in np.arange(7) % 6 * np.pi / 3]
    square, other = footprints.polygons([SQUARE, hexagon])
    assert (len(square.exterior.coords), len(other.exterior.coords)) == (5, 7)
