"""Inner products of one query with rows of a float16 or float32 matrix, by FAISS, without a copy of them.

FAISS is loaded by the first scan: much that knows vectors never compares any.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..geo.row_ranges import RowRanges, Rows
from ..table.columns import Matrix, Similarities

PIECE_ROWS = 8_192  # scanned at a time
GATHERED_BYTES = 1 << 19  # gathered at a time: they stay in the processor's cache until they are scanned

Block = tuple[Matrix, Rows]  # a piece of a matrix (m, d), and its row numbers (m,)


def blocks(matrix: Matrix, rows: RowRanges) -> Iterator[Block]:
    """Rows as pieces of memory, each with its row numbers."""
    if len(rows.starts) == 1:
        return _pieces(matrix, rows)
    long, scattered = rows.pieces
    return itertools.chain(_pieces(matrix, long), gathered(matrix, scattered))


def gathered(matrix: Matrix, rows: Rows) -> Iterator[Block]:
    """Scattered rows, copied together, with their numbers."""
    step = max(GATHERED_BYTES // (matrix.itemsize * matrix.shape[1]), 1)
    for first in range(0, len(rows), step):
        some = rows[first : first + step]
        yield matrix[some], some


def _pieces(matrix: Matrix, rows: RowRanges) -> Iterator[Block]:
    """The ranges as they lie in memory."""
    for start, stop in zip(rows.starts.tolist(), rows.stops.tolist(), strict=True):
        for first in range(start, stop, PIECE_ROWS):
            last = min(first + PIECE_ROWS, stop)
            yield matrix[first:last], np.arange(first, last)


def largest(pieces: Iterable[Block], query: Similarities, k: int) -> tuple[Similarities, Rows]:
    """The k >= 1 largest products with a query (d,), and their rows, in any order; -1 where there are fewer.

    Products that are not numbers are never among them.
    """
    import faiss

    best, best_rows = np.full(k, -np.inf, np.float32), np.full(k, -1)  # a heap that all blocks share
    heap = faiss.swig_ptr(best), faiss.swig_ptr(best_rows)
    for scanner, block, rows in _scanned(pieces, query):
        scanner.scan_codes(len(block), _codes(block), faiss.swig_ptr(rows), *heap, k)
    return best, best_rows


def above(pieces: Iterable[Block], query: Similarities, least: float) -> Iterator[tuple[Similarities, Rows]]:
    """All products with a query (d,) greater than `least`, and their rows, block by block."""
    return (_range_scanned(*one, least) for one in _scanned(pieces, query))


def _scanned(pieces: Iterable[Block], query: Similarities) -> Iterator[tuple[Any, Matrix, Rows]]:
    """Blocks, each with the scanner of their kind of numbers."""
    scanner = None
    for block, rows in pieces:
        assert block.shape[1:] == query.shape, (block.shape, query.shape)
        scanner = scanner or _scanners.of(query, block.itemsize)  # all pieces are of one matrix
        yield scanner, block, rows


def _range_scanned(scanner: Any, block: Matrix, rows: Rows, least: float) -> tuple[Similarities, Rows]:
    import faiss

    held = faiss.RangeSearchResult(1)
    partial = faiss.RangeSearchPartialResult(held)  # type: ignore[attr-defined]
    result = partial.new_result(0)
    scanner.scan_codes_range(len(block), _codes(block), faiss.swig_ptr(rows), least, result)
    products, some = np.empty(result.nres, np.float32), np.empty(result.nres, np.int64)
    partial.copy_range(0, result.nres, faiss.swig_ptr(some), faiss.swig_ptr(products))
    return products, some


def _codes(block: Matrix) -> Any:
    import faiss

    return faiss.swig_ptr(block.view(np.uint8).reshape(-1))


class _Scanners(threading.local):
    """FAISS's scanners by dimension and size of a number, a thread its own: they hold the query, and Python
    cannot free them."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], Any] = {}

    def of(self, query: Similarities, itemsize: int) -> Any:
        """The scanner of numbers of so many bytes, with a query (d,) float32."""
        import faiss

        kind = len(query), itemsize
        if kind not in self._kept:
            self._kept[kind] = (*_new_scanner(*kind), np.empty(len(query), np.float32))
        scanner, _, _, held = self._kept[kind]
        held[:] = query
        scanner.set_query(faiss.swig_ptr(held))
        return scanner


def _new_scanner(dimension: int, itemsize: int) -> tuple[Any, Any, Any]:
    """A scanner, and what it points to."""
    import faiss

    coarse = faiss.IndexFlatIP(dimension)  # asked for by the signatures, not used
    if itemsize == 4:
        flat = faiss.IndexIVFFlat(coarse, dimension, 1, faiss.METRIC_INNER_PRODUCT)
        return flat.get_InvertedListScanner(False, None, None), flat, coarse
    halves = faiss.ScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16)
    scanner = halves.select_InvertedListScanner(  # type: ignore[attr-defined]
        faiss.METRIC_INNER_PRODUCT, coarse, False, None, False
    )
    return scanner, halves, coarse


_scanners = _Scanners()
