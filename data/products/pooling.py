"""Sums of vectors per H3 cell: of pixels whose centre lies in it, de-quantised before they are added.

A cell's pixels are runs along rows. Running sums give the sum of a run from its two ends, so that the work of
a pixel is one addition a band, whatever the size of a cell. Signed squares of 8 bits are added as integers,
exactly, and two or three bands in one: each has bits of its own in a word of 64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import h3
import numpy as np
import pyarrow as pa
import shapely
from h3ronpy.vector import cells_to_coordinates
from numpy.typing import NDArray

from ..grid import encircles_pole, lonlat_rings
from .pixel_cells import Cells, Floats, PixelCells, Window, inside, pixel_cells, pixel_size_m
from .vector_raster import Codes, VectorRaster

STRIP_PX = 1 << 16  # added at a time, in the processor's cache; 2**31 / LARGEST_TERM at most, for exact sums
LANE_BITS = (21, 32)  # of a word of 64, for each band of small cells, and of all others
LARGEST_TERM = 128**2
CHUNK_CELLS = 1 << 18  # of a chunk, about: what becomes rows and is committed at once
CHUNK_PX = (1024, 4096)  # least and greatest side of a chunk
FRAME_PX = 1024  # side of what is looked at, at once, of the pixels around a chunk
WIDEST_CELL = 2.6  # widest extent of a cell in average edge lengths: 2, and H3's distortion of up to 1.2

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Pooled:
    """What a piece of a raster knows of n cells."""

    cells: Cells  # (n,)
    pixels: Counts  # (n,) pixel centres in the cell
    valid: Counts  # (n,) of these with data
    sums: Floats  # (n, d) of their vectors
    squares: Floats | None  # (n, d) of their vectors' squares, where standard deviations are asked for
    lengths: Floats  # (n,) sum of the lengths of their vectors
    cell_pixels: Counts  # (n,) pixel centres of the whole cell that this grid owns, seen or not
    elsewhere: Flags  # (n,) some of the cell's ground is another grid's

    def take(self, rows: NDArray[np.int64] | Flags) -> Pooled:
        """Some of the cells; itself where that is all."""
        if rows.dtype == np.bool_ and rows.all():
            return self
        kept: dict[str, Any] = {
            name: None if value is None else value[rows] for name, value in vars(self).items()
        }
        return Pooled(**kept)


def chunk_side_px(raster: VectorRaster, resolution: int) -> int:
    """Side of the pieces that a raster is pooled in; depends on its pixel size and the resolution alone."""
    side = math.sqrt(CHUNK_CELLS * pixels_per_cell(raster, resolution))
    smallest, largest = CHUNK_PX
    return int(np.clip(2 ** math.floor(math.log2(side)), smallest, largest))


def pixels_per_cell(raster: VectorRaster, resolution: int) -> float:
    """How many pixels an average cell holds in the middle of a raster."""
    height_m, width_m = pixel_size_m(raster.grid, raster.extent)
    return float(h3.average_hexagon_area(resolution, "m^2") / (height_m * width_m))


def pool_chunk(
    raster: VectorRaster,
    window: Window,
    resolution: int,
    *,
    squares: bool = False,
    area: shapely.Geometry | None = None,
) -> Pooled:
    """The cells of a window's pixels; of an area, those whose centre lies in it. Memory is that of a block.

    Raises:
        InputError: a part that cannot be read.
    """
    pieces: list[Pooled] = []
    for block in raster.blocks(window):
        labelling = pixel_cells(raster.grid, block, resolution)
        wanted = None if area is None else _in_area(labelling.cells, area)
        if wanted is None or wanted.any():
            piece = _pool_block(raster, block, labelling, squares)
            pieces.append(piece if wanted is None else piece.take(wanted))
    return _with_cell_pixels(raster, window, resolution, join(pieces, raster.dimension, squares))


def meets(raster: VectorRaster, window: Window, resolution: int, area: shapely.Geometry) -> bool:
    """Whether a window can hold a pixel of a cell whose centre lies in an area."""
    a, b, c, d, e, f = raster.grid.transform
    corners = [(c + a * col + b * row, f + d * col + e * row)
               for row in (window.row, window.end_row) for col in (window.col, window.end_col)]  # fmt: skip
    xs, ys = zip(*corners, strict=True)
    ring = lonlat_rings(
        raster.grid.crs, np.array([[min(xs), min(ys), max(xs), max(ys)]]), points_per_edge=16
    )[0]
    reach_deg = WIDEST_CELL * h3.average_hexagon_edge_length(resolution, "m") / 111_000
    if encircles_pole(ring) or np.abs(ring[:, 1]).max() + reach_deg > 89:
        return True
    east = reach_deg / math.cos(math.radians(np.abs(ring[:, 1]).max() + reach_deg))
    west_deg, east_deg = ring[:, 0].min() - east, ring[:, 0].max() + east
    south_deg, north_deg = ring[:, 1].min() - reach_deg, ring[:, 1].max() + reach_deg
    return any(
        area.intersects(shapely.box(west_deg + turn, south_deg, east_deg + turn, north_deg))
        for turn in (-360, 0, 360)
    )


def join(pieces: Sequence[Pooled], dimension: int, squares: bool) -> Pooled:
    """Pieces of one raster as one, in order of cell; what they know of one cell is added."""
    if not pieces:
        none, no_vectors = np.empty(0, np.int64), np.empty((0, dimension))
        return Pooled(
            np.empty(0, np.uint64), none, none, no_vectors, no_vectors if squares else None,
            np.empty(0), none, np.empty(0, np.bool_),
        )  # fmt: skip
    cells, slot = np.unique(np.concatenate([piece.cells for piece in pieces]), return_inverse=True)
    slots = np.split(slot, np.cumsum([len(piece.cells) for piece in pieces])[:-1])
    repeated, seen = [], np.zeros(len(cells), np.bool_)
    for rows in slots:  # few cells lie in two pieces
        repeated.append(np.flatnonzero(seen[rows]))
        seen[rows] = True

    def added(name: str) -> NDArray[np.generic]:
        values = [getattr(piece, name) for piece in pieces]
        total = np.empty((len(cells), *values[0].shape[1:]), values[0].dtype)
        for value, rows, again in zip(values, slots, repeated, strict=True):  # each cell once in a piece
            known = total[rows[again]]
            total[rows] = value
            total[rows[again]] += known
        return total

    names = [f.name for f in fields(Pooled) if f.name != "cells" and (squares or f.name != "squares")]
    return Pooled(cells, **{"squares": None, **{name: added(name) for name in names}})  # type: ignore[arg-type]


def _in_area(cells: Cells, area: shapely.Geometry) -> Flags:
    batch = pa.record_batch(cells_to_coordinates(cells))
    return np.asarray(
        shapely.contains_xy(area, np.asarray(batch.column("lng")), np.asarray(batch.column("lat")))
    )


def _pool_block(raster: VectorRaster, block: Window, labelling: PixelCells, squares: bool) -> Pooled:
    n = len(labelling.cells)
    owned = None if raster.box is None else inside(raster.grid, block, raster.box)
    labels = labelling.labels if owned is None else np.where(owned, labelling.labels, n)
    pixels = np.bincount(labels.ravel(), minlength=n + 1)[:n]
    elsewhere = np.zeros(n, np.bool_)
    if owned is not None:
        elsewhere[labelling.labels[~owned]] = True
    if not pixels.any():
        return _empty(labelling.cells, pixels, elsewhere, raster.dimension, squares)
    codes = raster.read(block)
    sums = _Sums(n, raster.dimension, squares)
    for rows in _strips(block):
        sums.add(codes, rows, np.where(codes.valid[rows], labels[rows], n))
    return sums.pooled(labelling.cells, pixels, elsewhere, codes.factor)


def _empty(cells: Cells, pixels: Counts, elsewhere: Flags, dimension: int, squares: bool) -> Pooled:
    vectors = np.zeros((len(cells), dimension))
    none = np.zeros(len(cells), np.int64)
    return Pooled(
        cells, pixels, none, vectors, vectors if squares else None, np.zeros(len(cells)), none, elsewhere
    )


def _strips(block: Window) -> Iterator[slice]:
    rows_at_once = max(STRIP_PX // block.width, 1)
    for top in range(0, block.height, rows_at_once):
        yield slice(top, min(top + rows_at_once, block.height))


class _Sums:
    """Sums of the pixels of each label, strip by strip."""

    def __init__(self, labels: int, dimension: int, squares: bool) -> None:
        self._n = labels
        self._valid = np.zeros(labels, np.int64)
        self._lengths = np.zeros(labels)
        self._sums = np.zeros((labels, dimension))
        self._squares = np.zeros((labels, dimension)) if squares else None

    def add(self, codes: Codes, rows: slice, labels: NDArray[np.int32]) -> None:
        """The pixels of some rows, (rows, w) labels; label n is nobody's."""
        runs = _Runs(labels.ravel(), self._n)
        if not len(runs.labels):
            return
        dimension = self._sums.shape[1]
        norms = np.zeros(labels.size, np.float32)
        sums = np.empty((dimension, len(runs.labels)))
        squares = None if self._squares is None else np.empty_like(sums)
        for first in range(0, dimension, runs.lanes):
            bands = slice(first, min(first + runs.lanes, dimension))
            terms = codes.terms(bands, rows).reshape(-1, labels.size)  # (m, pixels)
            sums[bands] = runs.sums_of_bands(terms)
            real = terms.astype(np.float32)
            norms += np.einsum("mp,mp->p", real, real)
            if squares is not None:
                squares[bands] = [runs.sums(band) for band in np.square(real, out=real)]
        self._sums[runs.labels] += sums.T
        if self._squares is not None and squares is not None:
            self._squares[runs.labels] += squares.T
        self._lengths[runs.labels] += runs.sums(np.sqrt(norms, out=norms))
        self._valid[runs.labels] += runs.pixels

    def pooled(self, cells: Cells, pixels: Counts, elsewhere: Flags, factor: float) -> Pooled:
        squares = None if self._squares is None else self._squares * factor**2
        self._sums *= factor
        none = np.zeros(self._n, np.int64)
        return Pooled(
            cells, pixels, self._valid, self._sums, squares, self._lengths * factor, none, elsewhere
        )


class _Runs:
    """Runs of equal labels in a strip of pixels, gathered by label."""

    def __init__(self, labels: NDArray[np.int32], nobody: int) -> None:
        starts = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]]))
        ends = np.concatenate([starts[1:], [len(labels)]])
        owner = labels[starts]
        order = np.argsort(owner, kind="stable")
        order = order[: np.searchsorted(owner[order], nobody)]
        owner = owner[order]
        self._starts, self._ends = starts[order], ends[order]
        self._groups = (
            np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]])) if len(owner) else order
        )
        self.labels = owner[self._groups]  # (m,) ascending
        self.pixels = (
            np.add.reduceat(self._ends - self._starts, self._groups) if len(owner) else order
        )  # (m,)
        self._running: dict[type, NDArray[Any]] = {}
        most = int(self.pixels.max()) if len(owner) else 0
        self._bits = next(bits for bits in LANE_BITS if most <= (1 << bits - 1) // LARGEST_TERM)

    @property
    def lanes(self) -> int:
        """Bands that are added at once."""
        return 64 // self._bits

    def sums_of_bands(self, values: NDArray[np.int16] | NDArray[np.float32]) -> NDArray[Any]:
        """(m, labels) of the values (m, pixels) of some bands; integers, up to `lanes` bands at once."""
        if values.dtype != np.int16:
            return np.stack([self.sums(band) for band in values])
        packed = values[-1].astype(np.int64)
        for band in values[-2::-1]:
            np.left_shift(packed, self._bits, out=packed)
            packed += band
        left, sums = self.sums(packed), np.empty((len(values), len(self.labels)), np.int64)
        for lane in sums[:-1]:  # the lowest bits are a number with a sign, which the others do without
            lane[...] = left << 64 - self._bits >> 64 - self._bits
            left = left - lane >> self._bits
        sums[-1] = left
        return sums

    def sums(self, values: NDArray[np.int64] | NDArray[np.float32]) -> NDArray[Any]:
        """(labels,) of the values (pixels,) of each label."""
        # running sums of integers may overflow: differences of them are right all the same
        wide = np.int64 if values.dtype == np.int64 else np.float64
        running = self._running.setdefault(wide, np.zeros(len(values) + 1, wide))
        np.add.accumulate(values, dtype=wide, out=running[1:])
        of_runs: NDArray[Any] = running.take(self._ends, mode="clip")
        np.subtract(of_runs, running.take(self._starts, mode="clip"), out=of_runs)
        return np.add.reduceat(of_runs, self._groups)


def _with_cell_pixels(raster: VectorRaster, window: Window, resolution: int, pooled: Pooled) -> Pooled:
    """How many pixels of this grid each cell has in all: those seen, and those around the window."""
    if not len(pooled.cells):
        return pooled
    total, elsewhere = pooled.pixels.copy(), pooled.elsewhere.copy()
    for frame in _frames(raster, window, resolution):
        labelling = pixel_cells(raster.grid, frame, resolution)
        owned = None if raster.box is None else inside(raster.grid, frame, raster.box)
        slot = np.minimum(np.searchsorted(pooled.cells, labelling.cells), len(pooled.cells) - 1)
        known = pooled.cells[slot] == labelling.cells
        seen = labelling.labels.ravel() if owned is None else labelling.labels[owned]
        count = np.bincount(seen, minlength=len(labelling.cells))
        total[slot[known]] += count[known]
        if owned is not None:
            beyond = np.bincount(labelling.labels[~owned], minlength=len(labelling.cells)) > 0
            elsewhere[slot[known & beyond]] = True
    return Pooled(**{**vars(pooled), "cell_pixels": total, "elsewhere": elsewhere})


def _frames(raster: VectorRaster, window: Window, resolution: int) -> Iterator[Window]:
    """The pixels around a window that a cell in it can reach, in pieces no larger than a block."""
    height_m, width_m = pixel_size_m(raster.grid, window)
    reach_m = WIDEST_CELL * h3.average_hexagon_edge_length(resolution, "m")
    tall, wide = math.ceil(reach_m / height_m) + 1, math.ceil(reach_m / width_m) + 1
    across = window.width + 2 * wide
    sides = (
        Window(window.row - tall, window.col - wide, tall, across),
        Window(window.end_row, window.col - wide, tall, across),
        Window(window.row, window.col - wide, window.height, wide),
        Window(window.row, window.end_col, window.height, wide),
    )
    for side in sides:
        for top in range(side.row, side.end_row, FRAME_PX):
            for left in range(side.col, side.end_col, FRAME_PX):
                height, width = min(FRAME_PX, side.end_row - top), min(FRAME_PX, side.end_col - left)
                yield Window(top, left, height, width)
