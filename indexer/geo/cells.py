"""H3 cells as 64-bit numbers: parents, descendants, centres and distances, on whole arrays.

An H3 id holds, from the top: 1 reserved bit, 4 bits of mode (1 = cell), 3 reserved bits, 4 bits of
resolution, 7 bits of base cell and fifteen digits of 3 bits, 7 where a digit is unused
(https://h3geo.org/docs/core-library/h3Indexing). Hence the ids of one resolution, in order of number, hold
all descendants of any coarser cell next to each other: **an area is a set of ranges**.
"""

import re
from collections.abc import Iterable, Sequence

import h3
import h3ronpy
import numpy as np
import pyarrow as pa
import shapely
from h3.api.basic_int import cell_to_latlng
from h3ronpy.vector import cells_to_coordinates, cells_to_wkb_polygons, coordinates_to_cells
from numpy.typing import ArrayLike, NDArray

from ..errors import QueryError
from .great_circle import Floats, distance_km

MAX_RESOLUTION = 15
DIGIT_BITS = 3
RESOLUTION_SHIFT = 52
LAST_DIGITS = 0o666666666666666  # fifteen digits of the largest value a used one has

Cells = NDArray[np.uint64]


def parse_cell(text: str | int) -> int:
    """An H3 cell from hexadecimal text ("8928308280fffff") or from a number, also as decimal text.

    Raises:
        QueryError: not the id of an H3 cell.
    """
    word = str(text).strip().lower().removeprefix("0x")
    if re.fullmatch(r"[0-9a-f]{15,16}", word):  # a cell's number has 18 decimal digits
        cell = int(word, 16)
    elif re.fullmatch(r"\d{18}", word):
        cell = int(word)
    else:
        cell = 0
    if not h3.is_valid_cell(h3.int_to_str(cell)):
        raise QueryError(f"{text!r} is not an H3 cell: expected an id such as '8928308280fffff'")
    return cell


def cell_to_text(cell: int) -> str:
    """The usual hexadecimal name of a cell."""
    return f"{int(cell):x}"


def cells_to_text(cells: ArrayLike) -> list[str]:
    """The usual hexadecimal names."""
    return [f"{cell:x}" for cell in as_cells(cells).tolist()]


def as_cells(cells: ArrayLike) -> Cells:
    """Cells as uint64, whatever integers they came as; floats have lost digits, and are not taken."""
    assert getattr(cells, "dtype", np.dtype(np.uint64)) != np.float64, "cells as float64 are no longer exact"
    return np.asarray(cells, np.uint64)


def resolution_of(cell: int) -> int:
    """Resolution of one cell, 0-15."""
    return int(cell) >> RESOLUTION_SHIFT & 0xF


def resolutions(cells: ArrayLike) -> NDArray[np.int64]:
    """Resolution of each cell. (n,) -> (n,)."""
    return (as_cells(cells) >> np.uint64(RESOLUTION_SHIFT) & np.uint64(0xF)).astype(np.int64)


def are_valid(cells: ArrayLike) -> NDArray[np.bool_]:
    """Which ids are cells at all. (n,) -> (n,)."""
    return np.asarray(h3ronpy.cells_valid(as_cells(cells), booleanarray=True).to_numpy())


def parents(cells: ArrayLike, resolution: int) -> Cells:
    """Ancestor of each cell at a resolution no finer than its own. (n,) -> (n,) uint64."""
    resolution_field = np.uint64(0xF << RESOLUTION_SHIFT)
    unused_digits = np.uint64(_digits_below(resolution))
    return as_cells(cells) & ~resolution_field | np.uint64(resolution << RESOLUTION_SHIFT) | unused_digits


def parent(cell: int, resolution: int) -> int:
    """Ancestor of one cell at a resolution no finer than its own."""
    return int(parents([cell], resolution)[0])


def child_range(cell: int, resolution: int) -> tuple[int, int]:
    """First and last number, both included, that a descendant of `cell` at `resolution` can have."""
    own = resolution_of(cell)
    assert own <= resolution <= MAX_RESOLUTION, (own, resolution)
    digits = _digits_below(own) ^ _digits_below(resolution)  # the digits between the two resolutions
    base = cell & ~(0xF << RESOLUTION_SHIFT) & ~digits | resolution << RESOLUTION_SHIFT
    return base, base | digits & LAST_DIGITS


def children(cells: Cells) -> Cells:
    """Seven ids one resolution finer for each cell; a pentagon's second is no cell. (n,) -> (7 n,).

    All cells have one resolution.
    """
    if len(cells) == 0:
        return cells
    shift = np.uint64(DIGIT_BITS * (MAX_RESOLUTION - 1 - resolution_of(int(cells[0]))))
    firsts = (cells & ~(np.uint64(7) << shift)) + np.uint64(1 << RESOLUTION_SHIFT)
    return np.asarray((firsts[:, None] + (np.arange(7, dtype=np.uint64) << shift)).ravel())


def cell_ranges(cells: Iterable[int], resolution: int) -> Cells:
    """Descendants of many cells at one resolution, as few sorted ranges. (m,) -> (n, 2) uint64, inclusive.

    Raises:
        QueryError: a cell is finer than `resolution`, so it has no descendants there.
    """
    numbers = sorted({int(cell) for cell in cells})
    for cell in numbers:
        if resolution_of(cell) > resolution:
            raise QueryError(
                f"cell {cell_to_text(cell)} has resolution {resolution_of(cell)}, finer than the table's "
                f"{resolution}: give its parent {cell_to_text(parent(cell, resolution))}"
            )
    return merge_ranges([child_range(cell, resolution) for cell in numbers])


def merge_ranges(ranges: Sequence[tuple[int, int]] | Cells) -> Cells:
    """Overlapping inclusive ranges joined, in order. (m, 2) -> (n, 2) uint64."""
    if len(ranges) == 0:
        return np.empty((0, 2), np.uint64)
    pairs = np.asarray(ranges, np.uint64)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    reach = np.maximum.accumulate(pairs[:, 1])  # the furthest end so far
    starts = np.r_[True, pairs[1:, 0] > reach[:-1]]
    ends = np.r_[starts[1:], True]
    return np.stack([pairs[starts, 0], reach[ends]], axis=1)


def in_ranges(cells: ArrayLike, ranges: Cells) -> NDArray[np.bool_]:
    """Which cells lie in one of the merged ranges. (n,), (m, 2) -> (n,)."""
    numbers = as_cells(cells)
    if len(ranges) == 0:
        return np.zeros(numbers.shape, np.bool_)
    slot = np.searchsorted(ranges[:, 0], numbers, side="right") - 1  # the last range that starts before
    return np.asarray((slot >= 0) & (numbers <= ranges[np.maximum(slot, 0), 1]))


def overlaps(low: int, high: int, ranges: Cells) -> bool:
    """Whether any of the merged ranges reaches into [low, high]."""
    first = np.searchsorted(ranges[:, 1], np.uint64(low))  # the first range that does not end before
    return bool(first < len(ranges) and ranges[first, 0] <= high)


def cells_at(lon_deg: ArrayLike, lat_deg: ArrayLike, resolution: int) -> Cells:
    """Cell of each point. (n,) degrees -> (n,) uint64."""
    lat = np.atleast_1d(np.asarray(lat_deg, np.float64))
    lon = np.atleast_1d(np.asarray(lon_deg, np.float64))
    return np.asarray(pa.array(coordinates_to_cells(lat, lon, resolution)))


def cell_at(lon_deg: float, lat_deg: float, resolution: int) -> int:
    """Cell of one point.

    Raises:
        QueryError: not a longitude and a latitude in degrees.
    """
    if not (-180 <= lon_deg <= 180 and -90 <= lat_deg <= 90):
        raise QueryError(
            f"lon {lon_deg}, lat {lat_deg} is no place: expected lon -180..180, lat -90..90 degrees"
        )
    return int(cells_at(lon_deg, lat_deg, resolution)[0])


def centres(cells: ArrayLike) -> tuple[Floats, Floats]:
    """Centre of each cell. (n,) -> lon (n,), lat (n,) in degrees."""
    batch = pa.record_batch(cells_to_coordinates(as_cells(cells)))
    return np.asarray(batch.column("lng")), np.asarray(batch.column("lat"))


def centres_of_few(cells: ArrayLike) -> tuple[Floats, Floats]:
    """`centres` one by one, to the last bit but one or two; of tens of cells several times as fast."""
    places = np.array([cell_to_latlng(cell) for cell in as_cells(cells).tolist()]).reshape(-1, 2)
    return places[:, 1], places[:, 0]


def boundary(cell: int) -> list[tuple[float, float]]:
    """Closed ring of (lon, lat) degrees around one cell, counter-clockwise.

    At the antimeridian longitudes run on past 180 degrees, so that the ring stays in one piece.
    """
    lat, lon = np.array(h3.cell_to_boundary(h3.int_to_str(cell))).T
    if np.ptp(lon) > 180:
        lon = np.where(lon < 0, lon + 360, lon)
    return [*zip(lon.tolist(), lat.tolist(), strict=True), (float(lon[0]), float(lat[0]))]


def radii_km(cells: ArrayLike) -> Floats:
    """Distance from each cell's centre to the first corner of its boundary. (n,) -> (n,) km."""
    rings = shapely.from_wkb(np.asarray(pa.array(cells_to_wkb_polygons(as_cells(cells))).to_pylist(), object))
    corners = shapely.get_coordinates(shapely.get_point(shapely.get_exterior_ring(rings), 0))
    lon, lat = centres(cells)
    return distance_km(lon, lat, corners[:, 0], corners[:, 1])


def areas_km2(cells: ArrayLike) -> Floats:
    """The true area of each cell on the sphere that H3 lies on. (n,) -> (n,) km2."""
    return np.asarray(pa.array(h3ronpy.cells_area_km2(pa.array(as_cells(cells)))))


def _digits_below(resolution: int) -> int:
    """A mask of the digits finer than `resolution`."""
    return (1 << DIGIT_BITS * (MAX_RESOLUTION - resolution)) - 1
