import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint

from data import raster as raster_module
from data.grid import Window
from data.raster import open_raster
from data.sample import InputError
from data.window_pixels import read_window

from .conftest import LEFT, TOP, UTM32

WINDOW = Window(UTM32, LEFT, TOP, 160.0, 160.0, 80.0)
PIXELS = np.arange(1, 257, dtype=np.uint16).reshape(1, 16, 16)


def test_a_missing_raster_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no such raster: .*gone\.tif"):
        open_raster(str(tmp_path / "gone.tif"))


def test_a_file_that_is_no_raster_is_an_input_error(tmp_path):
    path = tmp_path / "note.tif"
    path.write_text("not a raster")
    with pytest.raises(InputError, match="not a raster"):
        open_raster(str(path))


def test_a_truncated_raster_is_an_input_error_when_read(raster):
    path = raster(np.random.default_rng(0).integers(1, 9999, (10, 200, 200), np.uint16))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"raster\.tif is (truncated|not a raster)"):
        read_window(str(path), range(1, 11), Window(UTM32, LEFT, TOP - 1800, 160.0, 160.0, 80.0), 10)


def test_colours_name_bands_that_have_no_names(raster):
    colours = raster(np.ones((4, 8, 8), np.uint8), photometric="RGB")
    assert open_raster(str(colours)).band_names == ("red", "green", "blue", None)
    grey = raster(np.ones((3, 8, 8), np.uint8), "grey.tif", photometric="MINISBLACK")
    assert open_raster(str(grey)).band_names == (None, None, None)


def test_a_raster_without_crs_is_an_input_error(raster):
    with pytest.raises(InputError, match="no CRS"):
        open_raster(str(raster(PIXELS, crs=None)))


def test_a_replaced_file_is_opened_anew(raster):
    path = str(raster(PIXELS))
    before, _ = read_window(path, [1], WINDOW, 10)
    raster(PIXELS + 7)
    np.testing.assert_array_equal(read_window(path, [1], WINDOW, 10)[0], before + 7)


def test_the_raster_used_longest_ago_is_closed_when_too_many_are_open(raster, monkeypatch):
    monkeypatch.setattr(raster_module, "OPEN_RASTERS", 2)
    raster_module._kept.clear()
    paths = [str(raster(PIXELS, f"{name}.tif")) for name in "abc"]
    first, second = open_raster(paths[0]), open_raster(paths[1])
    assert open_raster(paths[0]) is first
    open_raster(paths[2])
    assert (first.dataset.closed, second.dataset.closed) == (False, True)
    assert len(raster_module._kept.rasters) == 2


def test_threads_and_processes_have_their_own_handles(raster, monkeypatch):
    path = str(raster(PIXELS))
    handles = [open_raster(path)]
    thread = threading.Thread(target=lambda: handles.append(open_raster(path)))
    thread.start()
    thread.join()
    assert handles[0].dataset is not handles[1].dataset
    assert open_raster(path) is handles[0]
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert open_raster(path) is not handles[0]


def test_a_raster_is_read_over_http(raster, tmp_path):
    raster(PIXELS)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        np.testing.assert_array_equal(read_window(f"{address}/raster.tif", [1], WINDOW, 10)[0], PIXELS)
        with pytest.raises(InputError, match="gone"):
            open_raster(f"{address}/gone.tif")
    finally:
        server.shutdown()


def test_a_raster_on_ground_control_points_is_refused_and_rtc_named(raster):
    points = [
        GroundControlPoint(row, col, 12.0 + col * 1e-4, 48.0 - row * 1e-4) for row in (0, 8) for col in (0, 8)
    ]
    path = raster(PIXELS, crs=None)
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = (points, "EPSG:4326")
    with pytest.raises(InputError, match=r"4 ground control points.*RTC"):
        open_raster(str(path))


def test_a_crs_without_a_transform_is_refused(tmp_path):
    path = tmp_path / "nowhere.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=8, height=8, count=1, dtype="uint8", crs="EPSG:32633"
    ) as dataset:
        dataset.write(np.ones((1, 8, 8), np.uint8))
    with pytest.raises(InputError, match="no transform"):
        open_raster(str(path))
