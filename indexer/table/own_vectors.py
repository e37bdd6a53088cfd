"""Vectors that a caller has, as rows of a table: where, what, and of which period is all that is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from ..errors import TableError
from ..geo.cells import Cells, boundary, cells_at, cells_to_text, parse_cell, resolutions
from .embedding_table import EmbeddingTable
from .schema import ModelInfo, make_rows

POINT_RESOLUTION = 9  # of cells about 350 m across

Places = Sequence[str | int] | ArrayLike  # ids of cells (n,), or lon and lat in degrees (n, 2)


def write_vectors(
    path: str | Path,
    places: Places,
    vectors: ArrayLike,
    *,
    start: datetime,
    end: datetime,
    model: str,
    licence: str,
    h3_resolution: int | None = None,
    ids: Sequence[str] | None = None,
) -> EmbeddingTable:
    """Add rows to a table, made where it is missing; rows of the same place and period are replaced.

    Args:
        path: the table's folder.
        places: ids of cells of one resolution (n,), or lon and lat in degrees (n, 2).
        vectors: (n, d), of any length but zero.
        start, end: the period [start, end) that they are of.
        model: what made the vectors: those of two models do not lie in one table.
        licence: of the vectors.
        h3_resolution: of the cells that points are put in.
        ids: names of the rows, by default the cell or the point.

    Raises:
        QueryError: a place that is none.
        TableError: as many vectors as places are expected, of one length, finite and not zero; a table of
            another model or resolution.
    """
    matrix = _matrix(vectors)
    cells, names = _placed(places, POINT_RESOLUTION if h3_resolution is None else h3_resolution)
    names = names if ids is None else [str(name) for name in ids]
    n = len(cells)
    if not n == len(matrix) == len(names):
        raise TableError(f"{n} places, {len(matrix)} vectors, {len(names)} names: expected as many of each")
    dimension = matrix.shape[1]
    digest = hashlib.sha256(f"{model} {dimension}".encode()).hexdigest()
    info = ModelInfo(model, digest, dimension, licence, trained=True, config={"imported": True})
    rows = make_rows(
        h3_cell=cells, sample_id=names, start=[start] * n, end=[end] * n,
        footprint=np.array([shapely.Polygon(boundary(cell)) for cell in cells.tolist()], object),
        embedding=matrix, model=info,
    )  # fmt: skip
    if EmbeddingTable.exists(path):
        return EmbeddingTable.open(path).upsert(rows)
    resolution = int(resolutions(cells[:1])[0])
    return EmbeddingTable.create(path, info, h3_resolution=resolution).upsert(rows)


def this_year() -> tuple[datetime, datetime]:
    """The period of vectors that came without one."""
    year = datetime.now(UTC).year
    return datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)


def _matrix(vectors: ArrayLike) -> NDArray[np.float32]:
    try:
        matrix = np.asarray(vectors, np.float32)
    except (TypeError, ValueError):
        matrix = np.empty(0, np.float32)
    if matrix.ndim != 2 or not matrix.size:
        raise TableError(f"vectors came as {str(vectors)[:60]!r}: expected numbers (n, d), one a place")
    return matrix


def _placed(places: Any, resolution: int) -> tuple[Cells, list[str]]:
    """Cells (n,) and names of places."""
    values = list(places)
    if all(isinstance(place, str | int | np.integer) for place in values):
        cells = np.array([parse_cell(place) for place in values], np.uint64)
        return cells, cells_to_text(cells)
    try:
        lon_lat = np.asarray(places, np.float64)
    except (TypeError, ValueError):
        lon_lat = np.empty(0)
    inside = lon_lat.ndim == 2 and lon_lat.shape[1] == 2 and (np.abs(lon_lat) <= (180, 90)).all()
    if not inside or not 0 <= resolution <= 15:
        raise TableError(
            f"places came as {str(places)[:60]!r}: expected H3 cells, or lon and lat in degrees (n, 2), "
            "and an H3 resolution from 0 to 15"
        )
    return cells_at(lon_lat[:, 0], lon_lat[:, 1], resolution), [
        f"{lon:.6f} {lat:.6f}" for lon, lat in lon_lat.tolist()
    ]
