"""Finer H3 cells inside a sample's window, and how much of each grid square lies in each of them."""

from dataclasses import dataclass

import h3
import h3.api.numpy_int as h3_int
import numpy as np
import shapely

from .area import cells_in
from .grid import project
from .sample import InputError, Sample

Ring = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ChildCells:
    """The n finer cells of one sample."""

    cells: np.ndarray  # (n,) uint64, ascending
    footprints: tuple[Ring, ...]  # closed rings of (lon_deg, lat_deg), counter-clockwise: the hexagons
    overlap_m2: np.ndarray  # (n, grid_h, grid_w) float64, area of each grid square inside each of them


def child_cells(sample: Sample, resolution: int, square_m: float) -> ChildCells:
    """The cells of `resolution` that a sample's dense map is pooled into.

    They are the children of its own cell where that is coarser, else the cells whose centres lie in its
    footprint. Raises InputError for a resolution whose cells are smaller than a grid square of `square_m`.
    """
    finest = max(r for r in range(16) if h3.average_hexagon_area(r, "m^2") >= square_m**2)
    if resolution > finest:
        raise InputError(
            f"cells of resolution {resolution} are smaller than a grid square of {square_m:g} m;"
            f" the finest resolution possible is {finest}"
        )
    cells = _cells(sample, resolution)
    rings = [_ring(cell, sample.lon_deg) for cell in cells]
    footprints = tuple(tuple((float(lon), float(lat)) for lon, lat in ring) for ring in rings)
    return ChildCells(cells, footprints, _overlap(sample, rings, square_m))


def _cells(sample: Sample, resolution: int) -> np.ndarray:
    if h3_int.get_resolution(sample.h3_cell) < resolution:
        return np.sort(np.asarray(h3_int.cell_to_children(sample.h3_cell, resolution), dtype=np.uint64))
    ring = np.array(sample.footprint)
    around = [
        shapely.Polygon(ring + np.array([turn, 0])) for turn in (-360, 0, 360)
    ]  # it may run past +-180 degrees
    return cells_in(shapely.MultiPolygon(around), resolution)


def _ring(cell: int, near_lon_deg: float) -> np.ndarray:
    """(m, 2) lon, lat of a cell's closed boundary, on the side of the antimeridian where the sample is."""
    lat, lon = np.array(h3_int.cell_to_boundary(cell)).T
    lon = (lon - near_lon_deg + 180) % 360 - 180 + near_lon_deg
    ring = np.stack([lon, lat], axis=1)
    return np.concatenate([ring, ring[:1]])


def _overlap(sample: Sample, rings: list[np.ndarray], square_m: float) -> np.ndarray:
    h, w = sample.grid_shape
    left, top = sample.origin_m
    rows, cols = np.divmod(np.arange(h * w), w)
    x, y = left + cols * square_m, top - rows * square_m
    squares = shapely.box(x, y - square_m, x + square_m, y)
    outlines = [shapely.Polygon(np.stack(project(sample.crs, *ring.T), axis=1)) for ring in rings]
    pieces = np.array(outlines, dtype=object)  # of a small chip it may be none
    piece, square = shapely.STRtree(squares).query(pieces, predicate="intersects")
    overlap = np.zeros((len(rings), h * w))
    overlap[piece, square] = shapely.area(shapely.intersection(pieces[piece], squares[square]))
    return overlap.reshape(-1, h, w)
