"""The row: its columns, the metadata in each file's footer, and `make_rows`, which builds checked rows.

The specification is docs/embedding_table.md.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import ArrayLike, NDArray

from ..errors import TableError
from ..geo import cells, footprints

SCHEMA_VERSION = 1
EXTRA_SCHEMA_VERSION = 2  # of tables with further columns, which version 1 would lose when it rewrites a part
NEWEST_SCHEMA_VERSION = 4  # of small tables without partitions, which an earlier program would part by cell
TERMS_SCHEMA_VERSION = 3  # of tables of float32 vectors, and of those whose rows have several licences: an
# earlier version does not read the first, and takes what holds for some rows of the second as said of all
GEOPARQUET_VERSION = "1.1.0"
LICENCE = "licence"  # the further column of tables whose rows have several
KEY = ("h3_cell", "sample_id", "start_datetime", "end_datetime")
OPTIONAL_VECTORS = ("embedding_geo", "embedding_hr", "embedding_s2", "embedding_s1")
COUNTS = ("n_hr", "n_s2", "n_s1")
SOURCE_ITEMS = pa.list_(pa.string())
VECTOR_SUM = pa.list_(pa.field("element", pa.float64(), nullable=False))
PARTS = pa.list_(  # what each piece of a raster knows of a cell that its edge cuts
    pa.field(
        "element",
        pa.struct(
            [
                pa.field(
                    "source", pa.string(), nullable=False
                ),  # the piece; a later one of this name replaces it
                pa.field("grid", pa.string(), nullable=False),  # pieces of one grid share pixels' places
                pa.field("pixels", pa.int32(), nullable=False),  # seen
                pa.field("cell_pixels", pa.int32(), nullable=False),  # of the whole cell that the grid owns
                pa.field("elsewhere", pa.bool_(), nullable=False),  # some of the cell is another grid's
                pa.field("valid_pixels", pa.int32(), nullable=False),
                pa.field("lengths", pa.float64(), nullable=False),  # summed over valid pixels
                pa.field("sums", VECTOR_SUM, nullable=False),  # of vectors, (d,)
                pa.field("squares", VECTOR_SUM),  # of vectors' squares, where deviations are kept
            ]
        ),
        nullable=False,
    )
)
EXTRA_TYPES: Mapping[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "parts": PARTS,
}
Values = Literal["float16", "float32"]  # how a table keeps the numbers of its vectors
VALUE_TYPES: Mapping[Values, pa.DataType] = {"float16": pa.float16(), "float32": pa.float32()}
NORM_TOLERANCE: Mapping[Values, float] = {  # of |1 - norm|
    "float16": 1e-3,  # rounding moves it by 2**-11 at most, plus the tiniest values
    "float32": 1e-6,  # the norm, the quotient and its rounding: 2**-24 each, and so for what reads it back
}
HALVED = {
    "method": "round to nearest, ties to even",
    "original_dtype": "float32",
    "quantized_dtype": "float16",
}
PARTITION = "h3_r"  # what folders of one partition are called by, before its resolution
TIMESTAMP = pa.timestamp("us", tz="UTC")
BBOX = pa.struct([pa.field(name, pa.float64(), nullable=False) for name in footprints.BBOX_FIELDS])


@dataclass(frozen=True)
class ModelInfo:
    """The model that made a table's vectors. Tables hold one; its digest is its identity."""

    name: str  # "skyhex/nano-1"
    digest: str  # SHA-256 of the weights, hexadecimal
    dimension: int  # d of `embedding`
    licence: str  # SPDX identifier, or "other"
    trained: bool  # False: a seeded initialisation
    config: Mapping[str, Any] = field(default_factory=dict)  # whatever made the weights; JSON values

    def __str__(self) -> str:
        return f"{self.name} ({self.digest[:12]}, {self.dimension} dimensions)"


def table_schema(
    dimension: int,
    optional: Mapping[str, int],
    extra: Mapping[str, str] = MappingProxyType({}),
    values: Values = "float16",
) -> pa.Schema:
    """The columns in order.

    `optional` gives the dimension of each optional vector column present, `extra` the type of each further
    column, by its name in EXTRA_TYPES, `values` that of the numbers in vectors.
    """
    return pa.schema(
        [
            pa.field("h3_cell", pa.uint64(), nullable=False),
            pa.field("sample_id", pa.string(), nullable=False),
            pa.field("start_datetime", TIMESTAMP, nullable=False),
            pa.field("end_datetime", TIMESTAMP, nullable=False),
            pa.field("geometry", pa.binary(), nullable=False),
            pa.field("bbox", BBOX, nullable=False),
            pa.field("embedding", vector_type(dimension, values), nullable=False),
            *(
                pa.field(name, vector_type(optional[name], values))
                for name in OPTIONAL_VECTORS
                if name in optional
            ),
            *(pa.field(name, pa.int16(), nullable=False) for name in COUNTS),
            pa.field("valid_fraction", pa.float32()),
            pa.field("cloud_fraction", pa.float32()),
            pa.field("source_items", SOURCE_ITEMS, nullable=False),
            *(pa.field(name, EXTRA_TYPES[kind]) for name, kind in extra.items()),
        ]
    )


def vector_type(dimension: int, values: Values = "float16") -> pa.DataType:
    """fixed_size_list<values>[dimension]."""
    return pa.list_(pa.field("element", VALUE_TYPES[values], nullable=False), dimension)


def optional_columns(schema: pa.Schema) -> dict[str, int]:
    """The optional vector columns that a schema has, with their dimensions."""
    return {name: schema.field(name).type.list_size for name in OPTIONAL_VECTORS if name in schema.names}


def schema_version(extra: Mapping[str, str], values: Values, partition_resolution: int | None) -> int:
    """The version of a table: the lowest whose readers and writers stay right with it."""
    if partition_resolution is None:
        return NEWEST_SCHEMA_VERSION
    if values != "float16" or LICENCE in extra:
        return TERMS_SCHEMA_VERSION
    return EXTRA_SCHEMA_VERSION if extra else SCHEMA_VERSION


def extra_columns(schema: pa.Schema) -> dict[str, str]:
    """The further columns that a schema has, with their types. Raises TableError for types not kept."""
    own = {*table_schema(1, {}).names, *OPTIONAL_VECTORS}
    types = {column.name: column.type for column in schema if column.name not in own}
    kinds = {kind: name for name, kind in EXTRA_TYPES.items()}
    for name, kind in types.items():
        if kind not in kinds:
            raise TableError(f"column {name} is {kind}: expected one of {', '.join(EXTRA_TYPES)}")
    return {name: kinds[kind] for name, kind in types.items()}


def make_rows(
    *,
    h3_cell: ArrayLike,  # (n,) integers, one resolution
    sample_id: Sequence[str],  # (n,)
    start: Sequence[datetime] | NDArray[np.datetime64],  # (n,) UTC, the period [start, end)
    end: Sequence[datetime] | NDArray[np.datetime64],  # (n,)
    footprint: Sequence[footprints.Ring]
    | footprints.Geometries,  # (n,) rings of (lon_deg, lat_deg), or polygons
    embedding: NDArray[np.floating[Any]],  # (n, d)
    model: ModelInfo,
    n_hr: ArrayLike = 0,  # (n,) dates used, or one number of all rows
    n_s2: ArrayLike = 0,
    n_s1: ArrayLike = 0,
    valid_fraction: ArrayLike = np.nan,  # (n,) or one number, NaN = unknown
    cloud_fraction: ArrayLike = np.nan,
    source_items: Sequence[Sequence[str]] | pa.Array | None = None,  # (n,), an array of SOURCE_ITEMS
    embedding_geo: NDArray[np.floating[Any]] | None = None,  # (n, e), NaN rows = null
    embedding_hr: NDArray[np.floating[Any]] | None = None,  # (n, d), NaN rows = null
    embedding_s2: NDArray[np.floating[Any]] | None = None,
    embedding_s1: NDArray[np.floating[Any]] | None = None,
    extra: Mapping[str, pa.Array] = MappingProxyType({}),  # further columns, (n,) each, of EXTRA_TYPES
    values: Values = "float16",  # of vectors: the table's
) -> pa.Table:
    """Checked rows in order of key, with the model in the schema's metadata, ready for `upsert`.

    Vectors are scaled to L2 norm 1 and rounded to `values`. Datetimes without a zone are taken as UTC.

    Raises:
        TableError: columns of different lengths, a vector that is not finite, zero or of another dimension,
            a period that ends before it starts, cells that are invalid or of several resolutions,
            a key that comes twice; the row is named.
    """
    names = list(sample_id)
    vectors = {"embedding": embedding, "embedding_geo": embedding_geo, "embedding_hr": embedding_hr,
               "embedding_s2": embedding_s2, "embedding_s1": embedding_s1}  # fmt: skip
    if np.ndim(embedding) != 2 or np.shape(embedding)[1] != model.dimension:
        raise TableError(
            f"embedding has shape {np.shape(embedding)}: expected (rows, {model.dimension}) of {model}"
        )
    numbers = dict(zip(COUNTS, (n_hr, n_s2, n_s1), strict=True))
    shares = {"valid_fraction": valid_fraction, "cloud_fraction": cloud_fraction}
    source_items = [()] * len(names) if source_items is None else source_items
    shapes = _footprints(footprint, names)
    columns: dict[str, Any] = {
        "h3_cell": pa.array(_checked_cells(h3_cell, names)),
        "sample_id": pa.array(names, pa.string()),
        "start_datetime": pa.array(start, TIMESTAMP),
        "end_datetime": pa.array(end, TIMESTAMP),
        "geometry": pa.array(shapely.to_wkb(shapes), pa.binary()),
        "bbox": footprints.bbox_array(shapes),
        **{name: _vector_array(name, v, names, values) for name, v in vectors.items() if v is not None},
        **{name: _of_each(value, np.int16, names) for name, value in numbers.items()},
        **{name: _of_each(value, np.float32, names) for name, value in shares.items()},
        "source_items": source_items
        if isinstance(source_items, pa.Array)
        else pa.array([list(items) for items in source_items], SOURCE_ITEMS),
        **extra,
    }
    wrong = {name: len(column) for name, column in columns.items() if len(column) != len(names)}
    if wrong:
        raise TableError(f"{len(names)} values of sample_id, but {wrong}: every column needs one value a row")
    optional = {name: columns[name].type.list_size for name in OPTIONAL_VECTORS if name in columns}
    kinds = extra_columns(pa.schema([pa.field(name, column.type) for name, column in extra.items()]))
    rows = pa.table(columns, table_schema(model.dimension, optional, kinds, values))
    _check_rows(rows, names)
    rows = sort_by_key(rows)
    _check_unique(rows)
    return rows.replace_schema_metadata({"emb": json.dumps(emb_metadata(model, values))})


def sort_by_key(rows: pa.Table) -> pa.Table:
    """Rows in order of their key; copied only where they are not yet."""
    import pyarrow.compute as pc

    order = pc.sort_indices(rows, [(name, "ascending") for name in KEY]).to_numpy()
    return rows if (order[1:] > order[:-1]).all() else rows.take(pa.array(order))


def repeated_keys(rows: pa.Table) -> NDArray[np.int64]:
    """Which rows have the key of the row before them; `rows` in order of key."""
    import pyarrow.compute as pc

    same = np.ones(max(rows.num_rows - 1, 0), np.bool_)
    for name in KEY:
        column = rows[name].combine_chunks()
        same &= pc.equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    return np.flatnonzero(same) + 1


def emb_metadata(
    model: ModelInfo, values: Values, simulated: bool = False, licence: str | None = None
) -> dict[str, Any]:
    """The `emb` footer: fields of the STAC embedding extension (geoembeddings.org), and the model whole.

    `licence` is what holds for the rows, where it is not the model's.
    """
    return {
        "version": "0.0.1",
        "type": "chip",
        "dimensions": model.dimension,
        "data_type": values,
        **({"quantization": HALVED} if values == "float16" else {}),
        "normalisation": "L2",
        "chip_layout": {"layout_type": "named_grid", "grid_id": "H3"},
        "license": licence or model.licence,
        "weights": "trained" if model.trained else "untrained",
        "simulated": simulated,
        "model": asdict(model),
    }


def geo_metadata(bounds: Sequence[float], geometry_types: Sequence[str]) -> dict[str, Any]:
    """The `geo` footer of GeoParquet 1.1 with a bbox covering; CRS is the default, OGC:CRS84."""
    covering = {side: ["bbox", side] for side in footprints.BBOX_FIELDS}
    geometry = {
        "encoding": "WKB",
        "geometry_types": list(geometry_types),
        "orientation": "counterclockwise",
        "bbox": list(bounds),
        "covering": {"bbox": covering},
    }
    return {"version": GEOPARQUET_VERSION, "primary_column": "geometry", "columns": {"geometry": geometry}}


def model_of(schema: pa.Schema) -> ModelInfo:
    """The model named in rows' metadata.

    Raises:
        TableError: there is none, so the rows did not come from `make_rows`.
    """
    text = (schema.metadata or {}).get(b"emb")
    if text is None:
        raise TableError("these rows do not say which model made them: build them with make_rows")
    return ModelInfo(**json.loads(text)["model"])


def _of_each(values: ArrayLike, kind: type[np.number[Any]], names: Sequence[str]) -> pa.Array:
    """Values (n,), or one number for every row; NaN is null."""
    array = np.asarray(values, kind)
    return pa.array(array if array.ndim else np.full(len(names), array), from_pandas=True)


def _checked_cells(h3_cell: ArrayLike, names: Sequence[str]) -> cells.Cells:
    numbers = cells.as_cells(h3_cell)
    valid = cells.are_valid(numbers)
    if not valid.all():
        row = int(np.argmin(valid))
        raise TableError(f"row {row} ({names[row]}): {numbers[row]} is not an H3 cell")
    resolutions = cells.resolutions(numbers)
    if len(set(resolutions.tolist())) > 1:
        row = int(np.argmax(resolutions != resolutions[0]))
        raise TableError(
            f"row {row} ({names[row]}): cell {cells.cell_to_text(numbers[row])} has resolution "
            f"{resolutions[row]}, the rows before it {resolutions[0]}: a table has one resolution"
        )
    return numbers


def _vector_array(
    name: str, vectors: NDArray[np.floating[Any]], names: Sequence[str], values: Values
) -> pa.Array:
    """(n, d) vectors, normalised; an optional column's NaN rows become null."""
    matrix = np.asarray(vectors, np.float32)
    if matrix.ndim != 2:
        raise TableError(f"{name} has shape {matrix.shape}: expected (rows, dimension)")
    absent = np.isnan(matrix).all(axis=1) if name != "embedding" else np.zeros(len(matrix), np.bool_)
    norm = np.sqrt(np.einsum("nd,nd->n", matrix, matrix, dtype=np.float64))
    bad = ~absent & ~(np.isfinite(norm) & (norm > 0))
    if bad.any():
        row = int(np.argmax(bad))
        what = "is all zeros" if norm[row] == 0 else "holds NaN or infinity"
        label = names[row] if row < len(names) else "no sample_id"
        raise TableError(f"row {row} ({label}): {name} {what}, so it has no direction to compare")
    unit = matrix / np.where(absent, 1, norm)[:, None].astype(np.float32)
    flat = pa.array(unit.astype(values).ravel())
    mask = pa.array(absent) if absent.any() else None
    return pa.FixedSizeListArray.from_arrays(flat, type=vector_type(matrix.shape[1], values), mask=mask)


def _footprints(
    rings: Sequence[footprints.Ring] | footprints.Geometries, names: Sequence[str]
) -> footprints.Geometries:
    if isinstance(rings, np.ndarray):
        return rings
    wrong = footprints.faulty(rings)
    if wrong.any():
        row = int(np.argmax(wrong))
        label = names[row] if row < len(names) else "no sample_id"
        raise TableError(
            f"row {row} ({label}): footprint {rings[row]!r:.80} is not a closed ring of (lon, lat) degrees"
        )
    return footprints.polygons(rings)


def _check_rows(rows: pa.Table, names: Sequence[str]) -> None:
    """Empty names, periods the wrong way round."""
    import pyarrow.compute as pc

    nameless = pc.equal(rows["sample_id"], "")
    backwards = pc.less_equal(rows["end_datetime"], rows["start_datetime"])
    for bad, what in ((nameless, "sample_id is empty"), (backwards, "the period ends before it starts")):
        flags = bad.to_numpy()
        if flags.any():
            row = int(np.argmax(flags))
            raise TableError(f"row {row} ({names[row]}): {what}")


def _check_unique(rows: pa.Table) -> None:
    twice = repeated_keys(rows)
    if len(twice):
        row = rows.slice(int(twice[0]), 1).to_pylist()[0]
        raise TableError(
            f"{len(twice)} rows repeat the key of another, first {row['sample_id']} at cell "
            f"{cells.cell_to_text(row['h3_cell'])}, {row['start_datetime']:%Y-%m-%d} to "
            f"{row['end_datetime']:%Y-%m-%d}: a sample has one row per cell and period"
        )
