"""Everything the specification promises about a snapshot's files, checked against the files themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from ..errors import TableError
from ..geo import cells, footprints
from ..geo.great_circle import distance_km
from . import parts, sidecars
from .columns import to_matrix
from .manifest import Manifest, PartFile, SidecarFile, is_whole
from .schema import NORM_TOLERANCE, repeated_keys
from .storage import Storage

CENTRE_TOLERANCE = 0.02  # of the footprint's diagonal: a projected square's centroid is not quite its centre


def problems(storage: Storage, table: Manifest) -> list[str]:
    """What is wrong with a snapshot, each in a line; memory is one file's."""
    lines = list(_order_problems(table))
    for file in table.files:
        lines += [f"{file.path}: {problem}" for problem in _part_problems(storage, table, file)]
    for kind, sidecar in table.sidecars.items():
        lines += [problem for file in sidecar.files for problem in _sidecar_problems(storage, kind, file)]
    return lines


def _order_problems(table: Manifest) -> Iterator[str]:
    ends = [cell for file in table.files for cell in (file.min_h3, file.max_h3)]
    if ends != sorted(ends):
        yield "manifest: files overlap or are not in order of cell"


def _part_problems(storage: Storage, table: Manifest, file: PartFile) -> Iterator[str]:
    try:
        content = storage.read(file.path)
    except TableError as error:
        yield str(error)
        return
    if not is_whole(file, content):
        yield "damaged: its SHA-256 is not the one in the manifest"
        return
    parquet = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
    rows = parquet.read()
    yield from _metadata_problems(table, rows)
    if not parquet.schema_arrow.equals(table.schema):
        yield f"columns {parquet.schema_arrow.names}: expected {table.schema.names} of the table's types"
        return
    yield from _key_problems(table, file, rows)
    yield from _vector_problems(table, rows)
    yield from _geometry_problems(rows)


def _sidecar_problems(storage: Storage, kind: str, file: SidecarFile) -> Iterator[str]:
    try:
        sidecars.read(storage, kind, file)
    except TableError as error:
        yield str(error)


def _metadata_problems(table: Manifest, rows: pa.Table) -> Iterator[str]:
    metadata = rows.schema.metadata or {}
    if json.loads(metadata.get(b"emb", b"null")) != parts.emb_of(rows, table):
        yield "footer: `emb` is not the table's model and the licence of its rows"
    geo = json.loads(metadata.get(b"geo", b"{}"))
    if geo.get("primary_column") != "geometry":
        yield "footer: no GeoParquet metadata"


def _key_problems(table: Manifest, file: PartFile, rows: pa.Table) -> Iterator[str]:
    cell = rows["h3_cell"].to_numpy()
    if len(cell) != file.rows or cell[0] != file.min_h3 or cell[-1] != file.max_h3:
        yield "rows or cells are not those that the manifest says"
    if not cells.are_valid(cell).all() or (cells.resolutions(cell) != table.h3_resolution).any():
        yield f"cells that are not H3 cells of resolution {table.h3_resolution}"
        return
    ends = {parts.folder_of(int(end), table.partition_resolution) for end in cell[[0, -1]]}
    if ends != {file.path.split("/")[0]}:
        yield "rows of another partition"
    if (cell[1:] < cell[:-1]).any():
        yield "rows are not in order of cell"
    if len(repeated_keys(rows)):
        yield f"{len(repeated_keys(rows))} rows repeat the key of another"


def _vector_problems(table: Manifest, rows: pa.Table) -> Iterator[str]:
    tolerance = NORM_TOLERANCE[table.values]
    for name in ("embedding", *table.optional):
        present = rows[name].is_valid().to_numpy()
        matrix = to_matrix(rows[name])[present].astype(np.float32)
        norm = np.sqrt(np.einsum("nd,nd->n", matrix, matrix, dtype=np.float64))
        if not np.isfinite(norm).all():
            yield f"{name}: {np.count_nonzero(~np.isfinite(norm))} vectors are not finite"
        elif len(norm) and (error := np.abs(norm - 1).max()) > tolerance:
            yield f"{name}: a norm is off by {error:.2g}, more than {tolerance}"


def _geometry_problems(rows: pa.Table) -> Iterator[str]:
    """Footprints that are not polygons, boxes that are not theirs, and centres far from the row's cell."""
    shapes = shapely.from_wkb(rows["geometry"].to_numpy())
    if not shapely.is_valid(shapes).all():
        yield f"geometry: {np.count_nonzero(~shapely.is_valid(shapes))} footprints are not valid"
        return
    if rows["bbox"].combine_chunks() != footprints.bbox_array(shapes):
        yield "bbox: not the bounds of the geometry"
    off = misplaced(rows["h3_cell"].to_numpy(), shapes)
    if off.any():
        row = rows.slice(int(np.argmax(off)), 1).to_pylist()[0]
        yield (
            f"h3_cell: {np.count_nonzero(off)} rows lie in another cell than their footprint's centre, "
            f"first {row['sample_id']}"
        )


def misplaced(h3_cell: cells.Cells, shapes: footprints.Geometries) -> NDArray[np.bool_]:
    """Rows whose footprint's centre lies outside their cell, by more than CENTRE_TOLERANCE. (n,) bool."""
    lon, lat = footprints.centroids(shapes)
    resolution = cells.resolution_of(int(h3_cell[0]))
    elsewhere: NDArray[np.bool_] = cells.cells_at(lon, lat, resolution) != h3_cell
    if not elsewhere.any():
        return elsewhere
    cell_lon, cell_lat = cells.centres(h3_cell)
    west, south, east, north = shapely.bounds(shapes).T
    tolerance_km = CENTRE_TOLERANCE * distance_km(west, south, east, north)
    beyond_km = distance_km(lon, lat, cell_lon, cell_lat) - cells.radii_km(h3_cell)
    return np.asarray(elsewhere & (beyond_km > tolerance_km))
