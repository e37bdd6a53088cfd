"""Labels that others drew: polygons and points of GeoJSON, points or cells of CSV, shapes of GeoParquet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from ..area_files import parse_geojson
from ..errors import QueryError
from ..geo.cells import Cells, cell_at, cells_at, parents, parse_cell, resolutions
from ..geo.great_circle import Floats
from ..geo.search_area import rows_of_each
from ..progress import Progress
from ..table.embedding_table import EmbeddingTable

NAMES = ("label", "class", "name")  # of the column or property that holds the class
CELLS = ("h3_cell", "cell")


Place: TypeAlias = "int | tuple[float, float] | shapely.Geometry"  # a cell, lon and lat, polygons


@dataclass(frozen=True)
class ReadLabels:
    """What a file says of a table's cells."""

    marks: dict[int, str]  # the class of each cell
    outside: int  # labels that no cell of the table lies in
    contradicted: int  # cells that have two classes in the file: the last is taken


def read_label_file(
    path: Path, table: EmbeddingTable, column: str | None = None, progress: Progress | None = None
) -> ReadLabels:
    """The classes that a file gives to cells of a table.

    A polygon is of the cells whose centre lies in it, a point of the cell that it lies in, a cell's id of
    that cell, or of the one that it is finer than.

    Args:
        path: .geojson or .json; .csv or .parquet with `h3_cell`, or `lon` and `lat`, or `geometry` as WKB.
        column: what holds the class; by default the first of `label`, `class`, `name`.
        progress: told (cells compared with shapes, cells).

    Raises:
        QueryError: a file that cannot be read, or holds no class or no place.
    """
    cells = np.unique(
        np.concatenate([np.empty(0, np.uint64), *(b["h3_cell"].to_numpy() for b in table.scan(["h3_cell"]))])
    )
    said, places = zip(*_labelled(path, column), strict=True)
    names, class_of = np.unique(np.array(said, object), return_inverse=True)
    label, at = _cells_of(places, cells, table.h3_resolution, progress)
    outside = len(places) - len(np.unique(label))
    order = np.lexsort((label, at))  # of each cell what the file says of it, in the file's order
    classes, at = class_of[label[order]], at[order]
    again = at[1:] == at[:-1]
    last = np.append(~again, True)[: len(at)]
    marks = dict(zip(cells[at[last]].tolist(), names[classes[last]].tolist(), strict=True))
    return ReadLabels(marks, outside, int((again & (classes[1:] != classes[:-1])).sum()))


def read_cell_rows(path: Path, *columns: str) -> pa.Table:
    """`h3_cell` as numbers and some columns as text, of a CSV or Parquet file. Raises `QueryError`."""
    rows = _rows_of(path)
    missing = [name for name in ("h3_cell", *columns) if name not in rows.column_names]
    if missing:
        held = ", ".join(rows.column_names)
        raise QueryError(f"{path} has columns {held}: expected {', '.join(missing)}, too")
    cells = np.array([parse_cell(cell) for cell in rows["h3_cell"].to_pylist()], np.uint64)
    texts = {name: rows[name].cast(pa.string()) for name in columns}
    return pa.table({"h3_cell": cells, **texts})


def _rows_of(path: Path) -> pa.Table:
    try:
        if path.suffix.lower() == ".csv":
            return pyarrow.csv.read_csv(path)
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise QueryError(f"{path}: cannot be read as rows ({error})") from error


def _cells_of(
    places: Sequence[Place], cells: Cells, resolution: int, progress: Progress | None
) -> NDArray[np.int64]:
    """Pairs (2, m) of a place and of where a cell that it is of lies in cells (n,), which are in order."""
    points, ids, shapes = (
        [n for n, place in enumerate(places) if isinstance(place, kind)]
        for kind in (tuple, int, shapely.Geometry)
    )
    own: Cells = np.r_[
        _at_points(np.array([places[n] for n in points], float).reshape(-1, 2), resolution),
        _at_least(np.array([places[n] for n in ids], np.uint64), resolution),
    ]
    at = np.searchsorted(cells, own)
    held = np.searchsorted(cells, own, "right") > at
    shape, row = rows_of_each([places[n] for n in shapes], cells, progress)
    of_own, of_shapes = np.array(points + ids, int), np.array(shapes, int)
    return np.hstack([[of_own[held], at[held]], [of_shapes[shape], row]])


def _at_points(lonlat_deg: Floats, resolution: int) -> Cells:
    """Cells (n,) of a resolution that points (n, 2) lie in. Raises `QueryError`."""
    for lon_deg, lat_deg in lonlat_deg[~np.all(np.abs(lonlat_deg) <= (180, 90), axis=1)].tolist():
        cell_at(lon_deg, lat_deg, resolution)  # says what is wrong with it
    return cells_at(lonlat_deg[:, 0], lonlat_deg[:, 1], resolution)


def _at_least(cells: Cells, resolution: int) -> Cells:
    """Cells (n,) of a resolution that others, no coarser, lie in. Raises `QueryError`."""
    for cell in cells[resolutions(cells) < resolution].tolist():
        raise QueryError(f"cell {cell:x} is coarser than the table's resolution {resolution}: draw a polygon")
    return parents(cells, resolution)


def _labelled(path: Path, column: str | None) -> Iterator[tuple[str, Place]]:
    suffix = path.suffix.lower()
    try:
        if suffix in (".geojson", ".json"):
            yield from _of_geojson(parse_geojson(path.read_bytes(), str(path)), path, column)
        elif suffix in (".csv", ".parquet", ".geoparquet", ".pq"):
            yield from _of_rows(_rows_of(path), path, column)
        else:
            raise QueryError(f"{path}: labels come in a .geojson, .csv or .parquet file")
    except (OSError, UnicodeDecodeError, shapely.errors.ShapelyError) as error:
        raise QueryError(f"{path}: cannot be read as labels ({error})") from error


def _of_geojson(document: Any, path: Path, column: str | None) -> Iterator[tuple[str, Place]]:
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list) or not features:
        raise QueryError(f"{path} holds no features: expected a FeatureCollection of polygons or points")
    for number, feature in enumerate(features, 1):
        said = feature.get("properties") if isinstance(feature, dict) else None
        label = _class_of(said if isinstance(said, dict) else {}, path, number, column)
        try:
            place = shapely.from_geojson(json.dumps(feature.get("geometry")))
        except shapely.errors.GEOSException as error:
            raise QueryError(f"{path}: feature {number} has no shape ({error})") from error
        if place is None or place.is_empty:
            raise QueryError(f"{path}: feature {number} has no shape")
        yield label, _point_or_shape(place)


def _of_rows(rows: pa.Table, path: Path, column: str | None) -> Iterator[tuple[str, Place]]:
    names = rows.column_names
    cells = next((name for name in CELLS if name in names), None)
    if cells is None and not {"lon", "lat"} <= set(names) and "geometry" not in names:
        raise QueryError(
            f"{path} has columns {', '.join(names)}: expected h3_cell, or lon and lat, or geometry"
        )
    for number, row in enumerate(rows.to_pylist(), 1):
        label = _class_of(row, path, number, column)
        if cells is not None:
            yield label, parse_cell(row[cells])
        elif "geometry" in names and isinstance(row["geometry"], bytes):
            yield label, _point_or_shape(shapely.from_wkb(row["geometry"]))
        elif isinstance(row.get("lon"), int | float) and isinstance(row.get("lat"), int | float):
            yield label, (float(row["lon"]), float(row["lat"]))
        else:
            raise QueryError(f"{path}: row {number} has no place")


def _point_or_shape(place: shapely.Geometry) -> Place:
    return (place.x, place.y) if isinstance(place, shapely.Point) else place


def _class_of(said: dict[str, Any], path: Path, number: int, column: str | None) -> str:
    names = NAMES if column is None else (column,)
    label = next((said[name] for name in names if said.get(name) is not None), None)
    if label is None or not str(label).strip():
        raise QueryError(f"{path}: number {number} has no class: expected a column {' or '.join(names)}")
    return str(label).strip()
