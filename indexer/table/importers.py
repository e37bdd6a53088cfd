"""Rows from other people's Parquet: their vectors, places and dates under our key, streamed into a table.

A layout says in which columns these are, `foreign.py` reads the forms in which they come;
docs/embedding_table.md says what was verified of each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
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
from . import foreign
from .embedding_table import EmbeddingTable
from .foreign import Period
from .schema import OPTIONAL_VECTORS, ModelInfo, Values, make_rows, table_schema
from .terms import both

Columns = tuple[str, ...]

CHUNK_ROWS = 65_536  # decoded, and committed, at a time; fewer where they have more than CHUNK_BYTES
CHUNK_BYTES = 1 << 26  # of float32 vectors
FIRST_ROWS = 1_000  # among these a vector says how many dimensions there are
KEY_WORD = "import"  # begins the input keys of imports
USUAL_PLACES: Sequence[Columns] = (  # Earth Engine's exports, and tables of points
    ("geometry",), (".geo",), ("longitude", "latitude"), ("lon", "lat"), ("centre_lon", "centre_lat"),
)  # fmt: skip
SAME_PLACE_DEG = 1e-5  # about a metre: patches whose middles are nearer are one
CORNERS = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5)])
OWN = {*table_schema(1, {}).names, *OPTIONAL_VECTORS, "region_cell", "prototype", "prototype_similarity"}


@dataclass(frozen=True)
class Layout:
    """Which columns hold what, and what is known of all rows."""

    vector: Columns  # one column of lists, or one column per dimension
    geometry: Columns  # one column of places or H3 cells, or longitude and latitude in degrees
    patch_m: float  # side of the square that stands for a point
    h3_resolution: int  # of a new table: the coarsest whose cells are smaller than a patch
    id: str | None = None  # None: the last part of `source`, else where the place's middle is
    time: str | None = None  # a year, month, date or time; None: the period is given for the whole file
    source: str | None = None  # what the vector was made from
    model: str | None = None  # None: several models are published in this layout
    licence: str | None = None  # SPDX identifier
    crs: str | None = None  # of the places, against what the file says
    scale: float | None = None  # of quantised vectors: value = code * scale + offset
    offset: float = 0.0
    signed_squares: bool = False  # codes v are (v / 127.5)^2 with the sign of v, -128 is no data

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
        time="year", model="alphaearth-foundations-v1", licence="CC-BY-4.0", signed_squares=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """What an import did."""

    table: EmbeddingTable
    rows: int  # committed
    skipped: int  # without a vector that has a direction, or without a place
    resumed: int  # found in the table already, from an import that was interrupted
    repeated: int = 0  # patches that the table has under another name, from a tile that overlaps


def import_file(
    path: Path,
    layout: Layout,
    into: str | Path,
    *,
    period: Period | None = None,
    h3_resolution: int | None = None,
    values: Values | None = None,
    done: Collection[str] | None = None,
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
        values: how a new table keeps vectors, float16 by default.
        done: input keys that are not done again, see `done_keys`; by default those of this file alone.
        progress: called with rows done and rows in all.

    Raises:
        TableError: no such column, places that are not lon/lat degrees, quantised vectors, no period, a
            table of another model or resolution.
    """
    file = _open(path)
    layout, period = _as_read(layout, period, file.schema_arrow)
    _check(path, file, layout, period)
    model = _model(path, file, layout)
    table = EmbeddingTable.open(into) if EmbeddingTable.exists(into) else None
    if table is not None:
        table.require(model, table.h3_resolution if h3_resolution is None else h3_resolution, values)
        h3_resolution = table.h3_resolution
    elif h3_resolution is None:
        h3_resolution = layout.h3_resolution
    values = table.values if table is not None else values or "float16"
    identity = _identity(path, layout, period)
    done = _newest_keys(table, [identity]) if done is None else done
    start = rows = skipped = resumed = repeated = 0
    chunk_rows = max(min(CHUNK_ROWS, CHUNK_BYTES // (4 * model.dimension)), 1)
    for batch in file.iter_batches(chunk_rows, columns=_read(file.schema_arrow, layout)):
        key = f"{KEY_WORD} {identity} from row {start}"
        if table is not None and key in done:
            resumed += len(batch)
        else:
            made = _rows(batch, start, layout, period, model, h3_resolution, values)
            table = table or EmbeddingTable.open_or_create(
                into, model, h3_resolution=h3_resolution, values=values
            )
            fresh = _without_repeats(table, made)
            table = table.upsert(fresh, input_key=key, source=_source(path))
            rows, skipped = rows + len(fresh), skipped + len(batch) - len(made)
            repeated += len(made) - len(fresh)
        start += len(batch)
        if progress is not None:
            progress(start, file.metadata.num_rows)
    assert table is not None, "a file with rows has a batch"
    return Imported(table, rows, skipped, resumed, repeated)


def _source(path: Path) -> str:
    """What a file is called beside its licence: its name, with the folders of a hive."""
    folders = [part for part in path.parts[:-1] if "=" in part]
    return "/".join([*folders, path.name])


def done_keys(
    table: EmbeddingTable | None, files: Sequence[tuple[Path, Period | None]], layout: Layout
) -> frozenset[str]:
    """What is there of an import of these files, in this order; files that cannot be read have nothing."""
    if table is None:
        return frozenset()
    identities = []
    for path, period in files:
        with suppress(TableError, OSError):
            identities.append(_identity(path, *_as_read(layout, period, _open(path).schema_arrow)))
    return _newest_keys(table, identities)


def _newest_keys(table: EmbeddingTable | None, ours: Sequence[str]) -> frozenset[str]:
    """What is there of imports of ours; nothing that another came after: the last has the last word."""
    newest, latest = [], len(ours)
    for key in reversed(table.manifest.input_keys if table is not None else ()):
        word, _, rest = key.partition(" ")
        identity = rest.partition(" ")[0]
        if word != KEY_WORD or identity not in ours[: latest + 1]:
            break
        latest = ours.index(identity)
        newest.append(key)
    return frozenset(newest)


def _as_read(layout: Layout, period: Period | None, schema: pa.Schema) -> tuple[Layout, Period | None]:
    """The layout and the period that a file's rows are read with."""
    layout = replace(layout, geometry=_geometry(layout.geometry, schema.names))
    return _filled_in(layout if period is None else replace(layout, time=None), period, schema)


def _geometry(asked: Columns, names: Sequence[str]) -> Columns:
    """The columns asked for, or where a table has no `geometry`, those in which exports of others hold it."""
    if asked != USUAL_PLACES[0]:
        return asked
    return next((columns for columns in USUAL_PLACES if set(columns) <= set(names)), asked)


def _read(schema: pa.Schema, layout: Layout) -> list[str]:
    """The layout's columns, and those beside them that a table can keep."""
    others = [name for name in schema.names if name not in OWN and name not in layout.columns]
    return [*layout.columns, *others]


def _without_repeats(table: EmbeddingTable, made: pa.Table) -> pa.Table:
    """Rows whose place and period no row of another name has: tiles overlap, and name a patch anew."""
    columns = ["h3_cell", "sample_id", "start_datetime", "end_datetime", "bbox"]
    there = pa.Table.from_batches(
        table.scan(columns, cells=np.unique(made["h3_cell"].to_numpy()).tolist()),
        pa.schema([table.schema.field(name) for name in columns]),
    )
    known = dict(zip(_spots(there), there["sample_id"].to_pylist(), strict=True))
    kept = np.ones(len(made), bool)
    for row, (place, name) in enumerate(zip(_spots(made), made["sample_id"].to_pylist(), strict=True)):
        kept[row] = known.setdefault(place, name) == name
    return made.filter(pa.array(kept))


def _spots(rows: pa.Table) -> list[tuple[int, ...]]:
    """Where and when each row is: the middle of its box in steps of SAME_PLACE_DEG, and its period."""
    west, south, east, north = (side.to_numpy() for side in rows["bbox"].combine_chunks().flatten())
    middle = (np.stack([(west + east) / 2, (south + north) / 2]) / SAME_PLACE_DEG).round().astype(np.int64)
    times = [rows[name].cast(pa.int64()).to_numpy() for name in ("start_datetime", "end_datetime")]
    return list(zip(*middle.tolist(), *(time.tolist() for time in times), strict=True))


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise TableError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error


def _filled_in(layout: Layout, period: Period | None, schema: pa.Schema) -> tuple[Layout, Period | None]:
    """What `emb` says (geoembeddings.org) of model, licence, period and scale, if nobody else did."""
    said = _emb(schema)
    layout = replace(
        layout, model=layout.model or _model_name(said), licence=_licence(layout.licence, said.get("license"))
    )
    start, end = said.get("start_datetime"), said.get("end_datetime")
    if layout.time is None and period is None and isinstance(start, str) and isinstance(end, str):
        period = (
            foreign.period_of(start, "start_datetime")[0], foreign.period_of(end, "end_datetime")[0],
        )  # fmt: skip
    scale, offset = _quantisation(said)
    if layout.scale is None and scale is not None:
        layout = replace(layout, scale=scale, offset=offset)
    return layout, period


def _licence(given: str | None, of_file: object) -> str | None:
    """The file's own where the layout knows one of old; of two that people say, both: none is loosened."""
    if not isinstance(of_file, str) or not of_file:
        return given
    usual = {layout.licence for layout in LAYOUTS.values()}
    return of_file if given is None or given in usual else both(given, of_file)


def _emb(schema: pa.Schema) -> dict[str, Any]:
    return foreign.json_object((schema.metadata or {}).get(b"emb"))


def _model_name(said: Mapping[str, Any]) -> str | None:
    model = said.get("model")
    name = (model.get("name") or model.get("id")) if isinstance(model, dict) else None
    return str(name) if name else None


def _versions(said: Mapping[str, Any], name: str) -> dict[str, str]:
    """Id and version of the model of that name, as far as they are said: two versions are two models."""
    model = said.get("model")
    if not isinstance(model, dict) or _model_name(said) != name:
        return {}
    return {word: str(model[word]) for word in ("id", "version") if model.get(word)}


def _quantisation(said: Mapping[str, Any]) -> tuple[float | None, float]:
    """One scale and offset of `emb` or `emb:quantization`; none where it says none."""
    inner = said.get("embedding")
    told = said.get("quantization") or said.get("emb:quantization")
    told = told or (inner.get("quantization") if isinstance(inner, dict) else None)
    if not isinstance(told, dict) or told.get("scale") is None:
        return None, 0.0
    scale, offset = (np.unique(np.asarray(told.get(word, 0.0), float)) for word in ("scale", "offset"))
    if len(scale) != 1 or len(offset) != 1:
        raise TableError("its vectors have a scale for each axis: bring them back to floating point first")
    return float(scale[0]), float(offset[0])


def _check(path: Path, file: pq.ParquetFile, layout: Layout, period: Period | None) -> None:
    """Columns are there and of a kind that can be read. Raises TableError."""
    schema = file.schema_arrow
    missing = [name for name in layout.columns if name not in schema.names]
    if missing:
        raise TableError(
            f"{path} has no column {', '.join(missing)}: it has {', '.join(schema.names[:20])}; "
            "say which hold the vector, geometry, id and time; --id-column none names rows by their place"
        )
    if layout.time is None and period is None:
        raise TableError(f"{path}: no column says when; give the start and the end of the period of all rows")
    quantised = layout.scale is not None or layout.signed_squares
    for name in layout.vector:
        kind = schema.field(name).type
        value = (
            kind if len(layout.vector) > 1 else getattr(foreign.storage_type(kind), "value_type", pa.null())
        )
        if not (pa.types.is_floating(value) or (quantised and pa.types.is_integer(value))):
            raise TableError(
                f"{path}: column {name} is {kind}, expected {'' if len(layout.vector) > 1 else 'lists of '}"
                "floating-point numbers; of quantised vectors, say the scale"
            )
    if len(layout.geometry) == 1 and not foreign.is_place(schema.field(layout.geometry[0]).type):
        kind = schema.field(layout.geometry[0]).type
        raise TableError(
            f"{path}: column {layout.geometry[0]} is {kind}, expected geometries as WKB, GeoArrow, "
            "GeoJSON text or H3 cells"
        )
    crs = layout.crs or (foreign.crs_of(file, layout.geometry[0]) if len(layout.geometry) == 1 else None)
    if not foreign.is_lon_lat(crs):
        raise TableError(
            f"{path}: its places are in {foreign.crs_name(crs)}, expected lon/lat (OGC:CRS84): reproject "
            "them, or say --crs OGC:CRS84 where the file is wrong"
        )


def _model(path: Path, file: pq.ParquetFile, layout: Layout) -> ModelInfo:
    """The model as its publisher names it. Its weights are not here, so the digest is that of the name."""
    unknown = [word for word in ("model", "licence") if getattr(layout, word) is None]
    if unknown:
        raise TableError(f"{path} does not say its {' and '.join(unknown)}: give it, the table will keep it")
    if file.metadata.num_rows == 0:
        raise TableError(f"{path} has no rows")
    dimension = len(layout.vector)
    if dimension == 1:
        lists = foreign.storage_of(next(file.iter_batches(FIRST_ROWS, columns=layout.vector))[0]).drop_null()
        if len(lists) == 0:
            raise TableError(f"{path}: its first {FIRST_ROWS} rows have no vector")
        dimension = lists.value_lengths()[0].as_py()
    assert layout.model is not None
    assert layout.licence is not None
    versions = _versions(_emb(file.schema_arrow), layout.model)
    digest = hashlib.sha256(" ".join([layout.model, *versions.values()]).encode()).hexdigest()
    config = {"imported": True, **versions}
    return ModelInfo(layout.model, digest, dimension, layout.licence, trained=True, config=config)


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
    values: Values,
) -> pa.Table:
    """Rows of the table; those that cannot be found or compared are left out."""
    places = foreign.places_of(batch, layout.geometry)
    vectors = _vectors(batch, layout, model.dimension, start)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    placed = np.isfinite(shapely.bounds(places)).all(axis=1)  # neither null, nor empty, nor of NaN
    good = np.isfinite(norms) & (norms > 0) & placed
    kept = np.flatnonzero(good)
    rings = [_ring(place, layout.patch_m) for place in places[kept].tolist()]
    wrong = footprints.faulty(rings)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise TableError(f"row {start + kept[first]}: {places[kept[first]]!s:.80} is not lon/lat degrees")
    shapes = footprints.polygons(rings)
    lon_deg, lat_deg = footprints.centroids(shapes)
    batch = batch.take(pa.array(kept))
    starts, ends = _periods(batch, layout, period)
    sources = [] if layout.source is None else batch[layout.source].to_pylist()
    return make_rows(
        h3_cell=cells.cells_at(lon_deg, lat_deg, h3_resolution),
        sample_id=_ids(batch, layout, shapes),
        start=starts,
        end=ends,
        footprint=rings,
        embedding=vectors[kept],
        model=model,
        source_items=[[source] for source in sources] or None,
        extra=foreign.extra_of(batch, dict.fromkeys((*layout.columns, *OWN))),
        values=values,
    )


def _vectors(batch: pa.RecordBatch, layout: Layout, dimension: int, start: int) -> NDArray[np.float32]:
    """(n, d) float32, as they were before they were quantised; null vectors come as NaN."""
    if len(layout.vector) > 1:
        columns = [batch[name].to_numpy(zero_copy_only=False) for name in layout.vector]
        vectors = np.stack(columns, axis=1).astype(np.float32)
    else:
        vectors = foreign.matrix_of(batch[layout.vector[0]], dimension, start)
    if layout.scale is not None:
        return vectors * np.float32(layout.scale) + np.float32(layout.offset)
    if not foreign.are_codes(vectors):
        return vectors
    if layout.signed_squares:
        masked = (vectors == -128).any(axis=1)
        vectors = np.asarray(np.square(vectors / 127.5) * np.sign(vectors), np.float32)
        vectors[masked] = np.nan
        return vectors
    raise TableError(
        f"the vectors are whole numbers from {np.nanmin(vectors):g} to {np.nanmax(vectors):g}, codes of "
        "quantised values: say the scale and offset that bring them back (--scale, --offset)"
    )


def _ring(place: shapely.Geometry, patch_m: float) -> footprints.Ring:
    """Outline of a polygon, of the hull of several parts, or a square around a point."""
    if isinstance(place, shapely.Polygon):
        return list(place.exterior.coords)
    if isinstance(place, shapely.Point):
        lat_m = METRES_PER_DEGREE * max(np.cos(np.radians(place.y)), 0.01)
        corners = CORNERS * (patch_m / lat_m, patch_m / METRES_PER_DEGREE) + (place.x, place.y)
        return [(float(lon), float(np.clip(lat, -90, 90))) for lon, lat in corners]
    hull = footprints.in_one_piece(place).convex_hull
    return _ring(hull if isinstance(hull, shapely.Polygon) else hull.centroid, patch_m)


def _ids(batch: pa.RecordBatch, layout: Layout, shapes: footprints.Geometries) -> list[str]:
    """Of the layout's column, else of what the vector was made from, else of the place; never the order."""
    names = foreign.ids_by_place(shapes)
    if layout.id is not None:
        given = batch[layout.id].to_pylist()
        return [
            name if one is None or one == "" else str(one) for one, name in zip(given, names, strict=True)
        ]
    if layout.source is not None:
        sources = batch[layout.source].to_pylist()
        return [
            PurePosixPath(one or name).stem if one else name for one, name in zip(sources, names, strict=True)
        ]
    return names


def _periods(batch: pa.RecordBatch, layout: Layout, period: Period | None) -> tuple[list[Any], list[Any]]:
    """[start, end) of each row."""
    if layout.time is None:
        assert period is not None
        return [period[0]] * len(batch), [period[1]] * len(batch)
    return foreign.periods_of(batch[layout.time], layout.time)
