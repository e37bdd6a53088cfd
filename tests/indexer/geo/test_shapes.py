"""Shapes against one point, one footprint and one box at a time."""

import h3
import numpy as np
import pytest
import shapely

from indexer.geo import cells, shapes
from indexer.geo.great_circle import EARTH_RADIUS_KM, KM_PER_DEGREE, distance_km
from indexer.geo.shapes import Area, Disc, Families, _boxes_around, _family_rows

RNG = np.random.default_rng(11)


def test_how_large_the_globe_is() -> None:
    """Of the sphere with the area of WGS 84, as in the H3 library."""
    assert EARTH_RADIUS_KM == 6371.007180918475
    assert pytest.approx(2 * np.pi * 6371.007180918475) == 360 * KM_PER_DEGREE
    lon, lat = RNG.uniform(-180, 180, 50), RNG.uniform(-90, 90, 50)
    want = [h3.great_circle_distance((lat[i], lon[i]), (lat[i + 25], lon[i + 25]), "km") for i in range(25)]
    np.testing.assert_allclose(distance_km(lon[:25], lat[:25], lon[25:], lat[25:]), want, rtol=1e-12)


def test_points_on_the_border_are_inside() -> None:
    area = Area(shapely.box(170, -10, 190, 10))
    lon = np.array([170, 190, -170, -190, 169.9, -169.9, 180, -180.0])
    assert area.holds(lon, np.zeros(8)).tolist() == [True, True, True, True, False, False, True, True]
    disc = Disc(0, 0, KM_PER_DEGREE)
    assert disc.holds(np.array([0.9999, 1.0001, 359.5]), np.zeros(3)).tolist() == [True, False, True]


@pytest.mark.parametrize("shape", [Area(shapely.box(0, 0, 10, 10)), Disc(5, 5, 600)])
def test_caps_are_inside_or_outside_only_where_all_of_them_is(shape: Area | Disc) -> None:
    lon, lat = RNG.uniform(-5, 15, 300), RNG.uniform(-5, 15, 300)
    inside, outside = shape.sides(lon, lat, 100)
    assert inside.any()
    assert outside.any()
    assert not (inside & outside).any()
    angle = np.linspace(0, 2 * np.pi, 60)
    for share in (0.0, 0.5, 0.99):
        reach = share * 100 / KM_PER_DEGREE
        north = lat[:, None] + reach * np.sin(angle)
        east = lon[:, None] + reach * np.cos(angle) / np.cos(np.radians(np.abs(north)).clip(0, 1.5))
        held = shape.holds(east.ravel(), north.ravel()).reshape(east.shape)
        assert held[inside].all()
        assert not held[outside].any()
    assert (~inside & ~outside).mean() < 0.6  # most are one or the other


def test_a_disc_tells_to_the_metre_which_caps_are_inside_and_outside() -> None:
    disc = Disc(0, 0, 100)
    lon = np.array([50, 49.99, 50.01, 150, 149.99, 150.01]) / KM_PER_DEGREE
    inside, outside = disc.sides(lon, np.zeros(6), 50)
    assert inside[1:3].tolist() == [True, False]
    assert outside[4:].tolist() == [False, True]
    assert not outside[:3].any()
    assert not inside[3:].any()


@pytest.mark.parametrize("lat", [0.0, 60.0, -60.0])
def test_footprints_meet_a_disc_by_their_nearest_point(lat: float) -> None:
    disc = Disc(179.95, lat, 20)
    west = KM_PER_DEGREE * np.cos(np.radians(lat))
    for away_km, near in ((19.9, True), (20.1, False)):
        east = 179.95 + away_km / west
        beside = shapely.box(east, lat - 1e-4, east + 0.1, lat + 1e-4)
        north = lat + away_km / KM_PER_DEGREE
        above = shapely.box(179.9, north, 179.99, north + 0.1)
        turned = shapely.box(east - 360, lat - 1e-4, east - 359.9, lat + 1e-4)
        assert disc.meets(np.array([beside, above, turned])).tolist() == [near] * 3, away_km
    around = shapely.box(179.0, lat - 1, 179.999, lat + 1)
    assert disc.meets(np.array([around])).tolist() == [True]


@pytest.mark.parametrize(
    "shape",
    [Area(shapely.box(0, 0, 10, 10)), Disc(5, 5, 600), Families(np.array([0x820007FFFFFFFFF], np.uint64))],
)
def test_boxes_are_certainly_inside_or_outside_only_where_they_are(shape: shapes.Shape) -> None:
    if isinstance(shape, Families):
        lon0, lat0 = (float(x[0]) for x in cells.centres(shape.cells))
    else:
        lon0, lat0 = 5.0, 5.0
    lon, lat = lon0 + RNG.uniform(-15, 15, 200), np.clip(lat0 + RNG.uniform(-15, 15, 200), -89, 89)
    boxes = shapely.box(lon - 0.3, lat - 0.3, lon + 0.3, lat + 0.3)
    inside, outside = shape.box_sides(boxes)
    meets = shape.meets(boxes)
    assert meets[inside].all()
    assert not meets[outside].any()
    assert 0 < meets.sum() < 200
    assert inside.any() == (not isinstance(shape, Disc))
    assert outside.any()


@pytest.mark.parametrize("radius_km", [1.0, 500.0])
def test_a_box_around_a_cap_touches_it_on_all_sides(radius_km: float) -> None:
    lon, lat = np.array([0.0, 179.0, -100.0]), np.array([0.0, 50.0, -70.0])
    west, south, east, north = shapely.bounds(_boxes_around(lon, lat, radius_km)).T
    np.testing.assert_allclose(distance_km(lon, lat, lon, north), radius_km, rtol=1e-9)
    np.testing.assert_allclose(distance_km(lon, lat, lon, south), radius_km, rtol=1e-9)
    np.testing.assert_allclose(east - lon, lon - west, rtol=1e-12)
    lats = lat[:, None] + np.linspace(-1, 1, 4001) * radius_km / KM_PER_DEGREE
    nearest = distance_km(lon[:, None], lat[:, None], east[:, None], lats).min(axis=1)
    np.testing.assert_allclose(nearest, radius_km, rtol=1e-5)  # the easternmost point of the cap


def test_rows_of_families_are_those_of_their_descendants() -> None:
    children = sorted(h3.str_to_int(c) for c in h3.cell_to_children("821fa7fffffffff", 4))
    keys = np.sort(np.array([*children, h3.str_to_int(h3.latlng_to_cell(0, 0, 4))], np.uint64))
    family = Families(np.array([h3.str_to_int("821fa7fffffffff")], np.uint64))
    assert np.array_equal(keys[family.rows(keys).rows()], np.array(children, np.uint64))
    assert family.rows(np.empty(0, np.uint64)).count == 0
    one = np.array(children[:1], np.uint64)
    rows = _family_rows(family.cells, keys, 4)
    assert (rows[1] - rows[0]).tolist() == [len(children)]
    assert _family_rows(one, keys, 4).tolist() == [[list(keys).index(one[0])], [list(keys).index(one[0]) + 1]]
    assert _family_rows(np.empty(0, np.uint64), keys, 4).shape == (2, 0)


@pytest.mark.parametrize("tested", [0, 1, 8, 1000])
def test_however_early_rows_are_tested_one_by_one_they_are_the_same(
    monkeypatch: pytest.MonkeyPatch, tested: int
) -> None:
    monkeypatch.setattr(shapes, "ROWS_TESTED_PER_CELL", tested)
    lon, lat = RNG.uniform(0, 20, 3000), RNG.uniform(40, 55, 3000)
    keys = np.sort(cells.cells_at(lon, lat, 5))
    shape = Area(shapely.Polygon([(3, 42), (17, 45), (9, 53)]))
    held = shape.holds(*cells.centres(keys))
    assert 0 < held.sum() < len(keys)
    assert np.array_equal(shape.rows(keys).rows(), np.flatnonzero(held))
