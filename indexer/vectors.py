"""Vectors in rows, compared exactly: a float16 matrix, in memory or mapped from a file, scanned by FAISS.

Similarity is the inner product. A table's vectors have norm 1, so it is the cosine.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from .mapped import CheckedArray
from .row_ranges import Mask, RowRanges, Rows

Matrix = NDArray[np.float16]
Similarities = NDArray[np.float32]

SHORTEST_SCAN = 256  # rows: shorter ranges are gathered into one block before they are scanned
GATHERED_BYTES = 1 << 19  # gathered at a time: they stay in the processor's cache until they are scanned


@dataclass(frozen=True)
class Vectors:
    """One vector column of a segment."""

    matrix: CheckedArray  # (n, d) float16
    valid: CheckedArray | None = None  # (n,) bool, False where a row has no such vector; None: all have one

    @staticmethod
    def of(matrix: Matrix) -> Vectors:
        """Vectors (n, d) in memory."""
        valid = has_direction(matrix)
        return Vectors(CheckedArray(matrix), None if valid.all() else CheckedArray(valid))

    @property
    def count(self) -> int:
        """Rows that have such a vector."""
        return len(self.matrix) if self.valid is None else int(np.count_nonzero(self.valid.whole()))

    def nearest(self, rows: RowRanges, query: Similarities, k: int) -> tuple[Similarities, Rows]:
        """See `nearest`. Raises `DamagedIndexError`."""
        self.matrix.check(rows.starts, rows.stops)
        return nearest(self.matrix.unchecked, rows, query, k)


def has_direction(matrix: Matrix) -> Mask:
    """Which vectors (n, d) are neither null, zero nor without a finite length: (n,)."""
    squares = np.square(matrix, dtype=np.float32).sum(axis=1)
    return np.asarray(np.isfinite(squares) & (squares > 0))


def nearest(matrix: Matrix, rows: RowRanges, query: Similarities, k: int) -> tuple[Similarities, Rows]:
    """The k rows of a set most like a query (d,): similarities and rows, (min(k, count),), best first.

    One thread, one pass over the memory of those rows. Rows that are not finite are never returned.
    """
    dimension = matrix.shape[1]
    assert query.shape == (dimension,), (query.shape, dimension)
    k = min(k, rows.count)
    if k == 0:
        return np.empty(0, np.float32), np.empty(0, np.int64)
    scanner = _scanners.of(dimension)
    contiguous_query = np.ascontiguousarray(query, np.float32)
    scanner.set_query(faiss.swig_ptr(contiguous_query))
    best = np.full(k, -np.inf, np.float32)  # a heap that all blocks share
    best_rows = np.full(k, -1, np.int64)
    for block, block_rows in _blocks(matrix, rows):
        scanner.scan_codes(
            len(block),
            faiss.swig_ptr(block.view(np.uint8).reshape(-1)),
            faiss.swig_ptr(block_rows),
            faiss.swig_ptr(best),
            faiss.swig_ptr(best_rows),
            k,
        )
    order = np.lexsort((best_rows, -best))
    order = order[best_rows[order] >= 0]
    return best[order], best_rows[order]


class _Scanners(threading.local):
    """FAISS's float16 scanner of a dimension, one a thread: it holds the query, and Python cannot free it."""

    def __init__(self) -> None:
        self._kept: dict[int, Any] = {}

    def of(self, dimension: int) -> Any:
        if dimension not in self._kept:
            quantizer = faiss.ScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16)
            coarse = faiss.IndexFlatIP(dimension)  # asked for by the signature, not used
            scanner = quantizer.select_InvertedListScanner(  # type: ignore[attr-defined]
                faiss.METRIC_INNER_PRODUCT, coarse, False, None, False
            )
            self._kept[dimension] = (scanner, quantizer, coarse)
        return self._kept[dimension][0]


_scanners = _Scanners()


def _blocks(matrix: Matrix, rows: RowRanges) -> Iterator[tuple[Matrix, Rows]]:
    """The rows as contiguous pieces of memory, each with its row numbers."""
    long, short = rows.split(SHORTEST_SCAN)
    for start, stop in zip(long.starts.tolist(), long.stops.tolist(), strict=True):
        yield matrix[start:stop], np.arange(start, stop)
    scattered = short.rows()
    step = max(GATHERED_BYTES // (2 * matrix.shape[1]), 1)
    for first in range(0, len(scattered), step):
        gathered = scattered[first : first + step]
        yield np.take(matrix, gathered, axis=0), gathered
