"""What stays the same for one snapshot of a table, kept between the reruns of the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import streamlit as st

from indexer.geo.cells import Cells
from indexer.index.faiss_index import open_index
from indexer.index.mapped import DamagedIndexError
from indexer.index.segment import Keys
from indexer.index.vectors import Vectors
from indexer.prototypes.assignments import assigned
from indexer.prototypes.regional import Prototypes, read_prototypes
from indexer.search.filter import Filter
from indexer.search.matching import Matching
from indexer.search.query import check_column
from indexer.table.columns import key_numbers, to_matrix
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY

from .kinds import group, letters
from .map_cells import Area, MapCells, find_areas, group_by_cell

MAX_VECTOR_BYTES = 512 << 20  # of vectors kept to colour every cell: 2 million rows of 128


def table_key(table: EmbeddingTable) -> tuple[str, int]:
    """What tells one snapshot from all others."""
    return table.storage.root, table.snapshot


BY_SNAPSHOT: dict[Any, Any] = {EmbeddingTable: table_key}


@dataclass(frozen=True)
class RowKeys:
    """Where and when rows of a table are, and what they are like."""

    cells: Cells  # (n,) uint64
    start_us: np.ndarray  # (n,) int64, microseconds since 1970-01-01, UTC
    end_us: np.ndarray  # (n,) int64
    region: Cells  # (n,) uint64, 0 = none
    prototype: np.ndarray  # (n,) int64 number within the region, -1 = none

    def matching(self, table: EmbeddingTable, filter: Filter) -> np.ndarray:
        """Which rows (n,) bool match a filter, as a search decides it."""
        keys = Keys.of(self.cells, self.start_us, self.end_us)
        return Matching.of(table, filter).in_table_order(keys)


@dataclass(frozen=True)
class Kinds:
    """A table's prototypes, and the few kinds that they fall into."""

    prototypes: Prototypes
    kind: np.ndarray  # (p,) int64, numbered by falling count of rows

    @property
    def labels(self) -> list[str]:
        """Of each kind: its letter and its share of all rows."""
        return letters(self.kind, self.prototypes.n_rows)

    def of_rows(self, keys: RowKeys) -> np.ndarray:
        """The kind (n,) of each row, -1 = none."""
        first = np.searchsorted(self.prototypes.region_cell, keys.region)  # (n,) where its region's begin
        last = len(self.kind) - 1
        return np.where(keys.prototype >= 0, self.kind[np.minimum(first + keys.prototype, last)], -1)


@st.cache_resource(max_entries=4, show_spinner="Reading the table's cells", hash_funcs=BY_SNAPSHOT)
def read_keys(table: EmbeddingTable) -> RowKeys:
    """Keys and assignments of all rows, in order of cell."""
    fitted = table.sidecar("prototypes") is not None  # else nothing is asked of names
    return keys_of(table, _read(table, [name for name in KEY if fitted or name != "sample_id"]))


def keys_of(table: EmbeddingTable, rows: pa.Table) -> RowKeys:
    """Keys and assignments of rows (n) that have the columns of KEY, in their order."""
    rows = assigned(table, rows).combine_chunks()
    if "prototype" not in rows.column_names:
        return RowKeys(*key_numbers(rows), np.zeros(len(rows), np.uint64), np.full(len(rows), -1, np.int64))
    region = rows["region_cell"].fill_null(0).to_numpy()
    prototype = rows["prototype"].fill_null(-1).to_numpy().astype(np.int64)
    return RowKeys(*key_numbers(rows), region, prototype)


def _read(table: EmbeddingTable, columns: Sequence[str]) -> pa.Table:
    """Some columns of all rows."""
    schema = pa.schema([table.schema.field(name) for name in columns])
    return pa.Table.from_batches(table.scan(columns), schema).combine_chunks()


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=BY_SNAPSHOT)
def read_kinds(table: EmbeddingTable) -> Kinds | None:
    """The table's prototypes in kinds; None where none were fitted, or no row has a direction to fit to."""
    prototypes = read_prototypes(table) if table.sidecar("prototypes") else None
    if prototypes is None or not len(prototypes.vectors):
        return None
    return Kinds(prototypes, group(prototypes.vectors, prototypes.n_rows.astype(np.float64)))


@st.cache_resource(max_entries=2, show_spinner="Reading the table's vectors", hash_funcs=BY_SNAPSHOT)
def read_vectors(table: EmbeddingTable, column: str = "embedding") -> Vectors | None:
    """All vectors (n, d) of a column in order of cell, or None where they are too many to keep.

    They are the index's own where it holds the snapshot in one piece: mapped from its file, in no memory of
    the page.
    """
    check_column(table, column)
    indexed = _vectors_of_index(table, column)
    if indexed is not None:
        return indexed
    dimension = table.manifest.optional.get(column, table.dimension)
    if table.row_count * dimension * 2 > MAX_VECTOR_BYTES:
        return None
    blocks = [to_matrix(batch[column]) for batch in table.scan([column])]
    return Vectors.of(np.concatenate([np.zeros((0, dimension), np.float16), *blocks]))


def _vectors_of_index(table: EmbeddingTable, column: str) -> Vectors | None:
    """The index's vectors (n, d), or None where it has other rows than the snapshot, or is damaged."""
    index, _ = open_index(table)
    if index is None or index.missing or len(index.segments) != 1:
        return None
    segment = index.segments[0].segment
    if len(segment) != table.row_count or column not in segment.vectors:
        return None
    try:
        vectors = segment.vectors[column]
        vectors.matrix.whole(), vectors.inverse_norms.whole()  # checked here, once
        return vectors if np.array_equal(segment.keys.cells.whole(), read_keys(table).cells) else None
    except DamagedIndexError:
        return None


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=BY_SNAPSHOT)
def read_cells(table: EmbeddingTable) -> MapCells:
    """Each cell of the table once."""
    return group_by_cell(read_keys(table).cells)


@st.cache_data(max_entries=4, show_spinner=False, hash_funcs=BY_SNAPSHOT)
def read_areas(table: EmbeddingTable) -> list[Area]:
    """The parts of the table that lie apart, the largest first."""
    return find_areas(read_keys(table).cells)


def similarities(vectors: Vectors, queries: np.ndarray, all_of: bool = False) -> np.ndarray:
    """The greatest cosine (n,) float32 of stored vectors with unit queries (m, d), or the least."""
    best = np.fmin if all_of else np.fmax
    return reduce(best, (vectors.similarity_of_each(query) for query in queries))
