"""Rows of a place: from the index where it holds them, else from Parquet; and the nearest ones."""

from __future__ import annotations

from collections.abc import Sequence

import h3
import numpy as np
import pyarrow as pa

from ..geo.cells import cell_at, cell_to_text, centres, parent, resolution_of
from ..geo.great_circle import distance_km
from ..geo.row_ranges import RowRanges
from ..geo.search_area import Region
from ..index.faiss_index import Index
from ..table.columns import Matrix, to_matrix
from ..table.embedding_table import EmbeddingTable
from ..table.schema import COUNTS, KEY
from .filter import Filter
from .hit_rows import rows_of_segment, shows
from .matching import Matching

KNOWN = (*KEY, *COUNTS)  # of an example's rows
POINT_M = 0.01  # a point on a border is in both


def rows_of_cell(
    table: EmbeddingTable, index: Index | None, cell: int, column: str
) -> tuple[pa.Table, Matrix]:
    """Keys and counts (n), and vectors (n, d) of a cell's rows, in order of key; NaN where one has no vector.

    Raises:
        DamagedIndexError: look again without the index, or without the shard that it names.
    """
    for files, living in () if index is None else zip(index.segments, index.living, strict=True):
        segment = files.segment
        if column not in segment.vectors or not shows(segment, table.schema_of(KNOWN)):
            continue
        cells = segment.keys.cells
        first, stop = (np.searchsorted(cells.unchecked, np.uint64(cell), side) for side in ("left", "right"))
        its = RowRanges.merged(np.array([first]), np.array([stop])) & living
        if its.count:
            rows = its.rows()
            with files.blamed():
                segment.vectors[column].matrix.check(rows, rows + 1)
                known = rows_of_segment(segment, rows, table.schema_of(KNOWN))
            return known, segment.vectors[column].matrix.unchecked[rows]
    rows = table.lookup(cell=cell, columns=[*KNOWN, column])
    return rows.select(KNOWN), to_matrix(rows[column])


def nearest_cell(
    table: EmbeddingTable, lon_deg: float, lat_deg: float, within: Sequence[int] | None = None
) -> tuple[int | None, float]:
    """The cell of the table whose centre is nearest to a point, and how far away it is, in kilometres.

    `within` are cells whose descendants alone are looked at; None where they hold no row.
    """
    nearest, least_km = None, np.inf
    for batch in table.scan(["h3_cell"], cells=within):
        cells = np.unique(batch["h3_cell"].to_numpy())
        away_km = distance_km(lon_deg, lat_deg, *centres(cells))
        if away_km.size and away_km.min() < least_km:
            nearest, least_km = int(cells[away_km.argmin()]), float(away_km.min())
    return nearest, least_km


def patch_at(table: EmbeddingTable, lon_deg: float, lat_deg: float) -> tuple[int, str] | None:
    """Cell and sample_id of the row whose footprint holds a point; of several, that of the nearest middle.

    Rows of whole cells are found without a look at footprints: their samples have the cell's name.
    """
    cell = cell_at(lon_deg, lat_deg, table.h3_resolution)
    own = table.lookup(cell=cell, sample_id=cell_to_text(cell), columns=["h3_cell", "sample_id"])
    if len(own):
        return cell, cell_to_text(cell)
    here = Filter(region=Region.from_point(lon_deg, lat_deg, POINT_M), footprint=True)
    touching = Matching.of(table, here).allowed(["h3_cell", "sample_id", "bbox"])
    if len(touching) == 0:
        return None
    west, south, east, north = (side.to_numpy() for side in touching["bbox"].combine_chunks().flatten())
    away_km = distance_km(lon_deg, lat_deg, (west + east) / 2, (south + north) / 2)
    nearest = touching.slice(int(away_km.argmin()), 1).to_pylist()[0]
    return nearest["h3_cell"], nearest["sample_id"]


def surroundings(cell: int, radius_km: float) -> list[int]:
    """Coarse cells that hold all within a distance of a cell: an ancestor so wide, and its neighbours."""
    resolution = resolution_of(cell)
    while resolution > 0 and h3.average_hexagon_edge_length(resolution, "km") < radius_km:
        resolution -= 1
    return [h3.str_to_int(c) for c in h3.grid_disk(h3.int_to_str(parent(cell, resolution)), 1)]
