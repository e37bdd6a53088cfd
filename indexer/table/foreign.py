"""What the columns of other people's Parquet hold: vectors, places, times, ids, in each published form.

A form is told by the column's type, and by the file's own words (`geo`, `emb`, the type of a geometry); what
cannot be told is refused. Sources of each form: docs/embedding_table.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from h3ronpy.vector import cells_to_wkb_polygons
from numpy.typing import NDArray

from ..errors import TableError
from ..geo import cells, footprints
from .schema import LICENCE

Period = tuple[datetime, datetime]  # [start, end), UTC

LON_LAT_CODES = ("CRS84", "4326", "4979")  # ends of the identifiers of longitude and latitude on WGS 84
LON_LAT_NAMES = ("WGS 84", "WGS84", "CRS84", "WORLD GEODETIC SYSTEM 1984")
EPOCHS = (
    (10**17, "ns"),
    (10**14, "us"),
    (10**11, "ms"),
    (10**8, "s"),
)  # since 1970: from so large a number on
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
FIRST_YEAR, LAST_YEAR = 1900, 2200
CODES = (-128, 255)  # whole numbers in here that fill a vector are codes of quantised values


def storage_of(column: pa.Array) -> pa.Array:
    """An extension array as what it is stored as, such as a tensor as a list."""
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def storage_type(kind: pa.DataType) -> pa.DataType:
    """The same of a type."""
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


# Vectors


def matrix_of(column: pa.Array, dimension: int, first_row: int) -> NDArray[np.float32]:
    """Lists of numbers as (n, d); null vectors, and null numbers in them, come as NaN.

    Raises:
        TableError: a vector of another length; the row is named.
    """
    lists = storage_of(column)
    there = lists.is_valid().to_numpy(zero_copy_only=False)
    vectors = np.full((len(lists), dimension), np.nan, np.float32)
    some = lists.drop_null()
    lengths = some.value_lengths().to_numpy(zero_copy_only=False)
    if (lengths != dimension).any():
        wrong = int(np.argmax(lengths != dimension))
        row = first_row + int(np.flatnonzero(there)[wrong])
        raise TableError(f"row {row} has a vector of {lengths[wrong]}, those before it {dimension}")
    vectors[there] = some.flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension)
    return vectors


def are_codes(vectors: NDArray[np.float32]) -> bool:
    """Whether vectors (n, d) hold nothing but whole numbers of eight bits: quantised values."""
    known = vectors[np.isfinite(vectors).all(axis=1)]
    if known.size < 64 or len(np.unique(known)) < 8:
        return False
    low, high = CODES
    return bool((known == np.rint(known)).all() and known.min() >= low and known.max() <= high)


# Places


def places_of(batch: pa.RecordBatch, columns: Sequence[str]) -> footprints.Geometries:
    """Points, polygons or hexagons, (n,): of WKB, GeoArrow, GeoJSON, WKT, H3 cells, or lon and lat.

    Rows without a place are None.
    """
    if len(columns) == 2:
        lon_deg, lat_deg = (np.asarray(batch[name].to_numpy(zero_copy_only=False), float) for name in columns)
        points = np.asarray(shapely.points(lon_deg, lat_deg))
        points[~(np.isfinite(lon_deg) & np.isfinite(lat_deg))] = None
        return points
    column = storage_of(batch[columns[0]])
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return np.asarray(shapely.from_wkb(column.to_numpy(zero_copy_only=False), on_invalid="ignore"))
    if pa.types.is_integer(kind):
        return _hexagons(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _of_text(column)
    return _of_geoarrow(column)


def is_place(kind: pa.DataType) -> bool:
    """Whether `places_of` can read a column of this type."""
    kind = storage_type(kind)
    texts = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_string(kind)
    return texts or pa.types.is_large_string(kind) or pa.types.is_integer(kind) or _depth(kind) is not None


def _hexagons(column: pa.Array) -> footprints.Geometries:
    """The outlines of H3 cells; None where a number is none."""
    numbers = column.fill_null(0).cast(pa.uint64(), safe=False).to_numpy()
    valid = cells.are_valid(numbers)
    shapes = np.full(len(numbers), None, object)
    wkb = pa.array(cells_to_wkb_polygons(cells.as_cells(numbers[valid]))).to_pylist()
    shapes[valid] = shapely.from_wkb(wkb)
    return shapes


def _of_text(column: pa.Array) -> footprints.Geometries:
    """GeoJSON (as Earth Engine exports it), WKT, or names of H3 cells."""
    texts = column.to_pylist()
    first = next((text.lstrip() for text in texts if text), "")
    if first.startswith("{"):
        return np.asarray(shapely.from_geojson(texts, on_invalid="ignore"))
    if first and h3.is_valid_cell(first.lower()):
        numbers = [h3.str_to_int(text) if text and h3.is_valid_cell(text.lower()) else 0 for text in texts]
        return _hexagons(pa.array(numbers, pa.uint64()))
    return np.asarray(shapely.from_wkt(texts, on_invalid="ignore"))


def _depth(kind: pa.DataType) -> int | None:
    """Lists around the coordinates of a GeoArrow type: 0 of points, 2 of polygons, 3 of multipolygons."""
    if pa.types.is_struct(kind):
        return 0 if {"x", "y"} <= {field.name for field in kind} else None
    if pa.types.is_fixed_size_list(kind):
        return 0 if kind.list_size in (2, 3, 4) and pa.types.is_floating(kind.value_type) else None
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = _depth(kind.value_type)
        return None if inner is None else inner + 1
    return None


def _of_geoarrow(column: pa.Array) -> footprints.Geometries:
    """GeoArrow's native points, polygons and multipolygons (geoarrow.org, format 0.2)."""
    depth = _depth(column.type)
    assert depth in (0, 2, 3), column.type
    shapes = np.full(len(column), None, object)
    there = column.is_valid().to_numpy(zero_copy_only=False)
    inner, offsets = column.drop_null(), []
    for _ in range(depth):
        starts = inner.offsets.to_numpy()
        offsets.append(np.asarray(starts - starts[0], np.int64))
        inner = inner.flatten()
    kind = {
        0: shapely.GeometryType.POINT,
        2: shapely.GeometryType.POLYGON,
        3: shapely.GeometryType.MULTIPOLYGON,
    }
    shapes[there] = shapely.from_ragged_array(kind[depth], _coordinates(inner), tuple(offsets[::-1]) or None)
    return shapes


def _coordinates(column: pa.Array) -> NDArray[np.float64]:
    """(n, 2) x and y, of structs or of lists of a fixed size."""
    if pa.types.is_struct(column.type):
        x, y = (column.field(name).to_numpy(zero_copy_only=False) for name in ("x", "y"))
        return np.stack([x, y], axis=1).astype(np.float64)
    size = column.type.list_size
    flat = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, size)
    return np.asarray(flat[:, :2], np.float64)


def crs_of(file: pq.ParquetFile, column: str) -> Any:
    """What a file says of its coordinates, in `geo`, else in the column's type; None where it is silent."""
    metadata = file.schema_arrow.metadata or {}
    said = json_object(metadata.get(b"geo")).get("columns")
    about = said.get(column) if isinstance(said, dict) else None
    if isinstance(about, dict) and about.get("crs") is not None:
        return about["crs"]
    field = file.schema_arrow.field(column)
    arrow = json_object((field.metadata or {}).get(b"ARROW:extension:metadata"))
    if arrow.get("crs") is not None:
        return arrow["crs"]
    native = [
        json_object(file.schema.column(i).logical_type.to_json().encode())
        for i in range(len(file.schema))
        if file.schema.column(i).path == column and file.schema.column(i).logical_type is not None
    ]
    text = native[0].get("crs") if native else None
    return (json_object(text.encode()) or text) if isinstance(text, str) else text


def is_lon_lat(crs: Any) -> bool:
    """Whether coordinates are longitude and latitude on WGS 84; silence means that they are (GeoParquet)."""
    if crs is None:
        return True
    if isinstance(crs, str):
        return crs.upper().endswith(LON_LAT_CODES) or crs.upper().startswith(
            ("WGS 84", "WGS84", 'GEOGCRS["WGS 84')
        )
    if not isinstance(crs, dict):
        return False
    identifier = crs.get("id")
    if isinstance(identifier, dict) and identifier.get("code") is not None:
        return str(identifier["code"]) in LON_LAT_CODES
    datum = crs.get("datum") or crs.get("datum_ensemble")
    names = [str(crs.get("name", "")), str(datum.get("name", "")) if isinstance(datum, dict) else ""]
    known = any(name.upper().startswith(LON_LAT_NAMES) for name in names)
    return crs.get("type") == "GeographicCRS" and known


def crs_name(crs: Any) -> str:
    """How an error calls it."""
    return str(crs.get("name", crs))[:80] if isinstance(crs, dict) else str(crs)[:80]


def json_object(text: bytes | None) -> dict[str, Any]:
    """JSON of a footer; an empty mapping where it is none, for then it is something else."""
    try:
        said = json.loads(text or b"{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


# Times and ids


def periods_of(column: pa.Array, name: str) -> tuple[list[datetime], list[datetime]]:
    """[start, end) of each row."""
    periods = [period_of(value, name) for value in column.to_pylist()]
    return [start for start, _ in periods], [end for _, end in periods]


def period_of(value: object, name: str) -> Period:
    """A year, a month (`2024-06`, `202406`), a day, or a moment on it: as text, date, time or epoch number.

    Raises:
        TableError: none of these.
    """
    text = str(value).strip()
    try:
        if isinstance(value, int) and abs(value) >= EPOCHS[-1][0]:
            unit = next(unit for least, unit in EPOCHS if abs(value) >= least)
            value = datetime.fromtimestamp(value / PER_SECOND[unit], UTC)
        elif len(text) == 4 and text.isdecimal() and FIRST_YEAR <= int(text) < LAST_YEAR:
            return datetime(int(text), 1, 1, tzinfo=UTC), datetime(int(text) + 1, 1, 1, tzinfo=UTC)
        elif len(text) in (6, 7) and text.replace("-", "", 1).isdecimal():
            first = datetime.strptime(text.replace("-", ""), "%Y%m").replace(tzinfo=UTC)
            return first, (first + timedelta(days=31)).replace(day=1)
        elif isinstance(value, str) or (isinstance(value, int) and len(text) == 8):
            value = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise TableError(
            f"{name} is {value!r}: expected a year, a month, a date or a time in ISO 8601"
        ) from error
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).date()
    if not isinstance(value, date):
        raise TableError(f"{name} is {value!r}: expected a year, a month, a date or a time")
    day = datetime(value.year, value.month, value.day, tzinfo=UTC)
    return day, day + timedelta(days=1)


def ids_by_place(places: footprints.Geometries) -> list[str]:
    """Names for rows that have none: where their middle lies, so that they depend on no order. (n,)"""
    lon_deg, lat_deg = footprints.centroids(places)
    return [f"{lon:.6f} {lat:.6f}" for lon, lat in zip(lon_deg.tolist(), lat_deg.tolist(), strict=True)]


def extra_of(batch: pa.RecordBatch, known: Mapping[str, Any]) -> dict[str, pa.Array]:
    """Columns that nobody asked for, of kinds that a table can keep: numbers, text, times, truth values."""
    kept = {}
    for name in batch.schema.names:
        column = storage_of(batch[name])
        target = _kept_as(column.type)
        if name not in known and target is not None and (name != LICENCE or target == pa.string()):
            kept[name] = column.cast(target, safe=False)
    return kept


def _kept_as(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_dictionary(kind):
        return _kept_as(kind.value_type)
    if pa.types.is_boolean(kind):
        return pa.bool_()
    if pa.types.is_integer(kind):
        return pa.int64() if kind != pa.int32() else pa.int32()
    if pa.types.is_floating(kind):
        return pa.float64() if kind == pa.float64() else pa.float32()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pa.timestamp("us", tz="UTC")
    return None
