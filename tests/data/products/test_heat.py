"""The cosine of every pixel, where the pixel is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from data.products import heat
from data.products.alphaearth import read_tile
from data.products.heat import _common_grid, write_heat
from data.products.pixel_cells import LonLatBox, Window
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


def test_a_block_is_compared_in_strips_and_its_owner_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tile = read_tile(str(write_alphaearth(tmp_path, CODES, south_up=False)))
    query = (QUERY / np.linalg.norm(QUERY)).astype(np.float32)
    want = cosines(CODES)[5:37, 2:45]
    for strip in (1, 43 * 5, 1 << 16):
        monkeypatch.setattr(heat, "STRIP_PX", strip)
        found = heat.cosines(tile, Window(5, 2, 32, 43), query)
        np.testing.assert_allclose(found, want, atol=1e-6)
    elsewhere = replace(tile, box=LonLatBox(100.0, 3.0))
    assert np.isnan(heat.cosines(elsewhere, Window(0, 0, 40, 50), query)).all()


def test_a_vector_of_zeros_is_like_nothing_and_like_itself_wholly(tmp_path: Path) -> None:
    codes = CODES.copy()
    codes[:, 0, 0] = 0
    tile = read_tile(str(write_alphaearth(tmp_path, codes, south_up=False)))
    own = signed_squares(codes)[:, 7, 7]
    found = heat.cosines(tile, Window(0, 0, 40, 50), (own / np.linalg.norm(own)).astype(np.float32))
    assert np.isnan(found[0, 0])
    assert found[7, 7] == pytest.approx(1, abs=1e-6)
    assert np.nanmax(found) <= 1


@pytest.mark.parametrize(("off", "common"), [(0.009, True), (0.011, False)])
def test_grids_apart_by_a_thousandth_of_a_pixel_are_one(tmp_path: Path, off: float, common: bool) -> None:
    first = read_tile(str(write_alphaearth(tmp_path, CODES, name="a")))
    a, b, c, d, e, f = first.grid.transform
    for grid in (
        replace(first.grid, transform=(a, b, c + 300 + off, d, e, f)),
        replace(first.grid, transform=(a, b, c, d, e, f - off)),
    ):
        second = replace(first, href="b", grid=grid)
        if common:
            assert _common_grid([first, second]).transform[0] == 10
        else:
            with pytest.raises(InputError, match="b is not on the grid of"):
                _common_grid([first, second])


def test_the_common_grid_holds_all_of_them(tmp_path: Path) -> None:
    first = read_tile(str(write_alphaearth(tmp_path, CODES, name="a")))
    a, b, c, d, e, f = first.grid.transform
    second = replace(first, grid=replace(first.grid, transform=(a, b, c - 70, d, e, f + 30)))
    both = _common_grid([first, second])
    assert both.transform == (10, 0, BAVARIA.left - 70, 0, -10, BAVARIA.top + 30)
    assert both.shape == (43, 57)
    for turned in (
        (a, 0.1, c, d, e, f),
        (a, b, c, 0.1, e, f),
        (2 * a, b, c, d, e, f),
        (a, b, c, d, 2 * e, f),
    ):
        other = replace(first, href="b", grid=replace(first.grid, transform=turned))
        with pytest.raises(InputError, match="b is not on the grid of"):
            _common_grid([first, other])
    elsewhere = replace(first, href="b", grid=replace(first.grid, crs="EPSG:32633"))
    with pytest.raises(InputError, match="another projection"):
        _common_grid([first, elsewhere])
