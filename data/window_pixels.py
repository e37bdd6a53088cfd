"""The pixels of one raster over a window, on the window's own pixel grid."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject, transform_bounds
from rasterio.windows import Window as PixelWindow

from .access import unsigned
from .grid import PixelGrid, Window, hull, parse_crs, project
from .raster import LARGEST_READ_BYTES, Raster, check_bands, reading
from .sample import InputError

READ_PX = 2**22  # pixels of one band held at a time while averaging
VISIT_PX = 2**23  # of one file that are read at once for neighbouring windows
VISIT_BYTES = 2**28  # held by one visit
VISIT_MARGIN_PX = 4
ALIGNED_PX = 0.1  # grids that agree to this part of a pixel over the whole window are one grid


def read_window(
    href: str,
    bands: Sequence[int],
    window: Window,
    gsd_m: float,
    *,
    smooth: bool = False,
    nodata: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Bands (1-based) of a raster over a window's true extent.

    Returns pixels (C, H, W) and where there is data (H, W) bool, with H, W = `window.extent_px(gsd_m)`. A
    raster on the window's own pixel grid is copied. Any other is taken from the nearest pixel, or if `smooth`
    averaged by area when finer and interpolated when coarser, as float32. `nodata` stands in where the raster
    declares none; an integer pixel has no data if all bands say so, a float one if any does.
    Raises InputError for a raster that cannot be read, UnreachableError for one whose host does not answer.
    """
    with reading(href) as raster:
        return _read_window(href, raster, tuple(bands), window, gsd_m, smooth, nodata)


def _read_window(
    href: str,
    raster: Raster,
    bands: tuple[int, ...],
    window: Window,
    gsd_m: float,
    smooth: bool,
    nodata: float | None,
) -> tuple[np.ndarray, np.ndarray]:
    check_bands(href, raster, bands)
    declared = raster.dataset.nodata
    reader = _Reader(href, raster, bands, nodata if declared is None else declared)
    offset = _aligned_offset(raster, window, gsd_m)
    if offset is not None:
        return reader.copy(*offset, *window.extent_px(gsd_m))
    return reader.smooth(window, gsd_m) if smooth else reader.nearest(window, gsd_m)


def _aligned_offset(raster: Raster, window: Window, gsd_m: float) -> tuple[int, int] | None:
    """(row, col) of the window's corner when raster and window share one pixel grid, else None."""
    a, b, c, d, e, f = raster.grid.transform
    if not _same_crs(raster.grid.crs, window.crs) or b or d:
        return None
    height, width = window.extent_px(gsd_m)
    row, col = (window.top_m - f) / e, (window.left_m - c) / a
    drift = max(abs(a - gsd_m) * width, abs(-e - gsd_m) * height) / gsd_m
    if max(drift, abs(row - round(row)), abs(col - round(col))) > ALIGNED_PX:
        return None
    return round(row), round(col)


@lru_cache(maxsize=4096)
def _same_crs(first: str, second: str) -> bool:
    return first == second or bool(parse_crs(first) == parse_crs(second))


@lru_cache(maxsize=32)
def _pixels_of(grid: PixelGrid, window: Window, gsd_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Row and column (H, W) in `grid` of the centre of each pixel of a window; kept for its other dates."""
    height, width = window.extent_px(gsd_m)
    x, y = np.meshgrid(
        window.left_m + (np.arange(width) + 0.5) * gsd_m, window.top_m - (np.arange(height) + 0.5) * gsd_m
    )
    if not _same_crs(grid.crs, window.crs):
        x, y = project(grid.crs, x, y, source=window.crs)
    if parse_crs(grid.crs).is_geographic:  # a grid on the antimeridian counts on beyond 180
        left, _, right, _ = grid.bounds
        x = x + 360 * np.round(((left + right) / 2 - x) / 360)
    rows, cols = grid.rows_cols(x, y)
    return np.floor(rows).astype(np.int64), np.floor(cols).astype(np.int64)


class Box(NamedTuple):
    """A part of a raster, in whole pixels."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def holds(self, other: "Box") -> bool:
        return (
            self.top <= other.top
            and other.bottom <= self.bottom
            and self.left <= other.left
            and other.right <= self.right
        )


class _Visit:
    """Neighbouring windows that are read together: of each file elsewhere, one part that holds them all."""

    def __init__(self, around: Window) -> None:
        self._around = around
        self._held: dict[object, tuple[Box, np.ndarray, np.ndarray]] = {}
        self._bytes = 0

    def read(self, reader: "_Reader", box: Box) -> tuple[np.ndarray, np.ndarray]:
        key = reader.href, reader.bands, reader.nodata
        if key not in self._held or not self._held[key][0].holds(box):
            together = reader.box_of(self._around, box)
            held = together, *reader._read_box(together)
            self._bytes += held[1].nbytes
            if self._bytes > VISIT_BYTES:
                self._held.clear()
                self._bytes = held[1].nbytes
            self._held[key] = held
        around, pixels, has_data = self._held[key]
        part = np.s_[
            box.top - around.top : box.bottom - around.top, box.left - around.left : box.right - around.left
        ]
        return pixels[:, *part], has_data[part]


_visit: ContextVar[_Visit | None] = ContextVar("visit", default=None)


@contextmanager
def visiting(windows: Sequence[Window]) -> Iterator[None]:
    """Read `windows`, neighbours in one projection, with one visit to each file that lies elsewhere."""
    left, bottom, right, top = hull([window.bounds for window in windows])
    first = windows[0]
    around = Window(first.crs, left, top, right - left, top - bottom, first.cell_m)
    token = _visit.set(_Visit(around))
    try:
        yield
    finally:
        _visit.reset(token)


@dataclass(frozen=True)
class _Reader:
    """The chosen bands of one raster."""

    href: str
    raster: Raster
    bands: tuple[int, ...]
    nodata: float | None

    def copy(self, row: int, col: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """(C, height, width) from pixel (row, col) on, which may lie outside the raster."""
        pixels, has_data = self._empty(height, width)
        raster_h, raster_w = self.raster.grid.shape
        top, bottom = max(row, 0), min(row + height, raster_h)
        left, right = max(col, 0), min(col + width, raster_w)
        if bottom > top and right > left:
            part = np.s_[top - row : bottom - row, left - col : right - col]
            pixels[:, *part], has_data[part] = self._read(top, bottom, left, right)
        return pixels, has_data

    def nearest(self, window: Window, gsd_m: float) -> tuple[np.ndarray, np.ndarray]:
        """Each pixel of the window from the raster's pixel that holds its centre."""
        rows, cols = _pixels_of(self.raster.grid, window, gsd_m)  # (H, W) each
        pixels, has_data = self._empty(*rows.shape)
        raster_h, raster_w = self.raster.grid.shape
        inside = (rows >= 0) & (rows < raster_h) & (cols >= 0) & (cols < raster_w)
        if inside.any():
            rows, cols = rows[inside], cols[inside]  # (N,)
            top, left = rows.min(), cols.min()
            source, known = self._read(top, rows.max() + 1, left, cols.max() + 1)
            pixels[:, inside] = source[:, rows - top, cols - left]
            has_data[inside] = known[rows - top, cols - left]
        return pixels, has_data

    def _empty(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        dtype = self.raster.dataset.dtypes[self.bands[0] - 1]
        return np.zeros((len(self.bands), height, width), dtype), np.zeros((height, width), bool)

    def _read(self, top: int, bottom: int, left: int, right: int) -> tuple[np.ndarray, np.ndarray]:
        """(C, H, W) of a part of the raster and where it has data (H, W)."""
        visit = _visit.get()
        if visit is None or not self.raster.files:
            return self._read_box(Box(top, bottom, left, right))
        return visit.read(self, Box(top, bottom, left, right))

    def _read_box(self, box: Box) -> tuple[np.ndarray, np.ndarray]:
        window = PixelWindow(box.left, box.top, box.right - box.left, box.bottom - box.top)
        self._refuse_giants(box)
        dataset = self.raster.dataset
        pixels = dataset.read(self.bands, window=window)
        masked = dataset.dataset_mask(window=window) == 0 if self.raster.has_mask else None
        self.raster.raise_fault()  # before a visit keeps what is no pixel of the file
        nodata = math.nan if self.nodata is None else self.nodata  # to NaN everything is unequal
        if pixels.dtype.kind == "f":
            has_data = (np.isfinite(pixels) & (pixels != nodata)).all(axis=0)
        else:
            has_data = (pixels != nodata).any(axis=0)
        return pixels, has_data if masked is None else has_data & ~masked

    def _refuse_giants(self, box: Box) -> None:
        """Raise InputError before memory is taken for a window of far too many pixels."""
        itemsize = np.dtype(self.raster.dataset.dtypes[self.bands[0] - 1]).itemsize
        size = box.height * box.width * len(self.bands) * itemsize
        if size > LARGEST_READ_BYTES:
            raise InputError(
                f"{unsigned(self.href)} takes {size / 1e9:,.0f} GB for one window;"
                f" {LARGEST_READ_BYTES / 1e9:.0f} GB at most"
            )

    def smooth(self, window: Window, gsd_m: float) -> tuple[np.ndarray, np.ndarray]:
        """Averaged by area where the raster is finer than the window, interpolated linearly where coarser."""
        height, width = window.extent_px(gsd_m)
        out = np.full((len(self.bands), height, width), np.nan, np.float32)
        top, bottom, left, right = self._source_box(window)
        step_y = max(1, int((bottom - top) / height + 1e-3))
        step_x = max(1, int((right - left) / width + 1e-3))
        raster_h, raster_w = self.raster.grid.shape
        first_row, last_row = _margin(top, bottom, step_y, raster_h)
        first_col, last_col = _margin(left, right, step_x, raster_w)
        if first_row >= last_row or first_col >= last_col:
            return out, np.zeros((height, width), bool)
        is_finer = (bottom - top) > height * step_y * 1.001 or (right - left) > width * step_x * 1.001
        a, b, c, d, e, f = self.raster.grid.transform
        corner_x, corner_y = c + a * first_col + b * first_row, f + d * first_col + e * first_row
        reproject(
            self._block_means(first_row, last_row, first_col, last_col, step_y, step_x),
            out,
            src_transform=Affine(a * step_x, b * step_y, corner_x, d * step_x, e * step_y, corner_y),
            src_crs=parse_crs(self.raster.grid.crs),
            src_nodata=np.nan,
            dst_transform=Affine(gsd_m, 0, window.left_m, 0, -gsd_m, window.top_m),
            dst_crs=parse_crs(window.crs),
            dst_nodata=np.nan,
            resampling=Resampling.average if is_finer else Resampling.bilinear,
        )
        return out, np.isfinite(out[0])

    def box_of(self, around: Window, box: Box) -> Box:
        """The part of the raster that holds `box` and all of `around`, if that is not much too large."""
        top, bottom, left, right = self._source_box(around)
        raster_h, raster_w = self.raster.grid.shape
        together = Box(
            min(box.top, max(0, math.floor(top) - VISIT_MARGIN_PX)),
            max(box.bottom, min(raster_h, math.ceil(bottom) + VISIT_MARGIN_PX)),
            min(box.left, max(0, math.floor(left) - VISIT_MARGIN_PX)),
            max(box.right, min(raster_w, math.ceil(right) + VISIT_MARGIN_PX)),
        )
        return together if together.height * together.width * len(self.bands) <= VISIT_PX else box

    def _source_box(self, window: Window) -> tuple[float, float, float, float]:
        """(top, bottom, left, right) of the window in the raster's pixel coordinates."""
        bounds = window.bounds
        if not _same_crs(self.raster.grid.crs, window.crs):
            bounds = transform_bounds(parse_crs(window.crs), parse_crs(self.raster.grid.crs), *bounds)
        x, y = np.meshgrid(bounds[0::2], bounds[1::2])
        rows, cols = self.raster.grid.rows_cols(x, y)
        return float(rows.min()), float(rows.max()), float(cols.min()), float(cols.max())

    def _block_means(
        self, top: int, bottom: int, left: int, right: int, step_y: int, step_x: int
    ) -> np.ndarray:
        """Means over blocks of step_y x step_x pixels, read in strips of bounded size."""
        strip = max(1, READ_PX // ((right - left) * step_y)) * step_y
        edges = [*range(top, bottom, strip), bottom]
        strips = [
            _block_mean(*self._read(start, stop, left, right), step_y, step_x)
            for start, stop in pairwise(edges)
        ]
        return np.concatenate(strips, axis=1)


def _margin(start: float, stop: float, step: int, size: int) -> tuple[int, int]:
    """Pixels to read for [start, stop): two blocks more on each side, in whole blocks from `start`."""
    first = math.floor(start + 1e-3) - 2 * step
    if first < 0:
        first += math.ceil(-first / step) * step
    return first, min(math.ceil(stop) + 2 * step, size)


def _block_mean(pixels: np.ndarray, has_data: np.ndarray, step_y: int, step_x: int) -> np.ndarray:
    """Mean of the data in each block: (C, H, W) -> (C, ceil(H / step_y), ceil(W / step_x)), NaN for none."""
    if step_y == step_x == 1:
        return np.where(has_data, pixels, np.nan).astype(np.float32)
    count = _block_sum(has_data, step_y, step_x)
    total = _block_sum(np.where(has_data, pixels, 0), step_y, step_x)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _block_sum(values: np.ndarray, step_y: int, step_x: int) -> np.ndarray:
    *bands, height, width = values.shape
    padded = np.pad(values, [*[(0, 0)] * len(bands), (0, -height % step_y), (0, -width % step_x)])
    blocks = padded.reshape(*bands, -(-height // step_y), step_y, -(-width // step_x), step_x)
    return np.asarray(blocks.sum(axis=(-3, -1), dtype=np.float64))
