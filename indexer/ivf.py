"""An inverted file of RaBitQ fast-scan codes: candidates for large tables, about d/8 + 18 bytes a row.

RaBitQ (Gao and Long, SIGMOD 2024) keeps one bit a dimension of each residual. That is enough to name
candidates; their order comes from the exact vectors, see `vectors.nearest`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from .mapped import DamagedIndexError
from .row_ranges import RowRanges, Rows
from .vectors import Matrix, Similarities

Progress = Callable[[int, int], None]

CHUNK_ROWS = 65_536  # decoded to float32 at a time
SAMPLES_PER_LIST = 50
TRAINING_BYTES = 1 << 28  # of float32 vectors, at most
SHORTEST_LIST = 64  # rows a list holds on average, at least


@dataclass(frozen=True)
class Ivf:
    """FAISS's index over the rows of one matrix; ids are row numbers."""

    index: Any  # faiss.IndexPreTransform: rotation -> IndexIVFRaBitQFastScan
    rows: int
    lists: int

    def candidates(self, query: Similarities, rows: RowRanges, count: int, probes: int) -> Rows:
        """Up to `count` rows of a range set, in order of row, that may be the most like a query (d,)."""
        selector, _kept = _selector(rows, self.rows)
        in_lists = faiss.SearchParametersIVF(nprobe=min(probes, self.lists), sel=selector)  # type: ignore[call-arg]
        parameters = faiss.SearchParametersPreTransform(index_params=in_lists)  # type: ignore[call-arg]
        count = min(count, rows.count)
        with _one_thread():
            _, found = self.index.search(np.asarray(query[None], np.float32), count, params=parameters)
        return np.unique(found[found >= 0])

    def write(self, path: Path) -> str:
        """Write the file and return its SHA-256."""
        try:
            faiss.write_index(self.index, str(path))
        except RuntimeError as error:
            raise OSError(f"{path} cannot be written: {str(error).splitlines()[0]}") from error
        return _sha256(path)


def train(matrix: Matrix, progress: Progress | None = None) -> Ivf:
    """Build over a matrix (n, d) in bounded memory: the codes, and three times TRAINING_BYTES at most.

    Trained on rows evenly spaced in order of cell, so the sample is spread over the whole table. Rows without
    a direction are coded as zeros: searches leave them out.
    """
    n, d = matrix.shape
    lists = list_count(n)
    index = faiss.index_factory(d, f"RR{d},IVF{lists},RaBitQfs", faiss.METRIC_INNER_PRODUCT)
    sample_rows = min(n, SAMPLES_PER_LIST * lists, max(TRAINING_BYTES // (4 * d), lists))
    index.train(_decoded(matrix[np.linspace(0, n - 1, sample_rows).astype(np.int64)]))
    for start in range(0, n, CHUNK_ROWS):
        index.add(_decoded(matrix[start : start + CHUNK_ROWS]))
        if progress is not None:
            progress(min(start + CHUNK_ROWS, n), n)
    return Ivf(index, n, lists)


def list_count(rows: int) -> int:
    """Lists for so many rows: the power of two nearest to 4 sqrt(n)."""
    return 1 << round(math.log2(max(min(4 * math.sqrt(rows), rows / SHORTEST_LIST), 1)))


def read(path: Path, sha256: str, rows: int, dimension: int) -> Ivf:
    """Map an index file, trusted no further than its digest and its size.

    Raises:
        DamagedIndexError: it is missing, changed, or not what it should be.
    """
    try:
        if _sha256(path) != sha256:
            raise DamagedIndexError(f"{path} is damaged: its digest does not match the manifest")
        faiss.set_deserialization_vector_byte_limit(max(path.stat().st_size, 1))
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except (OSError, RuntimeError) as error:
        raise DamagedIndexError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else None
    if (
        not isinstance(inner, faiss.IndexIVFRaBitQFastScan)
        or not (index.is_trained and inner.is_trained)
        or (index.d, index.ntotal) != (dimension, rows)
    ):
        raise DamagedIndexError(f"{path} is not an index of {rows} x {dimension}")
    return Ivf(index, rows, inner.nlist)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One query on several threads costs three times the processor and gains nothing."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def _selector(rows: RowRanges, row_count: int) -> tuple[Any, Any]:
    """FAISS's selector of a range set, and the memory it looks at, which must outlive it."""
    if rows.count == row_count:
        return None, None
    if len(rows.starts) == 1:
        return faiss.IDSelectorRange(int(rows.starts[0]), int(rows.stops[0])), None
    bits = np.packbits(rows.mask(row_count), bitorder="little")
    return faiss.IDSelectorBitmap(bits), bits  # type: ignore[call-arg, arg-type]


def _decoded(matrix: Matrix) -> Similarities:
    vectors = matrix.astype(np.float32)
    vectors[~np.isfinite(vectors).all(axis=1)] = 0
    return vectors


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
