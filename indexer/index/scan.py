"""Inner products of one query with rows of a float16 matrix, by FAISS, without a copy of them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import faiss
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
    best, best_rows = np.full(k, -np.inf, np.float32), np.full(k, -1)  # a heap that all blocks share
    scanner = _scanners.of(query)
    heap = faiss.swig_ptr(best), faiss.swig_ptr(best_rows)
    for block, rows in pieces:
        assert block.shape[1:] == query.shape, (block.shape, query.shape)
        scanner.scan_codes(len(block), _codes(block), faiss.swig_ptr(rows), *heap, k)
    return best, best_rows


def above(pieces: Iterable[Block], query: Similarities, least: float) -> Iterator[tuple[Similarities, Rows]]:
    """All products with a query (d,) greater than `least`, and their rows, block by block."""
    scanner = _scanners.of(query)
    return (_range_scanned(scanner, block, rows, least) for block, rows in pieces)


def _range_scanned(scanner: Any, block: Matrix, rows: Rows, least: float) -> tuple[Similarities, Rows]:
    held = faiss.RangeSearchResult(1)
    partial = faiss.RangeSearchPartialResult(held)  # type: ignore[attr-defined]
    found = partial.new_result(0)
    scanner.scan_codes_range(len(block), _codes(block), faiss.swig_ptr(rows), least, found)
    products, some = np.empty(found.nres, np.float32), np.empty(found.nres, np.int64)
    partial.copy_range(0, found.nres, faiss.swig_ptr(some), faiss.swig_ptr(products))
    return products, some


def _codes(block: Matrix) -> Any:
    return faiss.swig_ptr(block.view(np.uint8).reshape(-1))


class _Scanners(threading.local):
    """FAISS's float16 scanner of a dimension, one a thread: it holds the query, and Python cannot free it."""

    def __init__(self) -> None:
        self._kept: dict[int, Any] = {}

    def of(self, query: Similarities) -> Any:
        """The scanner, with a query (d,) float32."""
        dimension = len(query)
        if dimension not in self._kept:
            quantizer = faiss.ScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16)
            coarse = faiss.IndexFlatIP(dimension)  # asked for by the signature, not used
            scanner = quantizer.select_InvertedListScanner(  # type: ignore[attr-defined]
                faiss.METRIC_INNER_PRODUCT, coarse, False, None, False
            )
            self._kept[dimension] = (scanner, quantizer, coarse, np.empty(dimension, np.float32))
        scanner, _, _, held = self._kept[dimension]
        held[:] = query
        scanner.set_query(faiss.swig_ptr(held))
        return scanner


_scanners = _Scanners()
