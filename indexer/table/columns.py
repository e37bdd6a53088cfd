"""Columns of rows as NumPy arrays: vectors as a float16 matrix, keys as numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..geo.cells import Cells
from ..geo.row_ranges import Mask

Matrix = NDArray[np.float16]
Similarities = NDArray[np.float32]
Microseconds = NDArray[np.int64]  # since 1970-01-01, UTC

KEY_NUMBERS = ("h3_cell", "start_datetime", "end_datetime")  # what of the key a filter looks at


def to_matrix(column: pa.Array | pa.ChunkedArray) -> Matrix:
    """A vector column as (n, d) float16; rows that are null come as NaN."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    d = array.type.list_size
    values = array.values.slice(array.offset * d, len(array) * d)  # `flatten` would leave out null rows
    matrix = values.to_numpy(zero_copy_only=False).reshape(len(array), d)
    if array.null_count:
        matrix = matrix.copy()
        matrix[~array.is_valid().to_numpy(zero_copy_only=False)] = np.nan
    return np.asarray(matrix)


def has_direction(matrix: Matrix) -> Mask:
    """Which vectors (n, d) are neither null, zero nor without a finite length: (n,)."""
    squares = np.square(matrix, dtype=np.float32).sum(axis=1)
    return np.asarray(np.isfinite(squares) & (squares > 0))


def key_numbers(rows: pa.Table | pa.RecordBatch) -> tuple[Cells, Microseconds, Microseconds]:
    """The columns KEY_NUMBERS of rows (n): cells, starts and ends, (n,) each."""
    start_us, end_us = (rows[name].cast(pa.int64()).to_numpy() for name in KEY_NUMBERS[1:])
    return rows["h3_cell"].to_numpy(), start_us, end_us
