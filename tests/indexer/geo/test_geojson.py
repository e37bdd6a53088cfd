"""Polygons from GeoJSON, on the globe: which are taken, which are refused, and where their borders lie."""

import math
from typing import Any

import numpy as np
import pytest
import shapely

from indexer.errors import QueryError
from indexer.geo import geojson
from indexer.geo.geojson import (
    MAX_DEPTH,
    cell_on_globe,
    cut_at_antimeridian,
    globe_polygons,
    on_globe,
    read_polygons,
    turned,
    whole_area,
)

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def nested(depth: int) -> dict[str, Any]:
    """A polygon in so many collections."""
    node: dict[str, Any] = polygon(SQUARE)
    for _ in range(depth):
        node = {"type": "Feature", "geometry": node}
    return node


def test_every_polygon_of_a_collection_comes_in_order_and_what_has_no_surface_is_left_out() -> None:
    far = [[5, 5], [6, 5], [6, 6], [5, 5]]
    document = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": polygon(SQUARE)},
            {"type": "Feature", "geometry": None},
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [0, 0]}},
            {"type": "GeometryCollection", "geometries": [{"type": "LineString", "coordinates": []}]},
            {"type": "MultiPolygon", "coordinates": [[far], []]},
            polygon([]),
        ],
    }
    assert [shape.bounds for shape in read_polygons(document)] == [(0, 0, 1, 1), (5, 5, 6, 6)]


def test_what_holds_no_polygon_says_what_it_holds() -> None:
    points = {"type": "GeometryCollection", "geometries": [
        {"type": "Point", "coordinates": [0, 0]}, {"type": "LineString", "coordinates": []},
    ]}  # fmt: skip
    with pytest.raises(QueryError, match="the area holds no polygon, but LineString, Point: expected"):
        read_polygons(points)
    with pytest.raises(QueryError, match="the area is empty: expected"):
        read_polygons({"type": "FeatureCollection", "features": []})


def test_collections_are_read_to_a_depth() -> None:
    assert len(read_polygons(nested(MAX_DEPTH))) == 1
    with pytest.raises(QueryError, match="expected an object, found a dict"):
        read_polygons(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("urn:ogc:def:crs:OGC:1.3:CRS84", True),
        ("epsg:4326", True),
        ("", True),
        ("EPSG:3857", False),
    ],
)
def test_another_projection_is_refused_by_its_name(name: str, taken: bool) -> None:
    document = polygon(SQUARE) | {"crs": {"type": "name", "properties": {"name": name}}}
    if taken:
        assert len(read_polygons(document)) == 1
    else:
        with pytest.raises(QueryError, match="the area is in EPSG:3857, not in lon/lat"):
            read_polygons(document)
    for odd in (None, "EPSG:3857", {"properties": "EPSG:3857"}, {"type": "name"}):
        assert len(read_polygons(polygon(SQUARE) | {"crs": odd})) == 1


@pytest.mark.parametrize(("most", "taken"), [(5, True), (4, False)])
def test_an_area_has_so_many_corners_at_most(monkeypatch: pytest.MonkeyPatch, most: int, taken: bool) -> None:
    monkeypatch.setattr(geojson, "MAX_CORNERS", most)
    square = shapely.box(0, 0, 1, 1)
    if taken:
        assert len(read_polygons(polygon(SQUARE))) == len(globe_polygons(square)) == 1
        with pytest.raises(QueryError, match="more than 5 corners"):
            read_polygons({"type": "MultiPolygon", "coordinates": [[SQUARE], [SQUARE]]})
    else:
        for read in (lambda: read_polygons(polygon(SQUARE)), lambda: globe_polygons(square)):
            with pytest.raises(QueryError, match="more than 4 corners"):
                read()


@pytest.mark.parametrize(
    "position",
    [[0], "ab", None, 7, {}, [None, 0], ["1", "2"], [math.nan, 0], [0, math.inf], [10**400, 0]],
)
def test_a_corner_is_two_finite_numbers(position: Any) -> None:
    with pytest.raises(QueryError, match="is no position of lon and lat"):
        read_polygons(polygon([[0, 0], [1, 0], position, [0, 0]]))


def test_a_third_coordinate_is_no_matter() -> None:
    (shape,) = read_polygons(polygon([[0, 0, 9], [1, 0, 9], [1, 1, 9]]))
    assert shapely.get_coordinates(shape).tolist() == [[0, 0], [1, 0], [1, 1], [0, 0]]
    assert not shape.has_z


def test_rings_of_three_corners_are_rings_and_of_two_are_none() -> None:
    assert len(read_polygons(polygon([[0, 0], [1, 0], [1, 1]]))) == 1
    for ring in ([[0, 0], [1, 0]], [[0, 0], [1, 0], [0, 0]], [[0, 0]]):
        with pytest.raises(QueryError, match="fewer than three corners"):
            read_polygons(polygon(ring))


@pytest.mark.parametrize("value", [{"a": 1}, "text", 7, None])
def test_coordinates_are_lists(value: Any) -> None:
    for document in (
        {"type": "Polygon", "coordinates": value},
        {"type": "MultiPolygon", "coordinates": value},
        {"type": "MultiPolygon", "coordinates": [value]},
        {"type": "Polygon", "coordinates": [value]},
    ):
        with pytest.raises(QueryError, match="expected a list of coordinates"):
            read_polygons(document)


@pytest.mark.parametrize(
    ("box", "taken"),
    [
        ((-360, -90, 0, 90), True),
        ((0, -90, 360, 90), True),
        ((-360.1, 0, 0, 1), False),
        ((0, 0, 360.1, 1), False),
        ((0, -90.1, 1, 0), False),
        ((0, 0, 1, 90.1), False),
    ],
)
def test_an_area_is_in_degrees(box: tuple[float, float, float, float], taken: bool) -> None:
    west, south, east, north = box
    steps = np.linspace(west, east, 5).tolist()
    shape = shapely.Polygon([*((x, south) for x in steps), *((x, north) for x in steps[::-1])])
    if taken:
        assert on_globe(shape).bounds == box
    else:
        with pytest.raises(QueryError, match="not in lon/lat degrees"):
            on_globe(shape)


def test_a_polygon_that_crosses_itself_is_refused() -> None:
    with pytest.raises(QueryError, match="not a valid polygon: Self-intersection"):
        on_globe(shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]))
    assert cell_on_globe(shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])).area == pytest.approx(0.5)


@pytest.mark.parametrize(("width", "west", "east"), [(179, 10, 189), (180, 10, 190), (190, -160, 10)])
def test_an_edge_of_more_than_half_the_globe_goes_the_other_way(
    width: float, west: float, east: float
) -> None:
    shape = on_globe(shapely.Polygon([(10, 0), (10 + width, 0), (10 + width, 1), (10, 1)]))
    assert shape.bounds == (west, 0, east, 1)


def test_a_hole_lies_in_its_shell_whichever_turn_it_came_in() -> None:
    shell = [(170, 0), (190, 0), (190, 10), (170, 10)]
    for turn in (-360, 0, 360):
        hole = [(180 + turn, 4), (182 + turn, 4), (182 + turn, 6), (180 + turn, 6)]
        if all(abs(lon) <= 360 for lon, _ in hole):
            assert on_globe(shapely.Polygon(shell, [hole])).area == pytest.approx(200 - 4)
    west = [(-190, 0), (-170, 0), (-170, 10), (-190, 10)]
    assert on_globe(shapely.Polygon(west, [[(178, 4), (179, 4), (179, 6), (178, 6)]])).area == pytest.approx(
        198
    )


@pytest.mark.parametrize(("lat", "pole"), [(60, 90), (-60, -90)])
def test_a_ring_around_the_globe_is_closed_over_its_pole(lat: float, pole: float) -> None:
    shape = on_globe(shapely.Polygon([(lon, lat) for lon in (-180, -90, 0, 90, 179)]))
    low, high = sorted([lat, pole])
    assert (shape.bounds[1], shape.bounds[3]) == (low, high)
    assert shape.bounds[2] - shape.bounds[0] == 360
    assert shape.area == pytest.approx(360 * 30)


def test_a_shape_is_turned_west_and_east() -> None:
    assert [shape.bounds for shape in turned(shapely.box(1, 2, 3, 4))] == [
        (-359, 2, -357, 4), (1, 2, 3, 4), (361, 2, 363, 4),
    ]  # fmt: skip


def test_what_goes_on_beyond_the_antimeridian_is_cut_there() -> None:
    cut = cut_at_antimeridian(shapely.box(170, 0, 200, 10))
    assert cut.equals(shapely.MultiPolygon([shapely.box(170, 0, 180, 10), shapely.box(-180, 0, -160, 10)]))
    inside = cut_at_antimeridian(shapely.box(-180, 0, 180, 10))
    assert inside.equals(shapely.box(-180, 0, 180, 10))
    both = {"type": "MultiPolygon", "coordinates": [[SQUARE], [[[0.5, 0], [2, 0], [2, 1], [0.5, 1]]]]}
    assert whole_area(both).equals(shapely.box(0, 0, 2, 1))


def test_polygons_of_a_geometry_of_many_parts() -> None:
    parts = [
        shapely.Point(0, 0),
        shapely.box(0, 0, 1, 1),
        shapely.MultiPolygon([shapely.box(2, 0, 3, 1), shapely.box(4, 0, 5, 1)]),
        shapely.GeometryCollection([shapely.box(6, 0, 7, 1), shapely.Polygon()]),
    ]
    found = globe_polygons(shapely.GeometryCollection(parts))
    assert sorted(shape.bounds[0] for shape in found) == [0, 2, 4, 6]
    for none in (shapely.Point(0, 0), shapely.Polygon(), shapely.LineString([(0, 0), (1, 1)])):
        with pytest.raises(QueryError, match=f"holds no polygon, but a {none.geom_type}"):
            globe_polygons(none)


def test_lists_in_lists_are_read_to_a_depth_too() -> None:
    def in_lists(depth: int) -> dict[str, Any]:
        node: Any = polygon(SQUARE)
        for _ in range(depth):
            node = [node]
        return {"type": "FeatureCollection", "features": node}

    assert len(read_polygons(in_lists(MAX_DEPTH - 1))) == 1
    for depth in (MAX_DEPTH, 10 * MAX_DEPTH):
        with pytest.raises(QueryError, match="is not GeoJSON"):
            read_polygons(in_lists(depth))
