"""Codes come back as vectors; windows are cut along blocks, rasters from their north-western corner."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest

from data.grid import PixelGrid
from data.products import vector_raster
from data.products.pixel_cells import Window
from data.products.vector_raster import Codes, Product, VectorRaster, year_period

RNG = np.random.default_rng(5)
ALL = slice(None)


@dataclass(frozen=True)
class Nothing(VectorRaster):
    stamp = ""

    def read(self, window: Window) -> Codes:
        raise NotImplementedError


def raster(height: int, width: int, block: tuple[int, int] = (16, 16), south_up: bool = False) -> Nothing:
    grid = PixelGrid("EPSG:32632", (10, 0, 0, 0, 10 if south_up else -10, 0), (height, width))
    start, end = year_period(2024)
    return Nothing("x", "x", Product("p"), start, end, grid, 2, block)


def test_a_model_is_named_by_product_version_and_variant() -> None:
    assert Product("a").model == "a"
    assert Product("a", "v1").model == "a-v1"
    assert Product("a", variant="c").model == "a/c"
    assert Product("a", "v1", "c").model == "a-v1/c"
    assert (Product("a").licence, Product("a").comparable_years) == ("other", None)


def test_a_year_ends_where_the_next_begins() -> None:
    assert year_period(2024) == (datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("kind", ["int8", "int16", "float32"])
@pytest.mark.parametrize("formula", ["linear", "signed-square"])
def test_terms_times_their_factor_are_the_vector(kind: str, formula: vector_raster.Formula) -> None:
    values = RNG.integers(-128, 128, (3, 4, 5)).astype(kind)
    codes = Codes(values, np.ones((4, 5), bool), formula)
    real = values.astype(float)
    want = (real / 127.5) ** 2 * np.sign(real) if formula == "signed-square" else real
    for bands, rows in ((ALL, ALL), (slice(1, 3), slice(1, 4)), (2, slice(0, 1))):
        made = codes.terms(bands, rows) * codes.factor
        np.testing.assert_allclose(made, want[bands, rows], rtol=3e-7)
    exact = formula == "signed-square" and kind == "int8"
    assert codes.terms(ALL, ALL).dtype == (np.int16 if exact else np.float32)
    assert codes.factor == (1 / 127.5**2 if exact else 1.0)


def test_scale_and_offset_of_all_and_of_each_pixel() -> None:
    values = RNG.integers(-100, 100, (3, 4, 5)).astype(np.int8)
    valid = RNG.random((4, 5)) < 0.7
    each = RNG.uniform(0.5, 2, (4, 5)).astype(np.float32)
    rows = slice(1, 3)
    for scale, offset in ((0.25, -7.0), (1.0, 3.0), (2.0, 0.0), (each, 0.0), (each, 1.5)):
        made = Codes(values, valid, scale=scale, offset=offset).terms(ALL, rows)
        want = values.astype(float) * scale + offset
        np.testing.assert_allclose(made[:, valid[rows]], want[:, rows][:, valid[rows]], rtol=1e-6, atol=1e-5)
        assert np.isfinite(made).all()


def test_no_data_is_a_finite_number_among_terms() -> None:
    values = np.array([[[np.nan, 2.0]], [[1.0, np.inf]]], np.float32)
    made = Codes(values, np.zeros((1, 2), bool), offset=1.0).terms(ALL, ALL)
    assert made.tolist() == [[[1.0, 1.0]], [[1.0, 1.0]]]


@pytest.mark.parametrize("most", [16 * 16, 16 * 16 * 3, 1 << 20])
@pytest.mark.parametrize("window", [Window(0, 0, 50, 70), Window(5, 9, 31, 40), Window(16, 32, 16, 16)])
def test_blocks_hold_each_pixel_of_a_window_once_and_end_with_the_files_own(
    monkeypatch: pytest.MonkeyPatch, most: int, window: Window
) -> None:
    monkeypatch.setattr(vector_raster, "READ_PX", most)
    times = np.zeros((50, 70), int)
    blocks = list(raster(50, 70).blocks(window))
    for block in blocks:
        times[block.row : block.end_row, block.col : block.end_col] += 1
        assert block.end_row % 16 == 0 or block.end_row == window.end_row
        assert block.end_col % 16 == 0 or block.end_col == window.end_col
        assert block.pixels <= most
    assert times.sum() == window.pixels == window.height * window.width
    assert (times[window.row : window.end_row, window.col : window.end_col] == 1).all()


def test_blocks_are_as_large_as_they_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_raster, "READ_PX", 16 * 16 * 6)
    whole = Window(0, 0, 64, 96)
    assert [(b.height, b.width) for b in raster(64, 96).blocks(whole)] == [(16, 96)] * 4
    narrow = Window(0, 0, 64, 20)  # two columns of blocks, three rows of them at once
    assert [(b.height, b.width) for b in raster(64, 96).blocks(narrow)] == [(48, 20), (16, 20)]
    assert [(b.height, b.width) for b in raster(64, 96, (64, 96)).blocks(whole)] == [(64, 96)]


@pytest.mark.parametrize("south_up", [False, True])
def test_chunks_are_cut_from_the_north_western_corner(south_up: bool) -> None:
    chunks = list(raster(50, 70, south_up=south_up).chunks(32))
    rows = [(18, 32), (0, 18)] if south_up else [(0, 32), (32, 18)]
    assert chunks == [
        Window(row, col, height, width) for row, height in rows for col, width in ((0, 32), (32, 32), (64, 6))
    ]
    assert raster(50, 70).extent == Window(0, 0, 50, 70)


def test_the_ends_of_a_window() -> None:
    window = Window(2, 3, 10, 20)
    assert (window.end_row, window.end_col, window.pixels) == (12, 23, 200)
