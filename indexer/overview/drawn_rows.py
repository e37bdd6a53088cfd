"""Some rows of a table, each as likely as any other, or all where they are few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from ..geo.cells import centres
from ..table.columns import Matrix, has_direction, to_matrix, unit
from ..table.embedding_table import EmbeddingTable
from ..table.schema import KEY

MOST_ROWS = 20_000


@dataclass(frozen=True)
class DrawnRows:
    """Rows drawn from a snapshot, in order of key; those without a direction left out."""

    keys: pa.Table  # (n,) the columns of KEY
    vectors: NDArray[np.float32]  # (n, d) of norm 1
    of_rows: int  # that they were drawn from


def draw_rows(
    table: EmbeddingTable, most: int = MOST_ROWS, *, column: str = "embedding", seed: int = 0
) -> DrawnRows:
    """At most so many rows; the table is read through once, in the memory of those that are kept.

    Raises:
        TableError: the table cannot be read.
    """
    numbers, seen = drawn_numbers(table.row_count, most, seed), 0
    taken, columns = [], [*KEY, column]
    for batch in table.scan(columns):
        first, last = np.searchsorted(numbers, (seen, seen + len(batch)))
        taken.append(batch.take(pa.array(numbers[first:last] - seen)))
        seen += len(batch)
    schema = pa.schema([table.schema.field(name) for name in columns])
    rows = pa.Table.from_batches(taken, schema).combine_chunks()
    return directed(rows.select(list(KEY)), to_matrix(rows[column]), table.row_count)


def with_columns(keys: pa.Table, **columns: ArrayLike) -> pa.Table:
    """Keys of rows (n,) with lon and lat, and further columns (n,)."""
    lon_deg, lat_deg = centres(keys["h3_cell"].to_numpy())
    for name, values in {"lon": lon_deg, "lat": lat_deg, **columns}.items():
        keys = keys.append_column(name, pa.array(values))
    return keys


def drawn_numbers(rows: int, most: int, seed: int = 0) -> NDArray[np.int64]:
    """Which of so many rows are drawn, in order."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def directed(keys: pa.Table, matrix: Matrix, of_rows: int) -> DrawnRows:
    """Keys (n,) and vectors (n, d) of rows that were drawn; those without a direction left out."""
    usable = has_direction(matrix)
    vectors = unit(matrix[usable]).astype(np.float32)
    return DrawnRows(keys.filter(pa.array(usable)), vectors, of_rows)
