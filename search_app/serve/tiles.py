"""Cells as vector tiles: the table's own hexagons where they can be told apart, coarser parents before.

A tile is 512 pixels, in Web Mercator. Areas of hexagons: h3geo.org, tables of cell statistics.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import shapely
from h3ronpy.vector import cells_to_wkb_polygons

from indexer.geo import cells as h3_cells
from indexer.geo.cells import Cells, cell_to_text
from indexer.table.embedding_table import EmbeddingTable

from .mvt import EXTENT, encode_tile

LAYER = "cells"
TILE_PX, HEXAGON_PX = 512, 8  # a hexagon is drawn at least so wide
MAX_ZOOM = 22
MAX_HEXAGONS = 50_000  # of a tile; (TILE_PX / HEXAGON_PX) ** 2 are to be expected
EARTH_M = 40_075_016.68  # round the equator
EDGE_M = tuple(1_281_256.0 / math.sqrt(7.0) ** resolution for resolution in range(16))
MAX_LAT_DEG = 85.0511287798
Floats = np.ndarray


@dataclass(frozen=True)
class Level:
    """The cells of one resolution that hold rows."""

    cells: Cells  # (m,) ascending
    rows: np.ndarray  # (m,) int64, rows in each
    lon_deg: Floats  # (m,) of the centre
    lat_deg: Floats


def tile(table: EmbeddingTable, zoom: int, x: int, y: int) -> bytes:
    """One tile, empty bytes where no cell is."""
    level = level_of(table, resolution_at(zoom, table.h3_resolution))
    wide = EARTH_M / 2**zoom
    margin = 2 * EDGE_M[h3_cells.resolution_of(int(level.cells[0]))] / wide if len(level.cells) else 0.0
    across, down = in_tile(level.lon_deg, level.lat_deg, zoom, x, y)
    across += 2**zoom * (across < -0.5 * 2**zoom) - 2**zoom * (across > 0.5 * 2**zoom)  # round the world
    stretch = 1 / np.cos(np.radians(np.clip(level.lat_deg, -MAX_LAT_DEG, MAX_LAT_DEG)))
    near = (np.abs(across - 0.5) < 0.5 + margin * stretch) & (np.abs(down - 0.5) < 0.5 + margin * stretch)
    chosen = np.flatnonzero(near)[:MAX_HEXAGONS]
    if not len(chosen):
        return b""
    corners, counts = rings(level.cells[chosen], level.lon_deg[chosen], zoom, x, y)
    names = [cell_to_text(cell) for cell in level.cells[chosen]]
    return encode_tile(LAYER, corners, counts, names, level.rows[chosen].tolist())


def resolution_at(zoom: int, finest: int) -> int:
    """The finest resolution whose hexagons are HEXAGON_PX wide at the equator, no finer than the table's."""
    pixel_m = EARTH_M / (TILE_PX * 2**zoom)
    wide = [r for r in range(finest + 1) if math.sqrt(3) * EDGE_M[r] >= HEXAGON_PX * pixel_m]
    return max(wide, default=0)


@lru_cache(maxsize=24)
def _level(root: str, snapshot: int, resolution: int, held: "_Held") -> Level:
    table = held.table
    if resolution == table.h3_resolution:
        batches = (batch["h3_cell"].to_numpy() for batch in table.scan(["h3_cell"]))
        cells, rows = np.unique(np.concatenate([np.empty(0, np.uint64), *batches]), return_counts=True)
    else:
        finest = level_of(table, table.h3_resolution)
        cells, first = np.unique(h3_cells.parents(finest.cells, resolution), return_index=True)
        rows = np.add.reduceat(finest.rows, first) if len(first) else finest.rows
    return Level(cells, rows, *h3_cells.centres(cells))


class _Held:
    """A table that is equal to any other: the snapshot tells what is kept."""

    def __init__(self, table: EmbeddingTable) -> None:
        self.table = table

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)

    def __hash__(self) -> int:
        return 0


def level_of(table: EmbeddingTable, resolution: int) -> Level:
    """The cells of a resolution, kept for the snapshot."""
    return _level(table.storage.root, table.snapshot, resolution, _Held(table))


def in_tile(lon_deg: Floats, lat_deg: Floats, zoom: int, x: int, y: int) -> tuple[Floats, Floats]:
    """Places across and down a tile, 0 to 1 within it."""
    lat = np.radians(np.clip(lat_deg, -MAX_LAT_DEG, MAX_LAT_DEG))
    across = (lon_deg + 180) / 360 * 2**zoom - x
    down = (1 - np.arcsinh(np.tan(lat)) / np.pi) / 2 * 2**zoom - y
    return across, down


def rings(cells: Cells, centre_deg: Floats, zoom: int, x: int, y: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners in steps of a tile (sum, 2), clockwise and not closed, and how many each cell has (n,)."""
    wkb = pa.array(cells_to_wkb_polygons(cells)).to_numpy(zero_copy_only=False)
    outer = shapely.reverse(shapely.get_exterior_ring(shapely.from_wkb(wkb)))
    closed = shapely.get_num_points(outer)
    lonlat = shapely.get_coordinates(outer)
    last = np.cumsum(closed) - 1
    kept = np.ones(len(lonlat), bool)
    kept[last] = False
    lonlat, counts = lonlat[kept], closed - 1
    centre = np.repeat(centre_deg, counts)
    lon = lonlat[:, 0] - 360 * np.round((lonlat[:, 0] - centre) / 360)  # beside its centre, beyond 180 too
    across, down = in_tile(lon, lonlat[:, 1], zoom, x, y)
    world = 2**zoom
    middle = np.repeat(in_tile(centre_deg, np.zeros(len(centre_deg)), zoom, x, y)[0], counts)
    across = across - world * np.round((middle - 0.5) / world)
    return np.round(np.stack([across, down], axis=1) * EXTENT).astype(np.int64), counts.astype(np.int64)
