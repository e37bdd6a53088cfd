"""A background from a file: pixels are where they lie, and what is no background is named."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.crs import CRS
from rasterio.transform import from_origin

from indexer.errors import QueryError
from search_app.own_ground import TILE_PX, address_of, check, tile

UTM = CRS.from_epsg(32632)
LON, LAT, ZOOM = 9.0, 46.9, 13  # near the raster's middle


def geotiff(path: Path, pixels: np.ndarray, crs: CRS | None = UTM) -> Path:
    """Pixels (C, H, W) of 100 m, their corner at 9.0 E, 47.0 N in the default projection."""
    count, height, width = pixels.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": pixels.dtype}
    with rasterio.open(
        path, "w", crs=crs, transform=from_origin(490_000, 5_205_000, 100, 100), **profile
    ) as raster:
        raster.write(pixels)
    return path


def tile_at(lon: float, lat: float, zoom: int) -> tuple[int, int, int]:
    """The usual arithmetic of web maps."""
    n = 2**zoom
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * n
    return zoom, int((lon + 180) / 360 * n), int(y)


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_colours_of_bytes_are_kept_where_they_lie(tmp_path: Path) -> None:
    pixels = np.zeros((3, 200, 200), np.uint8)
    pixels[0], pixels[1] = 200, 40
    ground = geotiff(tmp_path / "aerial.tif", pixels)
    shown = pixels_of(tile(ground, *tile_at(LON, LAT, ZOOM)))
    assert shown.shape == (TILE_PX, TILE_PX, 4)
    assert shown[128, 128].tolist() == [200, 40, 0, 255]
    assert not pixels_of(tile(ground, *tile_at(30.0, 10.0, ZOOM)))[..., 3].any(), "nothing lies there"


def test_north_and_east_are_where_the_map_has_them(tmp_path: Path) -> None:
    pixels = np.full((1, 200, 200), 10, np.uint8)
    pixels[0, :100, 100:] = 250  # the north-east quarter
    shown = pixels_of(tile(geotiff(tmp_path / "one.tif", pixels), *tile_at(LON, LAT, 9)))[..., 0]
    bright, seen = np.argwhere(shown > 200), np.argwhere(shown > 0)
    assert bright[:, 0].mean() < seen[:, 0].mean()
    assert bright[:, 1].mean() > seen[:, 1].mean()


def test_other_numbers_are_stretched_from_their_dark_to_their_bright(tmp_path: Path) -> None:
    ramp = np.linspace(400, 2400, 200 * 200, dtype=np.float32).reshape(1, 200, 200)
    shown = pixels_of(tile(geotiff(tmp_path / "numbers.tif", ramp), *tile_at(LON, LAT, 9)))
    grey = shown[shown[..., 3] > 0]
    assert (grey[:, 0] == grey[:, 1]).all()
    assert grey[:, 0].min() < 20
    assert grey[:, 0].max() > 235


@pytest.mark.parametrize("place", [(-1, 0, 0), (31, 0, 0), (3, 8, 0), (3, 0, -1)])
def test_a_tile_that_cannot_be_is_refused(tmp_path: Path, place: tuple[int, int, int]) -> None:
    with pytest.raises(QueryError, match="there is no tile"):
        tile(tmp_path / "any.tif", *place)


def test_what_is_no_background_is_named(tmp_path: Path) -> None:
    check(geotiff(tmp_path / "good.tif", np.zeros((1, 4, 4), np.uint8)))
    nowhere = geotiff(tmp_path / "nowhere.tif", np.zeros((1, 4, 4), np.uint8), crs=None)
    with pytest.raises(QueryError, match="does not say where it lies"):
        check(nowhere)
    for name in ("text.tif", "text.pmtiles"):
        (tmp_path / name).write_text("hello there")
        with pytest.raises(QueryError, match=name):
            check(tmp_path / name)
    with pytest.raises(QueryError, match="is no background"):
        check(tmp_path / "absent.pmtiles")
    assert [address_of(name) for name in ("", "a.pmtiles", "a.tif")] == [
        "",
        "ground.pmtiles",
        "ground/{z}/{x}/{y}.png",
    ]
