"""The cosine of every pixel, where the pixel is."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from data.products.alphaearth import read_tile
from data.products.heat import write_heat
from data.sample import InputError

from .layouts import BAVARIA, Place, noise_codes, signed_squares, write_alphaearth

CODES = noise_codes(40, 50)
CODES[:, 3:6, 4:9] = -128
QUERY = np.random.default_rng(5).normal(size=64)


def cosines(codes: np.ndarray) -> np.ndarray:
    vectors = signed_squares(codes)
    found = np.einsum("dhw,d->hw", vectors, QUERY) / np.linalg.norm(vectors, axis=0) / np.linalg.norm(QUERY)
    return np.where((codes == -128).any(axis=0), np.nan, found)


@pytest.mark.parametrize("south_up", [True, False])
def test_a_north_up_cog_of_cosines(tmp_path: Path, south_up: bool) -> None:
    told: list[tuple[int, int]] = []
    tile = read_tile(str(write_alphaearth(tmp_path, CODES, south_up=south_up)))
    assert write_heat([tile], QUERY, tmp_path / "sim.tif", lambda *state: told.append(state)) == (40, 50)
    with rasterio.open(tmp_path / "sim.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (file.dtypes, np.isnan(file.nodata)) == (("float32",), True)
        assert tuple(file.transform)[:6] == (10, 0, BAVARIA.left, 0, -10, BAVARIA.top)
        assert np.allclose(file.read(1), cosines(CODES), atol=1e-6, equal_nan=True)
    assert told[-1] == (2000, 2000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sim.tif", "v1"]


def test_tiles_of_one_grid_become_one_file(tmp_path: Path) -> None:
    east = Place(BAVARIA.crs, BAVARIA.left + 300, BAVARIA.top - 100)
    tiles = [
        read_tile(str(write_alphaearth(tmp_path, CODES[:, :, :30], name="west"))),
        read_tile(str(write_alphaearth(tmp_path, CODES[:, 10:, 30:], east, name="east", south_up=False))),
    ]
    assert write_heat(tiles, QUERY, tmp_path / "sim.tif") == (40, 50)
    want = cosines(CODES)
    want[:10, 30:] = np.nan
    with rasterio.open(tmp_path / "sim.tif") as file:
        assert np.allclose(file.read(1), want, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize(("east_m", "north_m"), [(3, 0), (0, 3), (10, 5)])
def test_other_grids_and_dimensions_are_refused(tmp_path: Path, east_m: float, north_m: float) -> None:
    first = read_tile(str(write_alphaearth(tmp_path, CODES, name="a")))
    between = Place(BAVARIA.crs, BAVARIA.left + east_m, BAVARIA.top + north_m)
    second = read_tile(str(write_alphaearth(tmp_path, CODES, between, name="b")))
    with pytest.raises(InputError, match=r"b-0+-0+.tiff is not on the grid of .*a-0+-0+.tiff"):
        write_heat([first, second], QUERY, tmp_path / "sim.tif")
    with pytest.raises(InputError, match="has vectors of 64 dimensions, asked for was 8"):
        write_heat([first], QUERY[:8], tmp_path / "sim.tif")
    assert not (tmp_path / "sim.tif").exists()
