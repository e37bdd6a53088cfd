"""Vectors in rows, compared exactly: a float16 matrix, in memory or mapped from a file, scanned by FAISS.

Similarity is the inner product. A table's vectors have norm 1, so it is the cosine.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from ..geo.row_ranges import RowRanges, Rows
from ..table.columns import Matrix, Similarities, has_direction
from .mapped import CheckedArray

PIECE_ROWS = 8_192  # scanned at a time
RANGE_ROWS = 1 << 17  # the same where every similarity is kept
FEWEST_TOGETHER = 4  # queries, and rows: for fewer, one after the other is as fast
MOST_QUERIES = 256  # at a time
MOST_TOGETHER = 1_000  # hits: sorting more out costs more than scanning
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

    def nearest_many(self, rows: RowRanges, queries: Similarities, k: int) -> list[tuple[Similarities, Rows]]:
        """See `nearest_many`. Raises `DamagedIndexError`."""
        self.matrix.check(rows.starts, rows.stops)
        return nearest_many(self.matrix.unchecked, rows, queries, k)

    def nearest_of(self, rows: Rows, query: Similarities, k: int) -> tuple[Similarities, Rows]:
        """See `nearest_of`. Raises `DamagedIndexError`."""
        self.matrix.check(rows, rows + 1)
        return nearest_of(self.matrix.unchecked, rows, query, k)


def nearest(matrix: Matrix, rows: RowRanges, query: Similarities, k: int) -> tuple[Similarities, Rows]:
    """The k rows of a set most like a query (d,): similarities and rows, (min(k, count),), best first.

    One thread, one pass over the memory of those rows. Rows that are not finite are never returned.
    """
    return _best(_blocks(matrix, rows), query, min(k, rows.count))


def nearest_many(
    matrix: Matrix, rows: RowRanges, queries: Similarities, k: int
) -> list[tuple[Similarities, Rows]]:
    """`nearest` for each query (q, d): one pass and a product of matrices, on all threads."""
    k = min(k, rows.count)
    if min(len(queries), rows.count) < FEWEST_TOGETHER or k > MOST_TOGETHER:
        return [nearest(matrix, rows, query, k) for query in queries]
    parts = (queries[first : first + MOST_QUERIES] for first in range(0, len(queries), MOST_QUERIES))
    return [answer for part in parts for answer in _best_of_many(_blocks(matrix, rows), part, k)]


def _best_of_many(
    blocks: Iterable[tuple[Matrix, Rows]], queries: Similarities, k: int
) -> list[tuple[Similarities, Rows]]:
    best = np.full((len(queries), k), -np.inf, np.float32)
    best_rows = np.full((len(queries), k), -1)
    for block, block_rows in blocks:
        similarity = queries @ block.astype(np.float32).T
        similarity[np.isnan(similarity)] = -np.inf
        both = np.concatenate([best, similarity], axis=1)
        top = np.argpartition(both, -k, axis=1)[:, -k:]
        best = np.take_along_axis(both, top, axis=1)
        rows = np.r_[np.full(k, -1), block_rows][top]
        best_rows = np.where(top < k, np.take_along_axis(best_rows, np.minimum(top, k - 1), axis=1), rows)
    best_rows[np.isneginf(best)] = -1
    return [_in_order(*found) for found in zip(best, best_rows, strict=True)]


def nearest_of(matrix: Matrix, rows: Rows, query: Similarities, k: int) -> tuple[Similarities, Rows]:
    """`nearest` among distinct rows (m,), in any order."""
    return _best(_gathered(matrix, np.sort(rows)), query, min(k, len(rows)))


def _best(blocks: Iterable[tuple[Matrix, Rows]], query: Similarities, k: int) -> tuple[Similarities, Rows]:
    """The k best rows of blocks, each with its row numbers."""
    best, best_rows = np.empty(k, np.float32), np.empty(k, np.int64)  # a heap that all blocks share
    if k == 0:
        return best, best_rows
    best.fill(-np.inf)
    best_rows.fill(-1)
    scanner = _scanners.of(len(query))
    contiguous_query = np.ascontiguousarray(query, np.float32)
    scanner.set_query(faiss.swig_ptr(contiguous_query))
    heap = faiss.swig_ptr(best), faiss.swig_ptr(best_rows)
    for block, block_rows in blocks:
        assert block.shape[1:] == query.shape, (block.shape, query.shape)
        codes = block.view(np.uint8).reshape(-1)
        scanner.scan_codes(len(block), faiss.swig_ptr(codes), faiss.swig_ptr(block_rows), *heap, k)
    return _in_order(best, best_rows)


def _in_order(best: Similarities, best_rows: Rows) -> tuple[Similarities, Rows]:
    """The most alike first; of equal ones the first row."""
    order = np.lexsort((best_rows, -best))
    if best_rows[order[-1]] < 0:  # rows that are not finite were not taken
        order = order[best_rows[order] >= 0]
    return best[order], best_rows[order]


def similarity_of_each(matrix: Matrix, query: Similarities) -> Similarities:
    """The similarity (n,) of every row to a query (d,), in order; NaN where a row is not finite.

    One thread, one pass over the memory.
    """
    found = np.full(len(matrix), np.nan, np.float32)
    scanner = _scanners.of(len(query))
    contiguous_query = np.ascontiguousarray(query, np.float32)
    scanner.set_query(faiss.swig_ptr(contiguous_query))
    for first in range(0, len(matrix), RANGE_ROWS):
        block = np.ascontiguousarray(matrix[first : first + RANGE_ROWS])
        rows = np.arange(first, first + len(block))
        taken = faiss.RangeSearchResult(1)
        partial = faiss.RangeSearchPartialResult(taken)  # type: ignore[attr-defined]
        into, codes = partial.new_result(0), block.view(np.uint8).reshape(-1)
        scanner.scan_codes_range(len(block), faiss.swig_ptr(codes), faiss.swig_ptr(rows), -np.inf, into)
        count = into.nres
        partial.finalize()
        labels = faiss.rev_swig_ptr(taken.labels, count)
        found[labels] = faiss.rev_swig_ptr(taken.distances, count)
    return found


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
    """Rows as pieces of memory, each with its row numbers."""
    if len(rows.starts) == 1:
        return _pieces(matrix, rows)
    long, scattered = rows.pieces
    return itertools.chain(_pieces(matrix, long), _gathered(matrix, scattered))


def _pieces(matrix: Matrix, rows: RowRanges) -> Iterator[tuple[Matrix, Rows]]:
    """The ranges as they lie in memory."""
    for start, stop in zip(rows.starts.tolist(), rows.stops.tolist(), strict=True):
        for first in range(start, stop, PIECE_ROWS):
            last = min(first + PIECE_ROWS, stop)
            yield matrix[first:last], np.arange(first, last)


def _gathered(matrix: Matrix, rows: Rows) -> Iterator[tuple[Matrix, Rows]]:
    """Scattered rows, copied together, with their numbers."""
    step = max(GATHERED_BYTES // (2 * matrix.shape[1]), 1)
    for first in range(0, len(rows), step):
        some = rows[first : first + step]
        yield matrix[some], some
