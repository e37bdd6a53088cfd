"""Columns of rows as NumPy arrays: vectors as a matrix and their cosines, keys as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..geo.cells import Cells
from ..geo.row_ranges import Mask

Matrix = NDArray[np.float16] | NDArray[np.float32]  # as the table keeps them
Similarities = NDArray[np.float32]
Cosines = NDArray[np.float64]
Norms = NDArray[np.float32]
Microseconds = NDArray[np.int64]  # since 1970-01-01, UTC

KEY_NUMBERS = ("h3_cell", "start_datetime", "end_datetime")  # what of the key a filter looks at
DECIMALS = 7  # of a cosine: rows that are equal in them are equally similar, and stand in order of key
ROWS_AT_ONCE = 8_192  # taken to float64


def to_matrix(column: pa.Array | pa.ChunkedArray) -> Matrix:
    """A vector column as (n, d) of its own values; rows that are null come as NaN."""
    array = as_one(column)
    d = array.type.list_size
    values = array.values.slice(array.offset * d, len(array) * d)  # `flatten` would leave out null rows
    matrix = values.to_numpy(zero_copy_only=False).reshape(len(array), d)
    if array.null_count:
        matrix = matrix.copy()
        matrix[~array.is_valid().to_numpy(zero_copy_only=False)] = np.nan
    return np.asarray(matrix)


def to_array(values: NDArray[Any], kind: pa.DataType | None = None, null: Mask | None = None) -> pa.Array:
    """Values (n,) as an Arrow array of their own type, or one of the same width; null where a mask says so.

    `pa.array` does the same, but loads pandas, where that is installed, to ask whether it was given some.
    """
    kind = kind or pa.from_numpy_dtype(values.dtype)
    bits = _bits(values) if values.dtype == bool else np.ascontiguousarray(values)
    valid = pa.py_buffer(_bits(~null)) if null is not None and null.any() else None
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(bits)])


def to_numbers(column: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
    """Numbers or moments (n,), none of them null, as NumPy's; `to_numpy` loads pandas, as `pa.array` does."""
    array = as_one(column)
    moments = pa.types.is_timestamp(array.type)
    return np.from_dlpack(array.view(pa.int64()) if moments else array)


def as_one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one array, without a copy where it is in one piece."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _bits(mask: Mask) -> NDArray[np.uint8]:
    return np.packbits(mask, bitorder="little")


def inverse_norms(matrix: Matrix) -> Norms:
    """1 / L2 norm of vectors (n, d): (n,), 0 where a vector is null, zero or has no finite length."""
    norms = np.empty(len(matrix))
    for first in range(0, len(matrix), ROWS_AT_ONCE):
        some = matrix[first : first + ROWS_AT_ONCE].astype(np.float32)
        norms[first : first + ROWS_AT_ONCE] = np.sqrt(np.einsum("nd,nd->n", some, some, dtype=np.float64))
    directed = np.isfinite(norms) & (norms > 0)
    return np.divide(1, norms, out=np.zeros_like(norms), where=directed).astype(np.float32)


def has_direction(matrix: Matrix) -> Mask:
    """Which vectors (n, d) are neither null, zero nor without a finite length: (n,)."""
    return inverse_norms(matrix) > 0


def unit(vectors: NDArray[np.floating]) -> Cosines:
    """Vectors (..., d) divided by their norms, NaN where one has no direction."""
    exact = vectors.astype(np.float64)
    with np.errstate(invalid="ignore"):
        exact /= np.sqrt(np.einsum("...d,...d->...", exact, exact))[..., None]
    return exact


def cosines(matrix: Matrix, query: Cosines) -> Cosines:
    """Of vectors (n, d) with a query (d,) of norm 1, rounded to DECIMALS: (n,); or of q such pairs: (q, n).

    NaN where a vector has no direction.
    """
    if len(matrix) > ROWS_AT_ONCE:
        pieces = range(0, len(matrix), ROWS_AT_ONCE)
        return np.concatenate([cosines(matrix[first : first + ROWS_AT_ONCE], query) for first in pieces])
    exact = matrix.astype(np.float64)
    products, squares = np.matvec(exact, query), np.vecdot(exact, exact)
    with np.errstate(invalid="ignore"):
        return np.asarray((products / np.sqrt(squares)).round(DECIMALS))


def key_numbers(rows: pa.Table | pa.RecordBatch) -> tuple[Cells, Microseconds, Microseconds]:
    """The columns KEY_NUMBERS of rows (n): cells, starts and ends, (n,) each."""
    cells, start_us, end_us = (to_numbers(rows[name]) for name in KEY_NUMBERS)
    return cells, start_us, end_us
