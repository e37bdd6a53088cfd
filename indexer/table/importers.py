"""Rows from other people's Parquet: their vectors, places and dates under our key, streamed into a table.

A layout says in which columns these are; docs/embedding_table.md says what was verified of each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from ..errors import TableError
from ..geo import cells, footprints
from ..geo.great_circle import METRES_PER_DEGREE
from ..progress import Progress
from .embedding_table import EmbeddingTable
from .schema import ModelInfo, make_rows

Columns = tuple[str, ...]
Period = tuple[datetime, datetime]  # [start, end), UTC


CHUNK_ROWS = 65_536  # decoded, and committed, at a time; fewer where they have more than CHUNK_BYTES
CHUNK_BYTES = 1 << 26  # of float32 vectors
FIRST_ROWS = 1_000  # among these a vector says how many dimensions there are
LON_LAT = ("CRS84", "4326")  # ends of the identifiers of longitude and latitude on WGS 84
CORNERS = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5)])


@dataclass(frozen=True)
class Layout:
    """Which columns hold what, and what is known of all rows."""

    vector: Columns  # one column of lists, or one column per dimension
    geometry: Columns  # one column of WKB, or longitude and latitude in degrees
    patch_m: float  # side of the square that stands for a point
    h3_resolution: int  # of a new table: the coarsest whose cells are smaller than a patch
    id: str | None = None  # None: the last part of `source`, else the row's number in the file
    time: str | None = None  # a date, a time, or a year; None: the period is given for the whole file
    source: str | None = None  # what the vector was made from
    model: str | None = None  # None: several models are published in this layout
    licence: str | None = None  # SPDX identifier

    @property
    def columns(self) -> list[str]:
        """All that are read."""
        others = [name for name in (self.id, self.time, self.source) if name is not None]
        return [*self.vector, *self.geometry, *others]


LAYOUTS: Mapping[str, Layout] = {
    "earth-index": Layout(("embedding",), ("geometry",), 320, 10, id="id"),
    "clay": Layout(
        ("embeddings",), ("geometry",), 5120, 8,
        time="date", source="source_url", model="clay-model-v0", licence="ODC-By-1.0",
    ),
    "clay-1.5": Layout(
        ("embedding",), ("geometry",), 2560, 8, id="chips_id", time="datetime", model="clay-v1.5"
    ),
    "major-tom": Layout(
        ("embedding",), ("geometry",), 2240, 8,
        id="unique_id", time="timestamp", source="product_id", licence="CC-BY-SA-4.0",
    ),
    "alphaearth": Layout(
        tuple(f"A{axis:02}" for axis in range(64)), ("geometry",), 10, 13,
        time="year", model="alphaearth-foundations-v1", licence="CC-BY-4.0",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """What an import did."""

    table: EmbeddingTable
    rows: int  # committed
    skipped: int  # without a vector that has a direction, or without a place
    resumed: int  # found in the table already, from an import that was interrupted


def import_file(
    path: Path,
    layout: Layout,
    into: str | Path,
    *,
    period: Period | None = None,
    h3_resolution: int | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Stream a Parquet file into a table, made if missing; an interrupted import goes on where it stopped.

    Memory is that of a chunk, of one row group as it is compressed, and of one part of the table at a time,
    where rows come between those that are there.

    Args:
        path: a local file.
        layout: one of LAYOUTS, or changed by `dataclasses.replace`; `model` and `licence` must be known, here
            or in the file's `emb` metadata.
        into: the table's directory or URL.
        period: of all rows, instead of the layout's time column, and of what the file's `emb` metadata says.
        h3_resolution: of a new table, instead of the layout's.
        progress: called with rows done and rows in all.

    Raises:
        TableError: no such column, places that are not lon/lat degrees, quantised vectors, no period, a
            table of another model or resolution.
    """
    file = _open(path)
    if period is not None:
        layout = replace(layout, time=None)
    layout, period = _filled_in(layout, period, file.schema_arrow)
    _check(path, file.schema_arrow, layout, period)
    model = _model(path, file, layout)
    table = EmbeddingTable.open(into) if EmbeddingTable.exists(into) else None
    if table is not None:
        table.require(model, table.h3_resolution if h3_resolution is None else h3_resolution)
        h3_resolution = table.h3_resolution
    elif h3_resolution is None:
        h3_resolution = layout.h3_resolution
    identity = _identity(path, layout, period)
    start = rows = skipped = resumed = 0
    chunk_rows = max(min(CHUNK_ROWS, CHUNK_BYTES // (4 * model.dimension)), 1)
    for batch in file.iter_batches(chunk_rows, columns=layout.columns):
        key = f"import {identity} from row {start}"
        if table is not None and key in table.input_keys:
            resumed += len(batch)
        else:
            made = _rows(batch, start, layout, period, model, h3_resolution)
            table = table or EmbeddingTable.create(into, model, h3_resolution=h3_resolution)
            table = table.upsert(made, input_key=key)
            rows, skipped = rows + len(made), skipped + len(batch) - len(made)
        start += len(batch)
        if progress is not None:
            progress(start, file.metadata.num_rows)
    assert table is not None, "a file with rows has a batch"
    return Imported(table, rows, skipped, resumed)


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise TableError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error


def _filled_in(layout: Layout, period: Period | None, schema: pa.Schema) -> tuple[Layout, Period | None]:
    """Model, licence and period from a file's `emb` metadata (geoembeddings.org) where nobody gave them."""
    said = _emb(schema)
    model = said.get("model")
    name = (model.get("name") or model.get("id")) if isinstance(model, dict) else None
    licence = said.get("license")
    layout = replace(layout, model=layout.model or name, licence=layout.licence or licence)
    start, end = said.get("start_datetime"), said.get("end_datetime")
    if layout.time is None and period is None and isinstance(start, str) and isinstance(end, str):
        period = _period(start, "start_datetime")[0], _period(end, "end_datetime")[0]
    return layout, period


def _emb(schema: pa.Schema) -> dict[str, Any]:
    """A file's `emb` metadata; nothing where it is not a JSON object, for then it is something else."""
    try:
        said = json.loads((schema.metadata or {}).get(b"emb", b"{}"))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _check(path: Path, schema: pa.Schema, layout: Layout, period: Period | None) -> None:
    """Columns are there and of a kind that can be read. Raises TableError."""
    missing = [name for name in layout.columns if name not in schema.names]
    if missing:
        raise TableError(
            f"{path} has no column {', '.join(missing)}: it has {', '.join(schema.names[:20])}; "
            "say which hold the vector, geometry, id and time"
        )
    if layout.time is None and period is None:
        raise TableError(f"{path}: no column says when; give the start and the end of the period of all rows")
    for name in layout.vector:
        kind = schema.field(name).type
        value = kind if len(layout.vector) > 1 else getattr(kind, "value_type", None)
        if value is None or not pa.types.is_floating(value):
            raise TableError(
                f"{path}: column {name} is {kind}, expected {'' if len(layout.vector) > 1 else 'lists of '}"
                "floating-point numbers; bring quantised vectors back to these first"
            )
    place = schema.field(layout.geometry[0]).type
    if len(layout.geometry) == 1 and not (pa.types.is_binary(place) or pa.types.is_large_binary(place)):
        raise TableError(f"{path}: column {layout.geometry[0]} is {place}, expected geometries as WKB")
    _check_crs(path, schema, layout)


def _check_crs(path: Path, schema: pa.Schema, layout: Layout) -> None:
    """Refuse coordinates that GeoParquet says are not lon/lat; without a word they are taken as such."""
    geo = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
    crs = geo.get("columns", {}).get(layout.geometry[0], {}).get("crs")
    if crs is not None and str(crs.get("id", {}).get("code")) not in LON_LAT:
        raise TableError(f"{path}: its places are in {crs.get('name', crs)}, expected lon/lat (OGC:CRS84)")


def _model(path: Path, file: pq.ParquetFile, layout: Layout) -> ModelInfo:
    """The model as its publisher names it. Its weights are not here, so the digest is that of the name."""
    unknown = [word for word in ("model", "licence") if getattr(layout, word) is None]
    if unknown:
        raise TableError(f"{path} does not say its {' and '.join(unknown)}: give it, the table will keep it")
    if file.metadata.num_rows == 0:
        raise TableError(f"{path} has no rows")
    dimension = len(layout.vector)
    if dimension == 1:
        first = next(file.iter_batches(FIRST_ROWS, columns=layout.vector))[0].drop_null()
        if len(first) == 0:
            raise TableError(f"{path}: its first {FIRST_ROWS} rows have no vector")
        dimension = first.value_lengths()[0].as_py()
    assert layout.model is not None
    assert layout.licence is not None
    digest = hashlib.sha256(layout.model.encode()).hexdigest()
    return ModelInfo(layout.model, digest, dimension, layout.licence, trained=True, config={"imported": True})


def _identity(path: Path, layout: Layout, period: Period | None) -> str:
    """Names what is imported: the file's content, and how it is read."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(repr((layout, period)).encode())
    return digest.hexdigest()[:16]


def _rows(
    batch: pa.RecordBatch,
    start: int,
    layout: Layout,
    period: Period | None,
    model: ModelInfo,
    h3_resolution: int,
) -> pa.Table:
    """Rows of the table; those that cannot be found or compared are left out."""
    places, vectors = _places(batch, layout), _vectors(batch, layout, model.dimension, start)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    good = np.isfinite(norms) & (norms > 0) & ~(shapely.is_missing(places) | shapely.is_empty(places))
    kept = np.flatnonzero(good)
    rings = [_ring(place, layout.patch_m) for place in places[kept].tolist()]
    wrong = footprints.faulty(rings)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise TableError(f"row {start + kept[first]}: {places[kept[first]]!s:.80} is not lon/lat degrees")
    lon_deg, lat_deg = footprints.centroids(footprints.polygons(rings))
    batch = batch.take(pa.array(kept))
    starts, ends = _periods(batch, layout, period)
    sources = [] if layout.source is None else batch[layout.source].to_pylist()
    unknown = np.full(len(kept), np.nan)
    return make_rows(
        h3_cell=cells.cells_at(lon_deg, lat_deg, h3_resolution),
        sample_id=_ids(batch, layout, start + kept),
        start=starts,
        end=ends,
        footprint=rings,
        embedding=vectors[kept],
        model=model,
        n_hr=np.zeros(len(kept)),
        n_s2=np.zeros(len(kept)),
        n_s1=np.zeros(len(kept)),
        valid_fraction=unknown,
        cloud_fraction=unknown,
        source_items=[[source] for source in sources] if sources else [()] * len(kept),
    )


def _vectors(batch: pa.RecordBatch, layout: Layout, dimension: int, start: int) -> NDArray[np.float32]:
    """(n, d) float32; null vectors come as NaN."""
    if len(layout.vector) > 1:
        columns = [batch[name].to_numpy(zero_copy_only=False) for name in layout.vector]
        return np.stack(columns, axis=1).astype(np.float32)
    lists = batch[layout.vector[0]]
    lengths = lists.value_lengths().fill_null(dimension).to_numpy(zero_copy_only=False)
    if (lengths != dimension).any():
        row = int(np.argmax(lengths != dimension))
        raise TableError(f"row {start + row} has a vector of {lengths[row]}, those before it {dimension}")
    vectors = np.full((len(lists), dimension), np.nan, np.float32)
    there = lists.is_valid().to_numpy(zero_copy_only=False)
    vectors[there] = lists.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension)
    return vectors


def _places(batch: pa.RecordBatch, layout: Layout) -> footprints.Geometries:
    """Points or polygons, lon/lat: (n,)."""
    if len(layout.geometry) == 2:
        lon_deg, lat_deg = (batch[name].to_numpy(zero_copy_only=False) for name in layout.geometry)
        return np.asarray(shapely.points(lon_deg, lat_deg))
    wkb = batch[layout.geometry[0]].to_numpy(zero_copy_only=False)
    return np.asarray(shapely.from_wkb(wkb, on_invalid="ignore"))


def _ring(place: shapely.Geometry, patch_m: float) -> footprints.Ring:
    """Outline of a polygon, of the hull of several parts, or a square around a point."""
    if isinstance(place, shapely.Polygon):
        return list(place.exterior.coords)
    if isinstance(place, shapely.Point):
        lat_m = METRES_PER_DEGREE * max(np.cos(np.radians(place.y)), 0.01)
        corners = CORNERS * (patch_m / lat_m, patch_m / METRES_PER_DEGREE) + (place.x, place.y)
        return [(float(lon), float(lat)) for lon, lat in corners]
    hull = footprints.in_one_piece(place).convex_hull
    return _ring(hull if isinstance(hull, shapely.Polygon) else hull.centroid, patch_m)


def _ids(batch: pa.RecordBatch, layout: Layout, row_numbers: NDArray[np.int64]) -> list[str]:
    names = [f"row {number}" for number in row_numbers.tolist()]
    if layout.id is not None:
        return [str(given or name) for given, name in zip(batch[layout.id].to_pylist(), names, strict=True)]
    if layout.source is not None:
        sources = batch[layout.source].to_pylist()
        return [PurePosixPath(given or name).stem for given, name in zip(sources, names, strict=True)]
    return names


def _periods(
    batch: pa.RecordBatch, layout: Layout, period: Period | None
) -> tuple[Sequence[datetime], Sequence[datetime]]:
    """[start, end) of each row."""
    if layout.time is None:
        assert period is not None
        return [period[0]] * len(batch), [period[1]] * len(batch)
    periods = [_period(value, layout.time) for value in batch[layout.time].to_pylist()]
    return [start for start, _ in periods], [end for _, end in periods]


def _period(value: object, column: str) -> Period:
    """A year is that year; a date, or a time on it, is that day in UTC. Raises TableError."""
    try:
        if isinstance(value, int) or (isinstance(value, str) and len(value) == 4):
            return datetime(int(value), 1, 1, tzinfo=UTC), datetime(int(value) + 1, 1, 1, tzinfo=UTC)
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError as error:
        raise TableError(f"{column} is {value!r}: expected a year, a date or a time in ISO 8601") from error
    if isinstance(moment, datetime):
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).date()
    if not isinstance(moment, date):
        raise TableError(f"{column} is {value!r}: expected a year, a date or a time")
    day = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return day, day + timedelta(days=1)
