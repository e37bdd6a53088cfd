"""Footprints of rows as the map draws them: where cells lie apart and footprints are larger than hexagons.

Side by side they would hide each other.
"""

import numpy as np
import pyarrow as pa
import shapely

from indexer.geo.cells import areas_km2, resolution_of
from indexer.geo.search_area import Region
from indexer.table.embedding_table import EmbeddingTable

from .background import Extent
from .map_bytes import pack
from .map_cells import MapCells

MOST = 3_000  # cells whose footprints are sent at once
SAMPLED = 64  # rows that tell how large footprints are
LARGER = 1.5  # than a hexagon: drawn
DEGREE_KM = 111.32


def footprint_km2(table: EmbeddingTable, cells: MapCells) -> float:
    """How large footprints are, by a sample of them; 0 where they are not drawn."""
    if not cells.scattered:
        return 0.0
    some = cells.cell[np.linspace(0, len(cells.cell) - 1, min(SAMPLED, len(cells.cell))).astype(int)]
    shapes = np.concatenate([_shapes(batch) for batch in table.scan(["geometry"], cells=some.tolist())])
    lat = shapely.get_y(shapely.centroid(shapes))
    km2 = float(np.median(shapely.area(shapes) * DEGREE_KM**2 * np.cos(np.radians(lat))))
    return km2 if km2 > LARGER * float(np.median(areas_km2(some))) else 0.0


def pack_footprints(table: EmbeddingTable, cells: MapCells, extent: Extent) -> bytes:
    """Outer rings of the rows in an extent, each with the place of its cell among all; none where too many.

    Arrays: `node` (r,), `first` (r + 1,) corner of each ring, `lonlat` (corners, 2) in degrees.
    """
    inside = Region.from_bbox(*extent).rows(cells.cell).rows() if len(cells.cell) else np.empty(0, np.int64)
    asked = cells.cell[inside if len(inside) <= MOST else inside[:0]].tolist()
    nodes, rings = [np.empty(0, np.int64)], [np.empty(0, object)]
    for batch in table.scan(["h3_cell", "geometry"], cells=asked):
        parts, row = shapely.get_parts(_shapes(batch), return_index=True)
        nodes.append(np.searchsorted(cells.cell, batch["h3_cell"].to_numpy())[row])
        rings.append(shapely.get_exterior_ring(parts))
    lonlat, ring = shapely.get_coordinates(np.concatenate(rings), return_index=True)
    first = np.searchsorted(ring, np.arange(sum(map(len, rings)) + 1))
    return pack(
        {"resolution": resolution_of(int(cells.cell[0])) if len(cells.cell) else 0},
        node=np.concatenate(nodes).astype(np.uint32),
        first=first.astype(np.uint32),
        lonlat=lonlat.reshape(-1),
    )


def _shapes(batch: pa.RecordBatch) -> np.ndarray:
    return np.asarray(shapely.from_wkb(batch["geometry"].to_numpy(zero_copy_only=False)))
