import dataclasses
from contextlib import contextmanager

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from data import window_pixels
from data.gdal_files import TextFile
from data.grid import Window, project
from data.raster import reading
from data.sample import InputError
from data.window_pixels import Box, _aligned_offset, _block_mean, _margin, read_window, visiting

from ..tolerance import gamma
from .conftest import LEFT, TOP


def window(left=LEFT, top=TOP, width=160.0, height=160.0, crs="EPSG:32632"):
    return Window(crs, left, top, width, height, 80.0)


def ramp(shape, dtype=np.uint16, bands=1):
    height, width = shape
    rows, cols = np.mgrid[:height, :width]
    return np.stack([rows * 100 + cols + 1000 * band + 1 for band in range(bands)]).astype(dtype)


def test_pixels_of_a_shared_grid_are_copied(raster):
    pixels = ramp((30, 30), bands=3)
    path = str(raster(pixels))
    found, has_data = read_window(path, [3, 1], window(left=LEFT + 50, top=TOP - 20), 10)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, pixels[[2, 0], 2:18, 5:21])
    assert has_data.all()


def test_what_lies_outside_has_no_data(raster):
    pixels = ramp((20, 20))
    path = str(raster(pixels))
    found, has_data = read_window(path, [1], window(left=LEFT - 30, top=TOP + 40), 10)
    assert not has_data[:4].any()
    assert not has_data[:, :3].any()
    np.testing.assert_array_equal(found[0, 4:, 3:], pixels[0, :12, :13])
    _, nothing = read_window(path, [1], window(left=LEFT + 10_000), 10)
    assert not nothing.any()


def test_coarser_pixels_on_the_same_lines_are_repeated(raster):
    pixels = ramp((8, 8), np.uint8)
    found, has_data = read_window(str(raster(pixels, gsd=20.0)), [1], window(), 10)
    np.testing.assert_array_equal(found[0], np.kron(pixels[0], np.ones((2, 2), np.uint8)))
    assert has_data.all()


def test_grids_that_differ_by_less_than_a_tenth_of_a_pixel_are_one(raster):
    pixels = ramp((20, 20))
    path = str(raster(pixels, gsd=(9.9968, 9.9968), left=LEFT + 0.5))
    found, _ = read_window(path, [1], window(), 10)
    np.testing.assert_array_equal(found, pixels[:, :16, :16])


def test_another_utm_zone_is_reprojected_to_the_nearest_pixel(raster):
    x, y = project("EPSG:32633", np.array([10.4]), np.array([50.5]))
    left, top = float(np.round(x[0], -1)), float(np.round(y[0], -1))
    path = str(raster(ramp((100, 100)), crs="EPSG:32633", left=left, top=top))
    x32, y32 = project("EPSG:32632", np.array([left + 500]), np.array([top - 500]), source="EPSG:32633")
    found, has_data = read_window(path, [1], window(left=float(x32[0]), top=float(y32[0])), 10)
    assert has_data.all()
    rows, cols = np.divmod(found[0].astype(int) - 1, 100)
    px = x32[0] + (np.arange(16) + 0.5) * 10
    py = y32[0] - (np.arange(16) + 0.5) * 10
    x33, y33 = project("EPSG:32633", *np.meshgrid(px, py), source="EPSG:32632")
    assert np.abs(left + (cols + 0.5) * 10 - x33).max() <= 5.01
    assert np.abs(top - (rows + 0.5) * 10 - y33).max() <= 5.01


def test_a_geographic_grid_across_the_antimeridian_is_read_whole(raster):
    step = 1e-4
    path = str(raster(ramp((100, 100)), crs="EPSG:4326", left=180 - 50 * step, top=10.0, gsd=step))
    x, y = project("EPSG:32660", np.array([180.0]), np.array([10 - 50 * step]))
    found, has_data = read_window(path, [1], window(float(x[0]) - 80, float(y[0]) + 80, crs="EPSG:32660"), 10)
    assert has_data.all()
    cols = (found[0].astype(int) - 1) % 100
    assert cols.min() < 50 <= cols.max()


@pytest.mark.parametrize("factor", [2, 5, 25])
def test_finer_pixels_are_averaged_by_area(raster, factor):
    fine = np.random.default_rng(0).integers(0, 255, (3, 64 * factor, 64 * factor), np.uint8)
    path = str(raster(fine, gsd=2.5 / factor))
    found, has_data = read_window(path, [1, 2, 3], window(), 2.5, smooth=True)
    np.testing.assert_allclose(
        found, fine.reshape(3, 64, factor, 64, factor).mean(axis=(2, 4)), rtol=gamma(factor**2 + 1)
    )
    assert has_data.all()


def test_averaging_in_strips_gives_the_same(raster, monkeypatch):
    fine = np.random.default_rng(0).integers(0, 255, (1, 700, 700), np.uint8)
    path = str(raster(fine, gsd=0.25))
    whole, _ = read_window(path, [1], window(), 2.5, smooth=True)
    monkeypatch.setattr(window_pixels, "READ_PX", 10_000)
    np.testing.assert_array_equal(read_window(path, [1], window(), 2.5, smooth=True)[0], whole)


def test_averaging_by_no_whole_number_keeps_the_ramp(raster):
    cols = np.mgrid[:320, :320][1]
    fine = (cols * 0.5 + 20)[None].astype(np.float32)  # 0.7 m pixels
    found, has_data = read_window(str(raster(fine, gsd=0.7)), [1], window(), 2.5, smooth=True)
    expected = ((np.arange(64) + 0.5) * 2.5 / 0.7 - 0.5) * 0.5 + 20
    np.testing.assert_allclose(found[0, 5:-5, 5:-5].mean(axis=0), expected[5:-5], atol=0.3)
    assert has_data.all()


def test_coarser_pixels_are_interpolated(raster):
    coarse = (np.mgrid[:40, :40][1] * 8)[None].astype(np.uint8)
    found, _ = read_window(str(raster(coarse, gsd=5.0)), [1], window(), 2.5, smooth=True)
    expected = ((np.arange(64) + 0.5) / 2 - 0.5) * 8
    np.testing.assert_allclose(found[0, 10, 2:-2], expected[2:-2], atol=0.01)


@pytest.mark.parametrize(
    ("gsd_m", "shift_m", "smooth"), [(10, 0, False), (10, 3, False), (20, 0, True), (8, 3, True)]
)
def test_a_raster_stored_from_south_to_north_is_read_as_its_turned_copy(raster, gsd_m, shift_m, smooth):
    pixels = ramp((32, 32))
    north_up = str(raster(pixels, "north.tif"))
    south_up = str(raster(pixels[:, ::-1], "south.tif", top=TOP - 320, gsd=(10.0, -10.0)))
    part = window(left=LEFT + 40 + shift_m, top=TOP + 40 - shift_m)
    want, known = read_window(north_up, [1], part, gsd_m, smooth=smooth)
    found, has_data = read_window(south_up, [1], part, gsd_m, smooth=smooth)
    assert 0 < known.mean() < 1
    np.testing.assert_array_equal(has_data, known)
    np.testing.assert_array_equal(found[:, known], want[:, known])


def test_a_window_of_far_too_many_pixels_is_refused_before_memory_is_taken(raster, monkeypatch):
    path = str(raster(ramp((16, 16))))
    monkeypatch.setattr(window_pixels, "LARGEST_READ_BYTES", 16 * 16 * 2 - 1)
    with pytest.raises(InputError, match="for one window"):
        read_window(path, [1], window(), 10)
    both = str(raster(ramp((16, 16), bands=2)))
    monkeypatch.setattr(window_pixels, "LARGEST_READ_BYTES", 16 * 16 * 2 * 2 - 1)
    assert read_window(path, [1], window(), 10)[1].all()
    with pytest.raises(InputError, match="for one window"):
        read_window(both, [1, 2], window(), 10)


def test_nodata_takes_no_part_in_an_average(raster):
    fine = np.full((1, 128, 128), 100, np.uint8)
    fine[:, :, ::2] = 0
    fine[:, :20] = 0
    found, has_data = read_window(str(raster(fine, gsd=1.25, nodata=0)), [1], window(), 2.5, smooth=True)
    assert not has_data[:10].any()
    assert (found[:, 10:] == 100).all()


def test_an_integer_pixel_has_no_data_if_all_bands_say_so_and_a_float_one_if_any_does(raster):
    ints = np.full((2, 16, 16), 7, np.uint16)
    ints[0, 0, :] = 0
    ints[1, 0, 0] = 0
    _, has_data = read_window(str(raster(ints, "i.tif", nodata=0)), [1, 2], window(), 10)
    assert np.argwhere(~has_data).tolist() == [[0, 0]]
    floats = np.full((2, 16, 16), -9.0, np.float32)
    floats[0, 0, 0], floats[1, 0, 1] = -32768, np.nan
    _, has_data = read_window(str(raster(floats, "f.tif", nodata=-32768)), [1, 2], window(), 10)
    assert np.argwhere(~has_data).tolist() == [[0, 0], [0, 1]]


def test_nodata_of_the_metadata_stands_in_for_none_in_the_raster(raster):
    pixels = np.full((1, 16, 16), 5, np.uint16)
    pixels[0, 3, 4] = 65535
    _, has_data = read_window(str(raster(pixels)), [1], window(), 10, nodata=65535)
    assert np.argwhere(~has_data).tolist() == [[3, 4]]


@pytest.mark.parametrize("gsd_m", [8, 20, 30])
def test_nodata_of_the_metadata_is_not_blended_into_its_neighbours(raster, gsd_m):
    pixels = np.full((1, 48, 48), 1500, np.uint16)
    pixels[:, :, :25] = 0
    beyond_the_edge = window(left=LEFT + 163, width=240.0, height=240.0)
    found, has_data = read_window(str(raster(pixels)), [1], beyond_the_edge, gsd_m, smooth=True, nodata=0)
    assert 0 < has_data.mean() < 1
    assert set(np.unique(found[0][has_data])) == {1500}


def test_near_infrared_tagged_as_alpha_is_no_mask_and_true_alpha_is(raster):
    pixels = np.full((4, 64, 64), 90, np.uint8)
    pixels[3, :32] = 0
    aerial = raster(pixels, "rgbn.tif", gsd=2.5, names=("R", "G", "B", "N"), photometric="RGB", alpha="yes")
    masked = raster(pixels, "rgba.tif", gsd=2.5, photometric="RGB", alpha="yes")
    with rasterio.open(aerial) as dataset:
        assert dataset.colorinterp[3] == ColorInterp.alpha
    assert read_window(str(aerial), [1, 2, 3], window(), 2.5)[1].all()
    _, has_data = read_window(str(masked), [1, 2, 3], window(), 2.5)
    assert not has_data[:32].any()
    assert has_data[32:].all()


def test_an_internal_mask_is_obeyed(raster):
    path = raster(np.full((3, 64, 64), 90, np.uint8), gsd=2.5)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.tri(64, dtype=bool))
    np.testing.assert_array_equal(read_window(str(path), [1, 2, 3], window(), 2.5)[1], np.tri(64, dtype=bool))


def test_a_box_holds_what_reaches_beyond_none_of_its_sides():
    box = Box(10, 20, 30, 40)
    assert (box.height, box.width) == (10, 10)
    assert box.holds(box)
    assert box.holds(Box(11, 19, 31, 39))
    assert not any(box.holds(other) for other in (
        Box(9, 20, 30, 40), Box(10, 21, 30, 40), Box(10, 20, 29, 40), Box(10, 20, 30, 41),
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("start", "read"),
    [(100.4, (94, 167)), (4.0, (1, 167)), (6.0, (0, 167)), (-20.5, (0, 167)), (-20.0, (1, 167))],
)
def test_a_margin_is_two_blocks_a_side_in_whole_blocks_from_the_start(start, read):
    assert _margin(start, 160.7, 3, 1000) == read
    assert _margin(start, 160.7, 3, 165) == (read[0], 165)


def test_means_of_blocks_leave_out_what_is_no_data_and_what_lies_beyond():
    rng = np.random.default_rng(4)
    pixels, known = rng.integers(0, 200, (2, 7, 11)).astype(np.uint8), rng.random((7, 11)) < 0.6
    known[:3, :4] = False
    for step_y, step_x in ((1, 1), (1, 2), (3, 1), (3, 4), (7, 11), (9, 20)):
        found = _block_mean(pixels, known, step_y, step_x)
        rows, cols = -(-7 // step_y), -(-11 // step_x)
        assert (found.shape, found.dtype) == ((2, rows, cols), np.float32)
        for row, col in np.ndindex(rows, cols):
            part = np.s_[row * step_y : (row + 1) * step_y, col * step_x : (col + 1) * step_x]
            want = [band[part][known[part]].mean() if known[part].any() else np.nan for band in pixels]
            np.testing.assert_allclose(found[:, row, col], want, rtol=1e-6)


@pytest.mark.parametrize(
    ("left", "top", "gsd", "offset"),
    [
        (LEFT, TOP, 10.0, (0, 0)),
        (LEFT + 30, TOP - 20, 10.0, (2, 3)),
        (LEFT - 30, TOP + 20, 10.0, (-2, -3)),
        (LEFT + 0.9, TOP, 10.0, (0, 0)),
        (LEFT + 1.1, TOP, 10.0, None),
        (LEFT, TOP - 1.1, 10.0, None),
        (LEFT, TOP + 0.9, 10.0, (0, 0)),
        (LEFT, TOP, 10.06, (0, 0)),  # 0.06 m over 16 pixels is a tenth of one
        (LEFT, TOP, 10.07, None),
        (LEFT, TOP, 20.0, None),
    ],
)
def test_a_window_on_the_rasters_lines_is_copied(raster, left, top, gsd, offset):
    path = str(raster(ramp((30, 30))))
    with reading(path) as opened:
        assert _aligned_offset(opened, window(left, top, 16 * gsd, 16 * gsd), gsd) == offset
        assert _aligned_offset(opened, window(left, top, crs="EPSG:32633"), gsd) is None


@pytest.mark.parametrize("most", [1, 2**23])
@pytest.mark.parametrize("held", [1, 2**28])
def test_windows_that_are_read_together_are_the_same(raster, monkeypatch, most, held):
    """Of a file that lies elsewhere, whatever part of it a visit may hold."""
    monkeypatch.setattr(window_pixels, "VISIT_PX", most)
    monkeypatch.setattr(window_pixels, "VISIT_BYTES", held)
    path = str(raster(ramp((100, 120), bands=3)))
    other = str(raster(ramp((50, 60)), "other.tif", gsd=20.0, left=LEFT + 7))
    windows = [window(LEFT + 80 * col, TOP - 80 * row) for row in range(3) for col in (-1, 2, 5, 12)]
    asked = [
        (path, [2, 1], 10, False),
        (path, [3], 12, False),
        (other, [1], 10, False),
        (path, [1], 25, True),
    ]

    def read_all():
        return [read_window(p, b, w, g, smooth=s) for w in windows for p, b, g, s in asked]

    @contextmanager
    def elsewhere(href):
        with reading(href) as opened:
            yield dataclasses.replace(opened, files=(TextFile(b""),))

    alone = read_all()
    monkeypatch.setattr(window_pixels, "reading", elsewhere)
    with visiting(windows):
        together = read_all()
    for one, other_one in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one[0], other_one[0])
        np.testing.assert_array_equal(one[1], other_one[1])


@pytest.mark.parametrize(("gsd", "shape"), [(7.0, (13, 17)), (23.0, (7, 9))])
def test_each_pixel_is_the_one_that_holds_its_centre(raster, gsd, shape):
    """Against arithmetic, of windows that reach beyond each side."""
    pixels = ramp(shape)
    path = str(raster(pixels, gsd=gsd))
    for left, top in ((LEFT - 33, TOP + 41), (LEFT + 40, TOP - 31), (LEFT + 1, TOP - 2)):
        found, known = read_window(path, [1], window(left, top), 10)
        x, y = np.meshgrid(left + 5 + 10 * np.arange(16), top - 5 - 10 * np.arange(16))
        col = np.floor((x - LEFT) / gsd).astype(int)
        row = np.floor((TOP - y) / gsd).astype(int)
        inside = (row >= 0) & (row < shape[0]) & (col >= 0) & (col < shape[1])
        np.testing.assert_array_equal(known, inside)
        np.testing.assert_array_equal(found[0][inside], pixels[0][row[inside], col[inside]])
        assert (found[0][~inside] == 0).all()


def test_what_a_file_declares_counts_more_than_what_its_metadata_say(raster):
    pixels = np.full((1, 16, 16), 5, np.uint16)
    pixels[0, 0, 0], pixels[0, 0, 1] = 0, 9
    _, has_data = read_window(str(raster(pixels, nodata=9)), [1], window(), 10, nodata=0)
    assert np.argwhere(~has_data).tolist() == [[0, 1]]


def test_a_smooth_window_beside_a_raster_holds_nothing(raster):
    path = str(raster(ramp((40, 40), np.uint8), gsd=2.5))
    for left, top in ((LEFT + 5000, TOP), (LEFT, TOP - 5000), (LEFT - 5000, TOP), (LEFT, TOP + 5000)):
        pixels, known = read_window(path, [1], window(left, top), 10, smooth=True)
        assert (pixels.shape, known.any()) == ((1, 16, 16), np.False_)
        assert np.isnan(pixels).all()
