"""Sums per cell against float64, pixel by pixel; a shift, a mirror image and averaged codes are seen."""

import tracemalloc
from pathlib import Path

import h3
import numpy as np
import pytest
import shapely

from data.products import pooling
from data.products.alphaearth import read_tile
from data.products.pixel_cells import Window
from data.products.pooling import (
    Pooled,
    _frames,
    _Runs,
    chunk_side_px,
    join,
    meets,
    pixels_per_cell,
    pool_chunk,
)
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


def test_a_cell_holds_as_many_pixels_as_fit_on_its_ground(tmp_path: Path, codes: np.ndarray) -> None:
    tile = read_tile(str(write_alphaearth(tmp_path, codes)))
    average_m2 = h3.average_hexagon_area(11, "m^2")
    assert pixels_per_cell(tile, 11) == pytest.approx(average_m2 / 100, rel=5e-3)
    assert pixels_per_cell(tile, 10) / pixels_per_cell(tile, 11) == pytest.approx(7, rel=0.01)


def piece(cells: list[int], offset: float, squares: bool = True) -> Pooled:
    n = np.arange(len(cells)) + offset
    vectors = np.stack([n, -n], axis=1)
    counts = n.astype(np.int64)
    return Pooled(
        np.array(cells, np.uint64), counts, counts + 1, vectors, vectors**2 if squares else None,
        n / 2, counts + 2, np.arange(len(cells)) % 2 == 0,
    )  # fmt: skip


@pytest.mark.parametrize("squares", [False, True])
def test_what_pieces_know_of_one_cell_is_added(squares: bool) -> None:
    pieces = [
        piece([5, 3], 1, squares),
        piece([3, 9, 5], 10, squares),
        piece([], 0, squares),
        piece([5], 7, squares),
    ]
    both = join(pieces, 2, squares)
    assert both.cells.tolist() == [3, 5, 9]
    assert both.pixels.tolist() == [2 + 10, 1 + 12 + 7, 11]
    assert both.valid.tolist() == [3 + 11, 2 + 13 + 8, 12]
    assert both.sums.tolist() == [[12, -12], [20, -20], [11, -11]]
    assert both.lengths.tolist() == [6, 10, 5.5]
    assert both.cell_pixels.tolist() == [4 + 12, 3 + 14 + 9, 13]
    assert both.elsewhere.tolist() == [True, True, False]
    if squares:
        assert both.squares is not None
        assert both.squares[:, 0].tolist() == [4 + 100, 1 + 144 + 49, 121]
    else:
        assert both.squares is None


@pytest.mark.parametrize("squares", [False, True])
def test_no_piece_is_no_cell(squares: bool) -> None:
    none = join([], 7, squares)
    assert (len(none.cells), none.sums.shape, none.pixels.shape) == (0, (0, 7), (0,))
    assert (none.squares is not None) == squares
    assert none.take(np.zeros(0, bool)) is none


def test_some_of_the_cells() -> None:
    whole = piece([1, 2, 3], 1)
    assert whole.take(np.ones(3, bool)) is whole
    some = whole.take(np.array([False, True, True]))
    assert (some.cells.tolist(), some.pixels.tolist(), some.sums.tolist()) == (
        [2, 3],
        [2, 3],
        [[2, -2], [3, -3]],
    )
    assert whole.take(np.array([2, 0])).cells.tolist() == [3, 1]


@pytest.mark.parametrize("kind", ["int16", "float32"])
@pytest.mark.parametrize(("pixels", "labels"), [(500, 7), (40_000, 2), (70_000, 1)])
def test_sums_of_runs_are_those_of_their_pixels(kind: str, pixels: int, labels: int) -> None:
    """Of a label without pixels, of nobody's, and of as many that two bands no longer fit into one word."""
    rng = np.random.default_rng(pixels)
    owner = np.repeat(rng.integers(0, labels + 2, pixels // 5), 5).astype(np.int32)
    owner[owner == 1] = 0  # a label of which none is there
    runs = _Runs(owner, labels + 1)
    terms = rng.integers(-(127**2), 127**2 + 1, (3, len(owner))).astype(kind)
    terms[:, :100] = -(127**2)
    known = np.unique(owner[owner < labels + 1])
    assert runs.labels.tolist() == known.tolist()
    assert runs.pixels.tolist() == [int((owner == label).sum()) for label in known]
    want = np.array([[int(band[owner == label].sum(dtype=np.float64)) for label in known] for band in terms])
    assert runs.lanes == (3 if max(runs.pixels) <= 64 else 2)
    for first in range(0, 3, runs.lanes):
        np.testing.assert_array_equal(
            runs.sums_of_bands(terms[first : first + runs.lanes]), want[first : first + runs.lanes]
        )


def test_runs_of_nobody_are_none() -> None:
    runs = _Runs(np.full(9, 4, np.int32), 4)
    assert (len(runs.labels), len(runs.pixels)) == (0, 0)


def test_as_many_bands_share_a_word_as_no_cells_sum_can_leave() -> None:
    """Least and greatest codes of as many pixels as fit: -(2**20) is the last sum in 21 bits."""
    for pixels, lanes in ((64, 3), (65, 2)):
        runs = _Runs(np.zeros(pixels, np.int32), 1)
        assert runs.lanes == lanes
        terms = np.full((lanes, pixels), -(128**2), np.int16)
        terms[0] = 127**2
        want = [[127**2 * pixels], *[[-(128**2) * pixels]] * (lanes - 1)]
        assert runs.sums_of_bands(terms).tolist() == want


def test_strips_and_frames_of_any_size_give_the_same(
    tmp_path: Path, codes: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    tile = read_tile(str(write_alphaearth(tmp_path, codes)))
    window = Window(8, 8, 40, 32)
    whole = pool_chunk(tile, window, 11, squares=True)
    monkeypatch.setattr(pooling, "STRIP_PX", 70)
    monkeypatch.setattr(pooling, "FRAME_PX", 5)
    parts = pool_chunk(tile, window, 11, squares=True)
    for name in ("cells", "pixels", "valid", "cell_pixels", "elsewhere"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))
    np.testing.assert_allclose(parts.sums, whole.sums, rtol=1e-9, atol=1e-12)


def test_a_frame_is_all_around_a_window_and_reaches_across_a_cell(tmp_path: Path, codes: np.ndarray) -> None:
    tile = read_tile(str(write_alphaearth(tmp_path, codes)))
    window = Window(100, 200, 50, 30)
    times = np.zeros((400, 500), int)
    for frame in _frames(tile, window, 11):
        times[frame.row : frame.end_row, frame.col : frame.end_col] += 1
    rows, cols = np.flatnonzero(times.any(axis=1)), np.flatnonzero(times.any(axis=0))
    reach_px = 2 * h3.average_hexagon_edge_length(11, "m") / 10  # across a cell
    assert set(np.unique(times)) == {0, 1}
    assert (times[100:150, 200:230] == 0).all()
    assert (times[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1].sum()) == len(rows) * len(cols) - 50 * 30
    assert 100 - rows[0] == rows[-1] - 149 == 200 - cols[0] == cols[-1] - 229
    assert reach_px < 100 - rows[0] <= 1.3 * reach_px + 2


def test_a_window_meets_an_area_that_a_cell_of_its_can_reach(tmp_path: Path, codes: np.ndarray) -> None:
    tile = read_tile(str(write_alphaearth(tmp_path, codes)))
    west, south, east, north = tile.grid.footprint().bounds
    reach = 2.6 * h3.average_hexagon_edge_length(8, "m") / 111_000
    wider = reach / np.cos(np.radians(north))
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        for share, near in ((0.9, True), (1.1, False)):
            lon = (west if dx < 0 else east) + dx * share * wider if dx else (west + east) / 2
            lat = (south if dy < 0 else north) + dy * share * reach if dy else (south + north) / 2
            for turn in (-360, 0, 360):
                spot = shapely.Point(lon + turn, lat).buffer(1e-6)
                assert meets(tile, tile.extent, 8, spot) is near, (dx, dy, share)
    assert not meets(tile, Window(0, 0, 8, 8), 11, shapely.Point(east, south).buffer(1e-6))
    pole = read_tile(str(write_alphaearth(tmp_path / "pole", codes, Place("EPSG:32661", 2e6, 2e6))))
    assert meets(pole, pole.extent, 11, shapely.box(-120, 0, -119, 1))
