import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from data.grid import (
    PixelGrid,
    Window,
    common_bounds,
    encircles_pole,
    hull,
    is_utm,
    lonlat_rings,
    parse_crs,
    project,
    snap,
    utm_crs,
    window_of,
)
from data.sample import InputError


@pytest.mark.parametrize(
    ("lon", "lat", "crs"),
    [
        (9.0, 50.0, "EPSG:32632"),
        (5.999, -3.0, "EPSG:32731"),
        (-180.0, 0.0, "EPSG:32601"),
        (179.999, 10.0, "EPSG:32660"),
        (180.0, 10.0, "EPSG:32601"),
        (20.0, 84.0, "EPSG:32661"),
        (20.0, -80.1, "EPSG:32761"),
        (20.0, 83.999, "EPSG:32634"),
        (20.0, -80.0, "EPSG:32734"),
        (20.0, 0.0, "EPSG:32634"),
        (6.0, -1e-9, "EPSG:32732"),
    ],
)
def test_zone_of_a_place(lon, lat, crs):
    assert utm_crs(lon, lat) == crs


@pytest.mark.parametrize(
    ("transform", "bounds"),
    [
        ((2, 0, 10, 0, -3, 20), (10, 8, 20, 20)),
        ((-2, 0, 10, 0, 3, 20), (0, 20, 10, 32)),
        ((2, 1, 10, 1, -3, 20), (10, 8, 24, 25)),  # corners (10, 20), (20, 25), (14, 8), (24, 13)
        ((2, -1, 10, -1, -3, 20), (6, 3, 20, 20)),
    ],
)
def test_bounds_hold_all_four_corners_of_a_turned_grid(transform, bounds):
    assert PixelGrid("EPSG:32632", transform, (4, 5)).bounds == bounds


def test_utm_of_any_datum_and_ups_are_utm_and_other_grids_are_not():
    assert [is_utm(crs) for crs in ("EPSG:32632", "EPSG:25832", "EPSG:26914", "EPSG:32661")] == [True] * 4
    assert [is_utm(crs) for crs in ("EPSG:4326", "EPSG:3857", "EPSG:3035")] == [False] * 3


def test_an_unknown_projection_is_named():
    with pytest.raises(InputError, match="EPSG:99"):
        parse_crs("EPSG:99")


def test_rings_are_closed_counter_clockwise_and_where_they_should_be():
    ring = lonlat_rings("EPSG:32632", np.array([[600_000, 5_600_000, 600_640, 5_600_640]]))[0]
    polygon = shapely.Polygon(ring)
    assert ring.shape == (5, 2)
    assert (ring[0] == ring[-1]).all()
    assert polygon.exterior.is_ccw
    x, y = project("EPSG:32632", np.array([polygon.centroid.x]), np.array([polygon.centroid.y]))
    assert (x[0], y[0]) == pytest.approx((600_320, 5_600_320), abs=0.1)


@pytest.mark.parametrize(("zone", "x"), [("EPSG:32601", 165_800.0), ("EPSG:32660", 834_200.0)])
def test_a_ring_on_the_antimeridian_is_contiguous_and_centred_within_180_degrees(zone, x):
    edge, _ = project(zone, np.array([180.0]), np.array([10.0]))
    y = project(zone, np.array([180.0]), np.array([10.0]))[1][0]
    ring = lonlat_rings(zone, np.array([[edge[0] - 400, y - 320, edge[0] + 240, y + 320]]))[0]
    assert np.ptp(ring[:, 0]) < 0.01
    assert -180 <= shapely.Polygon(ring).centroid.x < 180
    assert np.abs(ring[:, 0]).max() > 180


def test_a_window_around_a_pole_is_told_from_one_beside_it():
    around, beside = lonlat_rings(
        "EPSG:32661",
        np.array(
            [[1_999_700, 1_999_700, 2_000_340, 2_000_340], [2_001_000, 2_001_000, 2_001_640, 2_001_640]]
        ),
    )
    assert encircles_pole(around)
    assert not encircles_pole(beside)


def test_the_footprint_of_a_grid_around_a_pole_covers_all_longitudes():
    grid = PixelGrid("EPSG:32661", (100, 0, 1_900_000, 0, -100, 2_100_000), (2000, 2000))
    assert grid.footprint().bounds[0::2] == (-180, 180)
    assert grid.footprint().contains(shapely.Point(123, 89.9))


def test_pixel_size_and_bounds_of_a_grid():
    assert PixelGrid("EPSG:32632", (10, 0, 100, 0, -10, 200), (5, 4)).bounds == (100, 150, 140, 200)
    assert PixelGrid("EPSG:4326", (1e-4, 0, 10, 0, -9e-5, 50), (9, 9)).gsd_m == pytest.approx(10.02, abs=0.01)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.floats(0.1, 1.0))
def test_tiles_cut_a_window_without_gap_or_overlap(grid_h, grid_w, largest, share):
    window = Window("EPSG:32632", 0.0, 0.0, (grid_w - 1 + share) * 80, (grid_h - 1 + share) * 80, 80.0)
    assert window.grid_shape == (grid_h, grid_w)
    times_covered = np.zeros((grid_h, grid_w), int)
    heights = set()
    for _, _, tile in window.tiles(largest):
        top, left = round(-tile.top_m / 80), round(tile.left_m / 80)
        tile_h, tile_w = tile.grid_shape
        times_covered[top : top + tile_h, left : left + tile_w] += 1
        heights.add(tile_h)
        assert max(tile.grid_shape) <= largest
    assert (times_covered == 1).all()
    assert max(heights) - min(heights) <= 1
    tiles = [tile for _, _, tile in window.tiles(largest)]
    assert sum(t.width_m * t.height_m for t in tiles) == pytest.approx(window.width_m * window.height_m)


def test_sizes_in_pixels_leave_padding_out():
    window = Window("EPSG:32632", 0, 0, 60, 130, 80.0)
    assert window.grid_shape == (2, 1)
    assert window.extent_px(10) == (13, 6)
    assert Window("EPSG:32632", 0, 0, 1, 1, 80.0).extent_px(10) == (1, 1)


def test_the_middle_of_a_window():
    window = Window("EPSG:32632", 0, 0, 2000, 320, 80.0)  # 25 x 4 cells
    assert window.middle(8).bounds == (640, -320, 1280, 0)


def test_snapping_moves_edges_to_the_nearest_pixel():
    grid = PixelGrid("EPSG:32632", (10, 0, 5, 0, -10, 3), (9, 9))
    assert snap((11, -11, 24, -1), grid) == (15, -7, 25, 3)


def test_common_bounds_of_what_lies_apart_are_none():
    assert common_bounds([(0, 0, 2, 2), (1, -1, 3, 1)]) == (1, 0, 2, 1)
    assert common_bounds([(0, 0, 1, 1), (1, 0, 2, 1)]) is None


@settings(deadline=None)
@given(
    st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.integers(-9, 9), st.integers(-9, 9)).filter(
        lambda t: t[0] * t[3] != t[1] * t[2]
    ),
    st.integers(0, 50),
    st.integers(0, 50),
)
def test_rows_and_columns_are_those_that_the_transform_puts_there(turn, row, col):
    a, b, d, e = turn
    grid = PixelGrid("EPSG:32632", (a, b, 700, d, e, -300), (60, 60))
    x, y = np.array([700 + a * col + b * row]), np.array([-300 + d * col + e * row])
    rows, cols = grid.rows_cols(x, y)
    assert (rows[0], cols[0]) == pytest.approx((row, col), abs=1e-9)


def test_a_pixels_height_is_in_metres_in_any_unit_and_turned():
    feet = PixelGrid("EPSG:2263", (3, 0, 0, 0, -3, 0), (4, 4))  # New York, US survey feet
    assert feet.gsd_m == pytest.approx(3 * 1200 / 3937)
    assert PixelGrid("EPSG:32632", (4, 3, 0, 3, -4, 0), (4, 4)).gsd_m == 5
    assert PixelGrid("EPSG:4326", (2, 0, 0, 0, -1, 0), (4, 4)).gsd_m == 111_320


def test_the_footprint_of_a_grid_around_a_pole_reaches_to_its_corner_nearest_the_equator():
    for crs, sign in (("EPSG:32661", 1), ("EPSG:32761", -1)):
        grid = PixelGrid(crs, (100, 0, 1_950_000, 0, -100, 2_100_000), (2000, 1500))
        _, lat = project("OGC:CRS84", np.array([2_100_000.0]), np.array([2_100_000.0]), source=crs)
        reach = sorted([sign * 90.0, float(lat[0])])
        assert grid.footprint().bounds == pytest.approx((-180, reach[0], 180, reach[1]), abs=1e-9)
    beside = PixelGrid("EPSG:32632", (10, 0, 600_000, 0, -10, 5_600_000), (64, 64)).footprint()
    assert len(beside.exterior.coords) == 4 * 16 + 1
    assert beside.contains(shapely.Point(10.415, 50.541))


def test_a_grids_rectangle_elsewhere_holds_all_of_its_pixels():
    grid = PixelGrid("EPSG:32632", (10, 0, 600_000, 0, -10, 5_600_000), (64, 32))
    assert grid.bounds_in("EPSG:32632") == (600_000, 5_599_360, 600_320, 5_600_000)
    left, bottom, right, top = grid.bounds_in("EPSG:32633")
    xs, ys = np.meshgrid(np.linspace(600_000, 600_320, 9), np.linspace(5_599_360, 5_600_000, 9))
    x, y = project("EPSG:32633", xs, ys, source="EPSG:32632")
    assert x.shape == (9, 9)
    assert (left, bottom) == pytest.approx((x.min(), y.min()), abs=0.5)
    assert (right, top) == pytest.approx((x.max(), y.max()), abs=0.5)


def test_a_rings_points_lie_evenly_along_its_edges_from_the_lower_left_on():
    (ring,) = lonlat_rings("OGC:CRS84", np.array([[10.0, 50.0, 14.0, 58.0]]), points_per_edge=2)
    assert ring.tolist() == [
        [10, 50], [12, 50], [14, 50], [14, 54], [14, 58], [12, 58], [10, 58], [10, 54], [10, 50],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("west", "east", "middle"), [(170, 200, -175), (-200, -170, 175), (179, 181, -180), (-10, 10, 0)]
)
def test_a_rings_middle_lies_within_180_degrees(west, east, middle):
    (ring,) = lonlat_rings("OGC:CRS84", np.array([[west, -5.0, east, 5.0]]))
    assert (ring[:, 0].min() + ring[:, 0].max()) / 2 == middle


@pytest.mark.parametrize(("turn_deg", "around"), [(360, True), (-360, True), (0, False), (180, False)])
def test_a_ring_that_ends_a_turn_away_goes_around_a_pole(turn_deg, around):
    assert encircles_pole(np.array([[10.0, 80], [90, 80], [10 + turn_deg, 80]])) is around


def test_tiles_are_as_equal_as_can_be_and_keep_projection_and_square():
    window = Window("EPSG:32632", 1000, 9000, 33 * 80, 9 * 80 - 30, 80.0)
    tiles = list(window.tiles(8))
    assert [(row, col) for row, col, _ in tiles] == [(row, col) for row in range(2) for col in range(5)]
    assert [tile.grid_shape[1] for _, _, tile in tiles[:5]] == [7, 7, 6, 7, 6]
    assert [tile.grid_shape[0] for _, _, tile in tiles[::5]] == [5, 4]
    assert tiles[6][2] == Window("EPSG:32632", 1000 + 7 * 80, 9000 - 5 * 80, 7 * 80, 4 * 80 - 30, 80.0)
    assert window.tile_count(8) == 10
    assert window.tile_count(33) == 1
    assert window.tile_count(9) == 4


def test_the_middle_of_a_window_keeps_what_it_cannot_cut():
    window = Window("EPSG:32632", 0, 0, 720, 1040 - 20, 80.0)  # 9 x 13 squares, the last row cut
    assert window.middle(4).bounds == (160, -640, 480, -320)  # two columns and four rows before it
    assert window.middle(13) == window
    assert window.middle(9).bounds == (0, -880, 720, -160)


@pytest.mark.parametrize(("height_m", "squares"), [(80.05, 1), (80.2, 2), (0.01, 1), (160, 2)])
def test_a_millimetre_or_so_makes_no_square_more(height_m, squares):
    assert Window("EPSG:32632", 0, 0, 80, height_m, 80.0).grid_shape == (squares, 1)


def test_a_window_is_what_lies_within_bounds():
    window = window_of((10, 20, 110, 320), "EPSG:32632", 80.0)
    assert window == Window("EPSG:32632", 10, 320, 100, 300, 80.0)
    assert window.bounds == (10, 20, 110, 320)


def test_the_hull_holds_all_and_common_bounds_what_all_hold():
    three = [(0, 0, 10, 10), (2, -3, 11, 8), (1, 1, 9, 12)]
    assert hull(three) == (0, -3, 11, 12)
    assert common_bounds(three) == (2, 1, 9, 8)
    assert common_bounds([(0, 0, 1, 1), (0, 2, 1, 3)]) is None
