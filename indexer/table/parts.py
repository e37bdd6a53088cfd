"""Parquet part files: one writer, and readers that open only the row groups they need."""

import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import TableError
from ..geo import cells, footprints
from ..recent import Recent
from .manifest import Manifest, PartFile, SidecarFile
from .schema import (
    KEY,
    LICENCE,
    OPTIONAL_VECTORS,
    PARTITION,
    emb_metadata,
    extra_columns,
    geo_metadata,
    schema_version,
)
from .storage import Storage
from .terms import in_force, licences_of, shared

ROW_GROUP_ROWS = 16_384
WHOLE = "rows"  # the folder of parts without partitions
VECTORS = ("embedding", *OPTIONAL_VECTORS)
WIDE = {*VECTORS, "geometry", "bbox"}
NARROW_BYTES = 256 << 20
AT_ONCE = 8  # files fetched or compared
ITEMS = "source_items"
NAMES_IN_DICTIONARY = ["start_datetime", "end_datetime", "n_hr", "n_s2", "n_s1", f"{ITEMS}.list.element"]


_narrow = Recent[pa.Table](NARROW_BYTES, lambda rows: int(rows.nbytes))


def write_part(storage: Storage, rows: pa.Table, table: Manifest) -> PartFile:
    """One file of sorted rows, of one partition where there are any, named by its content's digest.

    Vectors are written plain and uncompressed (numbers of unit vectors do not compress), the rest with
    zstd; pages carry checksums.
    """
    numbers = rows["h3_cell"]
    first, last = numbers[0].as_py(), numbers[-1].as_py()
    folder = folder_of(first, table.partition_resolution)
    assert folder_of(last, table.partition_resolution) == folder, (first, last)
    content = _encode(rows.replace_schema_metadata(_footer(rows, table)))
    digest = hashlib.sha256(content).hexdigest()
    path = f"{folder}/part-{digest[:16]}.parquet"
    storage.put(path, content)
    return PartFile(path, rows.num_rows, len(content), first, last, digest, _footer_crc32(content))


def folder_of(cell: int, partition_resolution: int | None) -> str:
    """Where the part with this cell lies, relative to the table."""
    if partition_resolution is None:
        return WHOLE
    return f"{PARTITION}{partition_resolution}={cells.parent(cell, partition_resolution):x}"


def read_part(storage: Storage, file: PartFile) -> pa.Table:
    """All rows of a part."""
    with readable(storage, file):
        groups = range(_metadata(storage, file).num_row_groups)
        rows = _open(storage, file, groups).read(use_threads=True)
        _check_count(len(rows), file.rows)
        return rows


def scan_part(
    storage: Storage, file: PartFile, columns: Sequence[str], ranges: cells.Cells | None, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Rows of a part in order, those in the cell ranges alone; memory is one row group's."""
    wanted = list(dict.fromkeys([*columns, "h3_cell"])) if ranges is not None else list(columns)
    with readable(storage, file):
        groups = _groups_in(_metadata(storage, file), ranges)
        if not groups:
            return
        parquet = _open(storage, file, groups, wanted)
        expected = sum(parquet.metadata.row_group(group).num_rows for group in groups)
        for batch in parquet.iter_batches(batch_rows, row_groups=groups, columns=wanted, use_threads=True):
            expected -= len(batch)
            if ranges is None:
                yield batch
            else:
                yield from _slices_in(batch, ranges, columns)
        _check_count(-expected, 0)


def check_part(storage: Storage, file: PartFile, schema: pa.Schema) -> None:
    """Compare what a manifest says of a part with its footer: rows, first and last cell, columns.

    Raises:
        TableError: they differ, or the file is missing or damaged.
    """
    with readable(storage, file):
        metadata = _metadata(storage, file)
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        cells_said = [(group.column(0).statistics.min, group.column(0).statistics.max) for group in groups]
        said = metadata.num_rows, cells_said[0][0], cells_said[-1][1]
        if said != (file.rows, file.min_h3, file.max_h3):
            raise damaged(storage, file, "its rows or cells are not those that the manifest says")
        if not _schema(storage, file).equals(schema):
            raise damaged(storage, file, "its columns are not those of the table")


def geo_of(storage: Storage, file: PartFile) -> tuple[list[float], list[str]]:
    """What a part's footer says of its footprints: west, south, east, north, and kinds of geometry."""
    with readable(storage, file):
        about = json.loads(_metadata(storage, file).metadata[b"geo"])["columns"]["geometry"]
    return about["bbox"], about["geometry_types"]


def take_from_part(
    storage: Storage, file: PartFile, rows: NDArray[np.int64], columns: Sequence[str]
) -> pa.Table:
    """Rows by position in a part, in the order asked; opens only the row groups that hold them.

    A row group's columns but the wide ones are kept once read: they are what searches show of their hits.
    """
    with readable(storage, file):
        starts = _group_starts(storage, file)
        group_of_row = np.searchsorted(starts, rows, side="right") - 1
        taken, order = [], []
        for group in np.flatnonzero(np.bincount(group_of_row)).tolist():
            asked = np.flatnonzero(group_of_row == group)
            read = _row_group(storage, file, group, columns)
            taken.append(read.take(pa.array(rows[asked] - starts[group])))
            order.append(asked)
        both = pa.concat_tables(taken)
        if ITEMS in columns:
            plain = _schema(storage, file).field(ITEMS)
            both = both.set_column(list(columns).index(ITEMS), plain, both[ITEMS].cast(plain.type))
        return both if len(taken) == 1 else both.take(pa.array(np.argsort(np.concatenate(order))))


def _row_group(storage: Storage, file: PartFile, group: int, columns: Sequence[str]) -> pa.Table:
    if not WIDE.isdisjoint(columns):
        return _read_row_group(storage, file, group, columns)
    names = [name for name in _schema(storage, file).names if name not in WIDE]
    key = storage, file.path, file.sha256, group
    return _narrow.get(key, lambda: _read_row_group(storage, file, group, names)).select(list(columns))


def _read_row_group(storage: Storage, file: PartFile, group: int, columns: Sequence[str]) -> pa.Table:
    """A row group's columns; names that repeat stay in a dictionary, a tenth of the memory and time."""
    parquet = _open(storage, file, [group], columns, read_dictionary=[f"{ITEMS}.list.element"])
    return row_group(parquet, group, columns)


def row_group(parquet: pq.ParquetFile, group: int, columns: Sequence[str] | None = None) -> pa.Table:
    """Some columns of a row group, or all; its rows are counted. Raises `ArrowException`, see `readable`."""
    read = parquet.read_row_group(group, columns=columns and list(columns), use_threads=True)
    _check_count(len(read), parquet.metadata.row_group(group).num_rows)
    return read


def group_bounds(storage: Storage, file: PartFile) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """First row of each row group and the row count (g + 1,), and the bounds (g, 4) of all its footprints."""
    with readable(storage, file):
        return _group_starts(storage, file), _group_bounds(storage, file)


@lru_cache(maxsize=1024)
def _group_starts(storage: Storage, file: PartFile) -> NDArray[np.int64]:
    """First row of each row group, and the row count: (g + 1,)."""
    metadata = _metadata(storage, file)
    return np.cumsum([0, *(metadata.row_group(g).num_rows for g in range(metadata.num_row_groups))])


@lru_cache(maxsize=1024)
def _group_bounds(storage: Storage, file: PartFile) -> NDArray[np.float64]:
    """Of the footprints of each row group, by its statistics: west, south, east, north, (g, 4)."""
    metadata = _metadata(storage, file)
    return np.array([_bounds(metadata.row_group(g)) for g in range(metadata.num_row_groups)])


def read_group(storage: Storage, file: PartFile, group: int, columns: Sequence[str]) -> pa.Table:
    """Some columns of one row group."""
    with readable(storage, file):
        return _read_row_group(storage, file, group, columns)


def checked_copies(storage: Storage, files: Sequence[PartFile | SidecarFile]) -> list[Path]:
    """Where files are whole on the local disk, fetched where they were not.

    They are compared with their SHA-256, once for each in a process (1 GB/s per core). Raises TableError.
    """
    storage.check_room(sum(file.bytes for file in files if isinstance(file, PartFile)))
    _check_at_once(storage, tuple(files))
    return [checked_copy(storage, file) for file in files]


@lru_cache(maxsize=64)
def _check_at_once(storage: Storage, files: tuple[PartFile | SidecarFile, ...]) -> None:
    """The first look at many: later ones find them where they are."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(partial(checked_copy, storage), files):
            pass


def checked_copy(storage: Storage, file: PartFile | SidecarFile) -> Path:
    """One of them."""
    with readable(storage, file):
        path = storage.local_copy(file.path)
        _check_digest(storage, file, path, path.stat().st_ino)
        return path


@lru_cache(maxsize=100_000)
def _check_digest(storage: Storage, file: PartFile | SidecarFile, path: Path, inode: int) -> None:
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != file.sha256:
        raise damaged(storage, file, "its SHA-256 is not the one in the manifest")


def _encode(rows: pa.Table) -> memoryview:
    names = rows.schema.names
    compression = {leaf: "NONE" if leaf.split(".")[0] in VECTORS else "ZSTD" for leaf in _leaves(rows.schema)}
    sink = pa.BufferOutputStream()
    pq.write_table(
        rows,
        sink,
        row_group_size=ROW_GROUP_ROWS,
        compression=compression,
        use_dictionary=NAMES_IN_DICTIONARY,
        write_statistics=[
            leaf for leaf in _leaves(rows.schema) if leaf.split(".")[0] not in (*VECTORS, "geometry", "parts")
        ],
        sorting_columns=[pq.SortingColumn(names.index(name)) for name in KEY],
        write_page_checksum=True,
    )
    return memoryview(sink.getvalue()).cast("B")  # its native format is signed bytes


def _leaves(schema: pa.Schema) -> list[str]:
    """Names of the physical Parquet columns."""
    return [leaf for column in schema for leaf in _leaves_of(column.name, column.type)]


def _leaves_of(name: str, kind: pa.DataType) -> list[str]:
    if pa.types.is_struct(kind):
        return [leaf for child in kind for leaf in _leaves_of(f"{name}.{child.name}", child.type)]
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return _leaves_of(f"{name}.list.element", kind.value_type)
    return [name]


def _footer(rows: pa.Table, table: Manifest) -> dict[str, str]:
    bbox = rows["bbox"].combine_chunks()
    sides = [bbox.field(side).to_numpy(zero_copy_only=False) for side in footprints.BBOX_FIELDS]
    bounds = [sides[0].min(), sides[1].min(), sides[2].max(), sides[3].max()]
    kinds = footprints.geometry_types(rows["geometry"].to_numpy())
    imagery = {"imagery": json.dumps([asdict(source) for source in table.imagery])} if table.imagery else {}
    version = schema_version(extra_columns(rows.schema), table.values, table.partition_resolution)
    said = {
        "geo": json.dumps(geo_metadata(bounds, kinds)),
        "emb": json.dumps(emb_of(rows, table)),
        "skyhex:schema_version": str(version),
    }
    return imagery | terms_footer(rows, table) | said


def emb_of(rows: pa.Table, table: Manifest) -> dict[str, Any]:
    """The `emb` footer of some rows."""
    licence = shared(licences_of(rows, table.model.licence)) if LICENCE in rows.schema.names else None
    return emb_metadata(table.model, table.values, table.simulated, licence)


def terms_footer(rows: pa.Table, table: Manifest) -> dict[str, str]:
    """The footer `terms`, of rows that say their own licences."""
    if LICENCE not in rows.schema.names:
        return {}
    known = in_force(table.terms, licences_of(rows, table.model.licence))
    return {"terms": json.dumps([asdict(one) for one in known])}


def _footer_crc32(tail: bytes | memoryview) -> int:
    """Checksum of a Parquet footer at the end of `tail`: pages have their own, the footer has none."""
    length = int.from_bytes(tail[-8:-4], "little")
    return zlib.crc32(tail[-8 - length :])


def _open(
    storage: Storage,
    file: PartFile,
    groups: Sequence[int],
    columns: Sequence[str] | None = None,
    **options: Any,
) -> pq.ParquetFile:
    """A part, to read some row groups and columns of."""
    metadata = _metadata(storage, file)
    ranges = [span for group in groups for span in _spans(metadata.row_group(group), columns)]
    return open_parquet(storage.open(file.path, file.bytes, ranges), metadata, **options)


def open_parquet(source: Any, metadata: pq.FileMetaData, **options: Any) -> pq.ParquetFile:
    """A file whose pages are compared with their checksums when they are read."""
    # pre_buffer would read all that is asked for into memory before the first batch
    options |= {"metadata": metadata, "pre_buffer": False, "page_checksum_verification": True}
    return pq.ParquetFile(source, **options)


def _spans(group: pq.RowGroupMetaData, columns: Sequence[str] | None) -> Iterator[tuple[int, int]]:
    """Where the columns of a row group lie in the file: start and stop, ascending."""
    for column in map(group.column, range(group.num_columns)):
        if columns is None or column.path_in_schema.split(".")[0] in columns:
            start = column.dictionary_page_offset or column.data_page_offset
            yield start, start + column.total_compressed_size


@lru_cache(maxsize=1024)
def _metadata(storage: Storage, file: PartFile) -> pq.FileMetaData:
    """A part's footer, read once: parts never change."""
    tail = storage.read_end(file.path, 8, file.bytes)
    tail = storage.read_end(file.path, 8 + min(int.from_bytes(tail[:4], "little"), file.bytes), file.bytes)
    if tail[-4:] != b"PAR1" or _footer_crc32(tail) != file.footer_crc32:
        raise damaged(storage, file, "its footer is not the one that was written")
    return pq.read_metadata(BytesIO(tail))


@lru_cache(maxsize=1024)
def _schema(storage: Storage, file: PartFile) -> pa.Schema:
    return _metadata(storage, file).schema.to_arrow_schema()


@contextmanager
def readable(storage: Storage, file: PartFile | SidecarFile) -> Iterator[None]:
    """What goes wrong when a file is read, as TableError."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise damaged(storage, file, str(error).split("\n")[0]) from error


def _check_count(rows: int, expected: int) -> None:
    """A damaged page header, which no checksum covers, can end a column early."""
    if rows != expected:
        raise pa.ArrowInvalid(f"{rows} rows instead of {expected}")


def damaged(storage: Storage, file: PartFile | SidecarFile, reason: str) -> TableError:
    """What is said of a file that is not the one that was written; nothing of it is kept elsewhere."""
    storage.forget(file.path)
    return TableError(
        f"{storage.locate(file.path)} is missing or damaged ({reason}): restore it or open an older snapshot"
    )


def _groups_in(metadata: pq.FileMetaData, ranges: cells.Cells | None) -> list[int]:
    """Row groups that may hold a cell of the ranges, by their statistics."""
    groups = range(metadata.num_row_groups)
    if ranges is None:
        return list(groups)
    bounds = [metadata.row_group(g).column(0).statistics for g in groups]
    return [g for g, b in zip(groups, bounds, strict=True) if cells.overlaps(b.min, b.max, ranges)]


def _bounds(group: pq.RowGroupMetaData) -> list[float]:
    """Of all footprints of a row group, by its statistics: west, south, east, north."""
    columns = {column.path_in_schema: column for column in map(group.column, range(group.num_columns))}
    west, south, east, north = (columns[f"bbox.{side}"].statistics for side in footprints.BBOX_FIELDS)
    return [west.min, south.min, east.max, north.max]


def _slices_in(
    batch: pa.RecordBatch, ranges: cells.Cells, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """The rows of a batch that lie in the ranges, gathered."""
    inside = cells.in_ranges(batch["h3_cell"].to_numpy(), ranges)
    if inside.any():
        kept = batch if inside.all() else batch.take(pa.array(np.flatnonzero(inside)))
        yield kept.select(list(columns))
