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


@pytest.mark.parametrize(
    ("ring", "bad"),
    [
        ([(0, 0), (1, 0), (1, 1), (0, 0)], False),
        ([(0, 0), (1, 0), (0, 0)], True),
        ([(-360, -90), (360, -90), (360, 90), (-360, -90)], False),
        ([(-361, 0), (1, 0), (1, 1), (-361, 0)], True),
        ([(0, 0), (1, 0), (1, 91), (0, 0)], True),
        ([(0, 0), (1, 0), (float("nan"), 1), (0, 0)], True),
    ],
)
def test_rings_that_cannot_be_footprints(ring: list[tuple[float, float]], bad: bool) -> None:
    square = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)]
    assert footprints.faulty([square, ring, square]).tolist() == [False, bad, False]
    assert footprints.faulty([]).tolist() == []


@pytest.mark.parametrize(
    ("west", "east", "parts"),
    [(-180, 0, 1), (0, 180, 1), (170, 190, 2), (-190, -170, 2), (170, -170, 2), (-90, 90, 1), (-91, 90, 2)],
)
def test_where_a_ring_is_cut(west: float, east: float, parts: int) -> None:
    (shape,) = footprints.polygons([[(west, 0), (east, 0), (east, 10), (west, 10)]])
    assert len(shapely.get_parts(shape)) == parts
    bounds = shapely.bounds(shape)
    assert bounds[0] >= -180
    assert bounds[2] <= 180
    width = east - west if 0 < east - west <= 180 else (east - west) % 360
    width = 360 - 181 if (west, east) == (-91, 90) else width
    assert shape.area == pytest.approx(10 * width)


def test_boxes_and_kinds_of_footprints() -> None:
    shapes = footprints.polygons([[(1, 2), (3, 2), (3, 5), (1, 5)], [(170, 0), (190, 0), (190, 1), (170, 1)]])
    boxes = footprints.bbox_array(shapes)
    assert boxes.to_pylist() == [
        {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 5},
        {"xmin": -180, "ymin": 0, "xmax": 180, "ymax": 1},
    ]
    assert not any(field.nullable for field in boxes.type)
    wkb = np.array(shapely.to_wkb(shapes), object)
    big = np.array(shapely.to_wkb(shapes, byte_order=0), object)
    assert footprints.geometry_types(wkb) == footprints.geometry_types(big) == ["Polygon", "MultiPolygon"]
    assert footprints.geometry_types(wkb[:1]) == ["Polygon"]


def test_a_shape_that_is_cut_is_joined_east_of_the_antimeridian() -> None:
    cut = shapely.MultiPolygon([shapely.box(170, 0, 180, 1), shapely.box(-180, 0, -150, 1)])
    assert footprints.in_one_piece(cut).equals(shapely.box(170, 0, 210, 1))
    whole = shapely.box(-90, 0, 90, 1)
    assert footprints.in_one_piece(whole) is whole
    lon, lat = footprints.centroids(np.array([cut, whole, shapely.box(0, 0, 4, 2)]))
    assert (lon.tolist(), lat.tolist()) == ([pytest.approx(-170), 0, 2], [0.5, 0.5, 1])
