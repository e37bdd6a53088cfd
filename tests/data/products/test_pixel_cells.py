"""The cell of every pixel is the one that H3 gives, wherever the pixel lies."""

import h3
import numpy as np
import pytest

from data.grid import LONLAT, PixelGrid, project, utm_crs
from data.products.pixel_cells import (
    EARTH_RADIUS_M,
    LonLatBox,
    Window,
    _halves,
    _Interpolation,
    _nearest,
    inside,
    pixel_cells,
    pixel_size_m,
)

FACE_EDGE = (-17.96, 31.83)  # lon, lat where two faces of the icosahedron meet


def grid_at(
    lon: float, lat: float, crs: str | None = None, step: float = 10.0, south_up: bool = False
) -> PixelGrid:
    crs = crs or utm_crs(lon, lat)
    x, y = project(crs, np.array(lon), np.array(lat))
    return PixelGrid(crs, (step, 0, float(x), 0, step if south_up else -step, float(y)), (200, 200))


def asked(grid: PixelGrid, window: Window, resolution: int) -> np.ndarray:
    rows, cols = np.mgrid[window.row : window.end_row, window.col : window.end_col] + 0.5
    a, _, c, _, e, f = grid.transform
    lon, lat = project(LONLAT, c + a * cols, f + e * rows, source=grid.crs)
    return np.array(
        [[h3.str_to_int(h3.latlng_to_cell(y, x, resolution)) for x, y in zip(*row, strict=True)]
         for row in zip(lon, lat, strict=True)], np.uint64,
    )  # fmt: skip


PLACES = {
    "a UTM zone": grid_at(11.5, 48.1),
    "rows from south to north": grid_at(11.5, 48.1, south_up=True),
    "a zone's border": grid_at(11.9995, 48.1),
    "the south": grid_at(-60.0, -25.0),
    "the antimeridian": grid_at(179.995, -17.0, "EPSG:32760"),
    "the north pole": grid_at(10.0, 89.9995, "EPSG:32661"),
    "degrees": grid_at(20.0, 0.003, "EPSG:4326", 9e-5),
    "degrees across 180": grid_at(179.995, 65.0, "EPSG:4326", 9e-5),
    "an edge of the icosahedron": grid_at(*FACE_EDGE),
    "a pentagon": grid_at(*reversed(h3.cell_to_latlng(h3.get_pentagons(9)[3]))),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("resolution", [9, 11])
def test_each_pixel_has_the_cell_that_h3_gives(place: str, resolution: int) -> None:
    grid, window = PLACES[place], Window(-5, 7, 90, 70)
    found = pixel_cells(grid, window, resolution)
    assert np.array_equal(found.cells[found.labels], asked(grid, window, resolution))
    assert len(np.unique(found.cells)) == len(found.cells)


def test_large_windows_and_coarse_cells_agree_with_small_ones() -> None:
    grid = PixelGrid("EPSG:32632", (10, 0, 300_000, 0, -10, 5_300_000), (3000, 3000))
    for resolution in (5, 8, 12):
        whole = pixel_cells(grid, Window(0, 0, 2000, 1500), resolution)
        part = pixel_cells(grid, Window(1900, 1400, 100, 100), resolution)
        assert np.array_equal(whole.cells[whole.labels][1900:, 1400:], part.cells[part.labels])


def test_pixels_of_a_zone_end_at_its_border_and_at_the_equator() -> None:
    zone = LonLatBox(9.0, 3.0, south_deg=0.0)
    border = grid_at(11.9995, 48.1)
    window = Window(0, 0, 40, 40)
    rows, cols = np.mgrid[0:40, 0:40] + 0.5
    a, _, c, _, e, f = border.transform
    lon, _ = project(LONLAT, c + a * cols, f + e * rows, source=border.crs)
    assert np.array_equal(inside(border, window, zone), lon < 12)
    assert inside(grid_at(9.0, 48.0), window, zone) is None
    equator = PixelGrid("EPSG:32632", (10, 0, 500_000, 0, -10, 200), (40, 40))
    assert inside(equator, window, zone)[:, 0].tolist() == [True] * 20 + [False] * 20  # type: ignore[index]


def test_a_zone_across_the_antimeridian_is_in_one_piece() -> None:
    grid = grid_at(179.999, 10.0, "EPSG:32660")
    owned = inside(grid, Window(0, 0, 30, 30), LonLatBox(177.0, 3.0))
    assert owned is not None
    assert 0.2 < owned.mean() < 0.6
    assert owned[:, 0].all()
    assert not owned[:, -1].any()


def test_sizes_on_the_ground() -> None:
    assert pixel_size_m(grid_at(9.0, 48.0), Window(0, 0, 10, 10)) == pytest.approx((10, 10), rel=6e-3)
    height, width = pixel_size_m(
        PixelGrid("EPSG:4326", (9e-5, 0, 10, 0, -9e-5, 60), (10, 10)), Window(0, 0, 10, 10)
    )
    assert width / height == pytest.approx(0.5, abs=1e-3)


def test_the_size_of_a_pixel_is_that_in_the_middle_of_the_window() -> None:
    """A grid of degrees from the pole to the equator: pixels in the middle are half as wide at 60 degrees."""
    grid = PixelGrid("EPSG:4326", (0.01, 0, 0, 0, -0.01, 90), (9_000, 400))
    degree_m = np.pi * EARTH_RADIUS_M / 180
    for row, lat in ((2_000, 60), (5_000, 30)):
        down, right = pixel_size_m(grid, Window(row, 100, 2_000, 40))
        assert down == pytest.approx(0.01 * degree_m, rel=1e-6)
        assert right == pytest.approx(0.01 * degree_m * np.cos(np.radians(lat)), rel=1e-6)


@pytest.mark.parametrize(
    ("lon", "lat", "box"),
    [
        (11.999, 48.0, LonLatBox(9.0, 3.0)),
        (5.999, 48.0, LonLatBox(9.0, 3.0)),
        (9.0, 0.001, LonLatBox(9.0, 3.0, south_deg=0.0)),
        (9.0, 0.001, LonLatBox(9.0, 3.0, north_deg=0.0)),
        (179.999, 10.0, LonLatBox(177.0, 3.0)),
        (179.999, 10.0, LonLatBox(-177.0, 3.0)),
    ],
)
def test_a_box_holds_its_western_and_southern_edge_and_not_the_others(
    lon: float, lat: float, box: LonLatBox
) -> None:
    grid = PixelGrid("EPSG:4326", (1e-4, 0, lon, 0, -1e-4, lat), (30, 40))
    window = Window(-3, -2, 30, 40)
    rows, cols = np.mgrid[-3:27, -2:38] + 0.5
    lons, lats = lon + cols * 1e-4, lat - rows * 1e-4
    east = (lons - box.middle_lon_deg + 180) % 360 - 180
    want = (east >= -box.half_width_deg) & (east < box.half_width_deg)
    want &= (lats >= box.south_deg) & (lats < box.north_deg)
    assert 0 < want.mean() < 1
    assert np.array_equal(inside(grid, window, box), want)


def test_a_zone_around_a_pole_owns_its_sixtieth() -> None:
    grid = grid_at(0.0, 90.0, "EPSG:32661", 100.0)
    owned = inside(grid, Window(-60, -60, 120, 120), LonLatBox(9.0, 3.0))
    assert owned is not None
    rows, cols = np.mgrid[-60:60, -60:60] + 0.5
    a, _, c, _, e, f = grid.transform
    lon, _ = project(LONLAT, c + a * cols, f + e * rows, source=grid.crs)
    assert np.array_equal(owned, (lon >= 6) & (lon < 12))


def test_a_far_window_is_owned_by_none_and_a_near_one_by_its_zone() -> None:
    zone = LonLatBox(9.0, 3.0, south_deg=0.0)
    assert not inside(grid_at(20.0, 48.0), Window(0, 0, 9, 9), zone).any()  # type: ignore[union-attr]
    assert not inside(grid_at(9.0, -48.0), Window(0, 0, 9, 9), zone).any()  # type: ignore[union-attr]
    assert inside(grid_at(9.0, 89.0, "EPSG:4326", 1e-5), Window(0, 0, 9, 9), zone) is None


@pytest.mark.parametrize("size", [1, 2, 9, 40])
def test_a_polynomial_of_degree_seven_is_interpolated_exactly(size: int) -> None:
    window = Window(3, -5, size, size + 1)
    field = _Interpolation(window)

    def surface(row: np.ndarray, col: np.ndarray) -> np.ndarray:
        y, x = row / 50, col / 50
        return 1 + x - 2 * y + x * y**2 + 0.5 * x**7 - y**7

    rows, cols = np.mgrid[window.row : window.end_row, window.col : window.end_col] + 0.5
    at_nodes = surface(*field.nodes)
    np.testing.assert_allclose(field.everywhere(at_nodes), surface(rows, cols), atol=1e-11)
    some = slice(size // 2, size)
    np.testing.assert_allclose(field.everywhere(at_nodes, some), field.everywhere(at_nodes)[some], atol=1e-14)
    row, col = np.array([0, size - 1]), np.array([size, 0])
    np.testing.assert_allclose(
        field.at(np.stack([at_nodes, -at_nodes]), row, col),
        [surface(rows, cols)[row, col], -surface(rows, cols)[row, col]],
        atol=1e-11,
    )


def test_the_nearest_point_of_a_hexagonal_lattice() -> None:
    i, j = np.random.default_rng(0).uniform(-4, 4, (2, 400))
    steps = np.array([(di, dj) for di in range(-6, 7) for dj in range(-6, 7)])
    off_i, off_j = i[:, None] - steps[:, 0], j[:, None] - steps[:, 1]
    distance = off_i**2 + off_i * off_j + off_j**2  # axes 60 degrees apart
    assert np.array_equal(np.stack(_nearest(i, j), axis=1), steps[distance.argmin(axis=1)])


def test_a_window_is_halved_across_its_longer_side() -> None:
    assert _halves(Window(1, 2, 7, 7)) == (Window(1, 2, 3, 7), Window(4, 2, 4, 7))
    assert _halves(Window(1, 2, 6, 9)) == (Window(1, 2, 6, 4), Window(1, 6, 6, 5))
