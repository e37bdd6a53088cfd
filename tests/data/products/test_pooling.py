"""Sums per cell against float64, pixel by pixel; a shift, a mirror image and averaged codes are seen."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import shapely

from data.products.alphaearth import read_tile
from data.products.pixel_cells import Window
from data.products.pooling import Pooled, chunk_side_px, join, meets, pool_chunk
from data.products.raster import has_data, read_raster
from data.products.vector_raster import Product, VectorRaster
from data.sample import InputError

from .layouts import (
    BAVARIA,
    CellMean,
    Place,
    cell_means,
    noise_codes,
    signed_squares,
    write_alphaearth,
    write_cog,
)

ANY = Product("any", licence="CC0-1.0")


def assert_holds(pooled: Pooled, expected: dict[int, CellMean], tolerance: float = 1e-6) -> None:
    """Cells, counts and means are those expected."""
    assert set(pooled.cells.tolist()) == set(expected)
    for i, cell in enumerate(pooled.cells.tolist()):
        want = expected[cell]
        assert (pooled.pixels[i], pooled.valid[i]) == (want.pixels, want.valid)
        if want.valid:
            assert np.abs(pooled.sums[i] / want.valid - want.mean).max() < tolerance
            assert pooled.lengths[i] / want.valid == pytest.approx(want.length, rel=tolerance)


def pooled_of(raster: VectorRaster, resolution: int = 11, **options: object) -> Pooled:
    return pool_chunk(raster, raster.extent, resolution, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    values = noise_codes(72, 56)
    values[:, :9, :13] = -128  # a corner without data
    values[17, 40, 30] = -128  # one band of one pixel
    return values


@pytest.fixture(scope="module")
def expected(codes: np.ndarray) -> dict[int, CellMean]:
    return cell_means(signed_squares(codes), (codes != -128).all(axis=0), BAVARIA, 11)


@pytest.mark.parametrize("south_up", [True, False])
def test_white_noise_is_pooled_exactly(
    tmp_path: Path, codes: np.ndarray, expected: dict[int, CellMean], south_up: bool
) -> None:
    tile = read_tile(str(write_alphaearth(tmp_path, codes, south_up=south_up)))
    assert_holds(pooled_of(tile), expected)


@pytest.mark.parametrize("fault", ["a shift by one pixel", "a mirrored tile", "averaged codes"])
def test_what_is_often_done_wrong_is_seen(
    tmp_path: Path, codes: np.ndarray, expected: dict[int, CellMean], fault: str
) -> None:
    if fault == "a shift by one pixel":
        made = pooled_of(
            read_tile(str(write_alphaearth(tmp_path, codes, Place("EPSG:32632", 600_010.0, 5_300_000.0))))
        )
    elif fault == "a mirrored tile":
        made = pooled_of(read_tile(str(write_alphaearth(tmp_path, codes[:, ::-1]))))
    else:  # roots are averaged, then squared
        as_floats = read_raster(
            str(write_cog(tmp_path / "roots_2024.tif", codes, names=False)), product=ANY, scale=1 / 127.5
        )
        roots = pooled_of(as_floats)
        means = roots.sums / np.maximum(roots.valid, 1)[:, None]
        made = Pooled(**{**vars(roots), "sums": means * np.abs(means) * roots.valid[:, None]})
    with pytest.raises(AssertionError):
        assert_holds(made, expected, 1e-3)


def test_every_cell_size_gives_exact_counts(tmp_path: Path, codes: np.ndarray) -> None:
    tile = read_tile(str(write_alphaearth(tmp_path, codes)))
    valid = (codes != -128).all(axis=0)
    for resolution in (7, 9, 10, 12):
        made = pooled_of(tile, resolution)
        assert made.pixels.sum() == valid.size
        assert made.valid.sum() == valid.sum()
        assert np.allclose(made.sums.sum(axis=0), signed_squares(codes)[:, valid].sum(axis=1), atol=1e-9)


def test_standard_deviations_are_kept_on_demand(tmp_path: Path, codes: np.ndarray) -> None:
    made = pooled_of(read_tile(str(write_alphaearth(tmp_path, codes))), 9, squares=True)
    whole = signed_squares(codes)[:, (codes != -128).all(axis=0)] ** 2
    assert made.squares is not None
    assert np.allclose(made.squares.sum(axis=0), whole.sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("formula", ["linear", "signed-square"])
@pytest.mark.parametrize("kind", ["int8", "int16", "uint8", "float32"])
def test_any_raster_as_its_caller_says_to_read_it(tmp_path: Path, formula: str, kind: str) -> None:
    draw = np.random.default_rng(3).integers(1, 120, size=(5, 48, 48)).astype(kind)
    path = write_cog(tmp_path / "any_2023.tif", draw, nodata=None, names=False, interleave="pixel")
    raster = read_raster(
        str(path),
        product=ANY,
        formula=formula,
        scale=0.25,
        offset=-7.0,
        nodata=119,  # type: ignore[arg-type]
    )
    vectors = signed_squares(draw) if formula == "signed-square" else draw.astype(np.float64) * 0.25 - 7
    want = cell_means(vectors, (draw != 119).all(axis=0), BAVARIA, 10)
    assert_holds(pooled_of(raster, 10), want, 1e-4)
    assert raster.start.year == 2023


def test_what_no_data_is() -> None:
    floats = np.array([[[1.0, np.nan, np.inf, 0.0]], [[2.0, 2.0, 2.0, 0.0]]], np.float32)  # (2, 1, 4)
    assert has_data(floats, None).tolist() == [[True, False, False, True]]
    assert has_data(floats, 0).tolist() == [[True, False, False, False]]
    assert has_data(floats, 2.0).tolist() == [[False, False, False, True]]
    bytes_ = np.array([[[0, -128, 0]], [[0, 5, 7]]], np.int8)
    assert has_data(bytes_, -128).tolist() == [[True, False, True]]
    assert has_data(bytes_, 0).tolist() == [[False, True, True]]
    assert has_data(bytes_, 255).tolist() == [[True, True, True]]  # no int8 can be that


def test_of_an_area_come_the_cells_whose_centres_lie_in_it_whole(
    tmp_path: Path, codes: np.ndarray, expected: dict[int, CellMean]
) -> None:
    tile = read_tile(str(write_alphaearth(tmp_path, codes)))
    everything = pooled_of(tile)
    lon = [ring[0] for ring in tile.grid.footprint().exterior.coords]
    west, east = min(lon), max(lon)
    area = shapely.box(west, -90, (west + east) / 2, 90)
    made = pooled_of(tile, area=area)
    assert 0 < len(made.cells) < len(everything.cells)
    for i, cell in enumerate(made.cells.tolist()):
        assert made.pixels[i] == expected[cell].pixels
    assert len(pooled_of(tile, area=shapely.box(0, 0, 1, 1)).cells) == 0
    assert meets(tile, tile.extent, 11, area)
    assert not meets(tile, tile.extent, 11, shapely.box(0, 0, 1, 1))


def test_pieces_know_how_much_of_a_cell_they_lack(tmp_path: Path, codes: np.ndarray) -> None:
    tile = read_tile(str(write_alphaearth(tmp_path, codes)))
    whole = pooled_of(tile)
    pieces = [pool_chunk(tile, Window(row, 0, 24, 56), 11) for row in (0, 24, 48)]
    both = join(pieces, 64, squares=False)
    assert np.array_equal(both.cells, whole.cells)
    assert np.array_equal(both.pixels, whole.pixels)
    assert np.allclose(both.sums, whole.sums)
    for piece in pieces:  # each says the same of the whole cell, whatever it saw of it
        slot = np.searchsorted(whole.cells, piece.cells)
        assert np.array_equal(piece.cell_pixels, whole.cell_pixels[slot])
    inner = whole.pixels == whole.cell_pixels
    assert 0.3 < inner.mean() < 0.9  # the tile's own edge cuts the others
    assert whole.cell_pixels.min() >= 18  # of 21.5 on average


def test_a_truncated_file_is_named_with_what_is_missing(tmp_path: Path, codes: np.ndarray) -> None:
    path = write_alphaearth(tmp_path, codes)
    tile = read_tile(str(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"x-0{10}-0{10}.tiff (is truncated or corrupt in rows|is not a)"):
        pooled_of(tile)


def test_memory_is_that_of_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.products.vector_raster.READ_PX", 64 * 64)
    peaks = []
    for side in (128, 512):
        codes = np.full((64, side, side), 55, np.int8)
        tile = read_tile(str(write_cog(tmp_path / "2024" / f"{side}.tif", codes, block=64)))
        pool_chunk(tile, Window(0, 0, 64, 64), 8)  # what is loaded once
        tracemalloc.start()
        pooled_of(tile, 8)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]  # of a raster sixteen times as large
    assert peaks[1] < 512 * 512 * 64 / 2  # it was never there whole


def test_pieces_are_as_large_as_their_cells_are_many(tmp_path: Path, codes: np.ndarray) -> None:
    tile = read_tile(str(write_alphaearth(tmp_path, codes)))
    assert [chunk_side_px(tile, resolution) for resolution in (7, 9, 11, 12)] == [4096, 4096, 2048, 1024]
