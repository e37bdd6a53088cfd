"""Regions against a test of every row's centre."""

import json
from pathlib import Path

import h3
import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indexer.errors import QueryError
from indexer.geo import cells, search_area
from indexer.geo.great_circle import KM_PER_DEGREE, distance_km
from indexer.geo.search_area import Region, rows_of_each
from indexer.geo.shapes import FAMILY_EDGES, _boxes_around

RESOLUTION = 6


def globe(n: int = 20_000, seed: int = 0) -> np.ndarray:
    """Sorted cells spread evenly over the globe, some of them twice."""
    rng = np.random.default_rng(seed)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    return np.sort(cells.cells_at(rng.uniform(-180, 180, n), lat, RESOLUTION))


GLOBE = globe()
LON, LAT = cells.centres(GLOBE)


def check(region: Region, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(region.rows(GLOBE).rows(), np.flatnonzero(expected))


def in_box(west: float, south: float, east: float, north: float) -> np.ndarray:
    lon, lat = LON, LAT
    across = (lon >= west) | (lon <= east) if west > east else (lon >= west) & (lon <= east)
    return across & (lat >= south) & (lat <= north)


@given(st.floats(-180, 180), st.floats(-180, 180), st.floats(-90, 89), st.floats(0.5, 120))
@example(5e-324, 0.0, 0.0, 0.5)
@settings(max_examples=60, deadline=None)
def test_boxes_anywhere(west: float, east: float, south: float, height: float) -> None:
    if west == east:
        return
    north = min(south + height, 90)
    check(Region.from_bbox(west, south, east, north), in_box(west, south, east, north))


@given(st.floats(-180, 180), st.floats(-90, 90), st.floats(1, 20_000))
@settings(max_examples=40, deadline=None)
def test_discs_anywhere(lon: float, lat: float, radius_km: float) -> None:
    check(Region.from_point(lon, lat, radius_km * 1000), distance_km(lon, lat, LON, LAT) <= radius_km)


@given(st.floats(-179, 179), st.floats(-60, 60), st.integers(3, 40), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_star_polygons_anywhere(lon: float, lat: float, corners: int, seed: int) -> None:
    angle = np.sort(np.random.default_rng(seed).uniform(0, 2 * np.pi, corners))
    if len(np.unique(angle)) < 3 or np.diff(angle, append=angle[0] + 2 * np.pi).max() >= np.pi:
        return  # would be a half plane around the centre: not star-shaped any more
    reach = np.random.default_rng(seed).uniform(3, 25, corners)
    star = shapely.Polygon(np.stack([lon + reach * np.cos(angle), lat + reach * np.sin(angle)], axis=1))
    turned = [shapely.intersects_xy(star, LON + turn, LAT) for turn in (-360, 0, 360)]
    check(Region.from_geojson(shapely.geometry.mapping(star)), np.any(turned, axis=0))


def test_holes_and_several_polygons_over_the_antimeridian() -> None:
    ring = [[170, 0], [-170, 0], [-170, 20], [170, 20], [170, 0]]
    hole = [[-178, 5], [-178, 10], [178, 10], [178, 5], [-178, 5]]
    square = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
    region = Region.from_geojson({"type": "MultiPolygon", "coordinates": [[ring, hole], [square]]})
    inside = in_box(170, 0, -170, 20) & ~in_box(178, 5, -178, 10) | in_box(0, 0, 10, 10)
    assert inside.sum() > 100
    check(region, inside)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_ring_around_a_pole_holds_the_pole(sign: int) -> None:
    ring = [[lon, sign * 60] for lon in (0, 90, 180, -90, 0)]
    check(Region.from_geojson({"type": "Polygon", "coordinates": [ring]}), sign * LAT >= 60)


def test_many_shapes_at_once_have_the_rows_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_area, "STRETCH", 3000)
    rng = np.random.default_rng(0)
    around = np.linspace(0, 2 * np.pi, 9, endpoint=False)
    shapes: list[shapely.Geometry] = [
        shapely.Polygon(
            [(lon + r * np.cos(a), lat + r * np.sin(a) / 2) for a, r in zip(around, far, strict=True)]
        )
        for lon, lat, far in zip(
            rng.uniform(-179, 179, 40), rng.uniform(-60, 60, 40), rng.uniform(5, 40, (40, 9)), strict=True
        )
    ]
    over = shapely.Polygon(
        [(170, -10), (-170, -10), (-170, 10), (170, 10)], [[(175, -5), (179, -5), (179, 5)]]
    )
    pole = shapely.Polygon([(-120, 70), (0, 70), (120, 70)])
    shapes += [
        over,
        pole,
        shapely.GeometryCollection([shapely.MultiPolygon([over, pole]), shapely.Point(0, 0)]),
    ]
    told: list[tuple[int, int]] = []
    shape, row = rows_of_each(shapes, GLOBE, lambda *done: told.append(done))
    for number, one in enumerate(shapes):
        expected = Region.from_geojson(shapely.geometry.mapping(one)).rows(GLOBE).rows()
        np.testing.assert_array_equal(row[shape == number], expected)
    assert len(row) > 10_000
    assert told == [(min(3000 * n, 20_000), 20_000) for n in range(1, 8)]
    assert rows_of_each([], GLOBE).shape == rows_of_each(shapes, GLOBE[:0]).shape == (2, 0)
    with pytest.raises(QueryError, match="holds no polygon, but a LineString"):
        rows_of_each([shapely.LineString([(0, 0), (1, 1)])], GLOBE)


def test_the_whole_globe() -> None:
    ring = [[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]
    check(Region.from_geojson({"type": "Polygon", "coordinates": [ring]}), np.ones(len(GLOBE), bool))


def test_features_in_a_file(tmp_path: Path) -> None:
    box = shapely.geometry.mapping(shapely.box(0, 0, 30, 30))
    feature = {"type": "Feature", "properties": {}, "geometry": box}
    path = tmp_path / "region.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    check(Region.from_geojson(path), in_box(0, 0, 30, 30))


def test_cells_hold_their_descendants_and_nothing_else() -> None:
    some = [
        int(cells.parent(int(GLOBE[i]), resolution)) for i, resolution in ((5, 0), (9_000, 2), (15_000, 6))
    ]
    expected = np.any([cells.parents(GLOBE, cells.resolution_of(c)) == np.uint64(c) for c in some], axis=0)
    check(Region.from_cells(some), expected)
    check(Region.from_cells([f"{c:x}" for c in some]), expected)


def test_regions_narrow_each_other() -> None:
    both = Region.from_bbox(0, 0, 60, 60) & Region.from_point(0, 0, 3e6)
    check(both, in_box(0, 0, 60, 60) & (distance_km(0, 0, LON, LAT) <= 3000))


def test_no_rows() -> None:
    for region in (
        Region.from_bbox(0, 0, 1, 1),
        Region.from_point(0, 0, 1),
        Region.from_cells([int(GLOBE[0])]),
    ):
        assert region.rows(GLOBE[:0]).count == 0


@pytest.mark.parametrize("resolution", [0, 1, 2, 4])
def test_families_stay_within_their_cap(resolution: int) -> None:
    parents = [
        h3.str_to_int(c) for b in list(h3.get_res0_cells())[::7] for c in h3.cell_to_children(b, resolution)
    ][:60]
    edge_km = h3.average_hexagon_edge_length(resolution, "km")
    for parent in parents:
        children = [h3.str_to_int(c) for c in h3.cell_to_children(h3.int_to_str(parent), resolution + 4)]
        lon, lat = cells.centres([parent])
        away_km = distance_km(lon[0], lat[0], *cells.centres(children))
        assert away_km.max() < FAMILY_EDGES * edge_km


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"type": "Point", "coordinates": [0, 0]}, "Point"),
        (
            {"type": "Polygon", "coordinates": [[[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]]},
            "not a valid polygon",
        ),
        ({"type": "Polygon", "coordinates": [[[0, 0], [500000, 0], [500000, 9], [0, 0]]]}, "lon/lat"),
        ({"type": "Polygon", "coordinates": []}, "empty"),
        ({"type": "FeatureCollection", "features": []}, "empty"),
        ({"type": "Polygon", "coordinates": "here"}, "not GeoJSON"),
    ],
)
def test_what_is_no_region_is_refused(document: dict[str, object], words: str) -> None:
    with pytest.raises(QueryError, match=words):
        Region.from_geojson(document)


def test_bad_boxes_and_files_and_cells_are_refused(tmp_path: Path) -> None:
    for box in ((0, 5, 1, 5), (0, 0, 0, 1), (0, -91, 1, 0), (0, 0, float("nan"), 1)):
        with pytest.raises(QueryError, match="south < north"):
            Region.from_bbox(*box)
    with pytest.raises(QueryError, match="cannot be read"):
        Region.from_geojson(tmp_path / "missing.geojson")
    (tmp_path / "broken.geojson").write_text("{")
    with pytest.raises(QueryError, match="cannot be read"):
        Region.from_geojson(tmp_path / "broken.geojson")
    with pytest.raises(QueryError, match="at least one"):
        Region.from_cells([])
    finer = h3.str_to_int(h3.cell_to_center_child(h3.int_to_str(int(GLOBE[0])), RESOLUTION + 1))
    with pytest.raises(QueryError, match="finer"):
        Region.from_cells([finer]).rows(GLOBE)


def test_a_box_around_a_cap_goes_all_around_where_the_cap_holds_a_pole() -> None:
    lat_deg = np.array([0.0, 60.0, 89.9, -89.9])
    boxes = _boxes_around(np.array([10.0, 10.0, 10.0, 10.0]), lat_deg, 0.5 * KM_PER_DEGREE)
    west, south, east, north = shapely.bounds(boxes).T
    np.testing.assert_allclose(south, [-0.5, 59.5, 89.4, -90])
    np.testing.assert_allclose(north, [0.5, 60.5, 90, -89.4])
    at_60 = np.degrees(np.arcsin(np.sin(np.radians(0.5)) / 0.5))
    np.testing.assert_allclose(east - 10, [0.5, at_60, 180, 180])
    np.testing.assert_allclose(10 - west, [0.5, at_60, 180, 180])


@pytest.mark.parametrize(
    ("rings", "said"),
    [
        ([[]], "the area is empty: expected at least one Polygon"),
        ([], "the area is empty"),
        ([[[0, 0], [1, 0]]], "fewer than three corners"),
    ],
)
def test_a_ring_without_an_area_is_an_error(rings: list[object], said: str) -> None:
    with pytest.raises(QueryError, match=said):
        Region.from_geojson({"type": "Polygon", "coordinates": rings})


def test_a_ring_is_closed_where_it_is_open() -> None:
    corners = [[0, 0], [60, 0], [60, 60]]
    open_, closed = (
        Region.from_geojson({"type": "Polygon", "coordinates": [ring]}).rows(GLOBE).rows()
        for ring in (corners, [*corners, corners[0]])
    )
    assert len(open_)
    np.testing.assert_array_equal(open_, closed)


@pytest.mark.parametrize(
    ("box", "taken"),
    [
        ((-360, -90, 360, 90), True),
        ((-360.1, 0, 0, 1), False),
        ((0, 0, 360.1, 1), False),
        ((0, -90.1, 1, 0), False),
        ((0, 0, 1, 90.1), False),
        ((0, 1, 1, 1), False),
        ((1, 0, 1, 1), False),
        ((float("nan"), 0, 1, 1), False),
    ],
)
def test_a_box_lies_within_a_turn_of_the_globe(box: tuple[float, float, float, float], taken: bool) -> None:
    if taken:
        assert Region.from_bbox(*box).rows(GLOBE).count == len(GLOBE)
    else:
        with pytest.raises(QueryError, match="is empty or not in degrees"):
            Region.from_bbox(*box)


@pytest.mark.parametrize(
    ("lon", "lat", "radius_m", "taken"),
    [
        (360, 90, 1, True),
        (-360, -90, 1, True),
        (360.1, 0, 1, False),
        (0, 90.1, 1, False),
        (0, -90.1, 1, False),
        (0, 0, 0, False),
        (0, 0, -1, False),
    ],
)
def test_a_disc_lies_around_a_place(lon: float, lat: float, radius_m: float, taken: bool) -> None:
    if taken:
        (disc,) = Region.from_point(lon, lat, radius_m).shapes
        assert disc.radius_km == 0.001  # type: ignore[attr-defined]
    else:
        with pytest.raises(QueryError, match="expected degrees and a distance above zero"):
            Region.from_point(lon, lat, radius_m)


def test_areas_narrow_each_other_for_footprints_and_boxes_too() -> None:
    both = Region.from_bbox(0, 0, 10, 10) & Region.from_bbox(5, 5, 20, 20)
    west, middle, east, far = (shapely.box(x, x, x + 1, x + 1) for x in (2, 7, 12, 40))
    boxes = np.array([west, middle, east, far])
    assert both.meets(boxes).tolist() == [False, True, False, False]
    inside, outside = both.box_sides(boxes)
    assert inside.tolist() == [False, True, False, False]
    assert outside.tolist() == [True, False, True, True]
