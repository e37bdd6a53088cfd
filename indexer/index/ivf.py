"""An inverted file of RaBitQ fast-scan codes: candidates for large tables, about d/8 + 18 bytes a row.

RaBitQ (Gao and Long, SIGMOD 2024) keeps one bit a dimension of each residual. That is enough to name
candidates; their order comes from the exact vectors, see `vectors.nearest`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from ..geo.row_ranges import RowRanges, Rows
from ..progress import Progress
from ..table.columns import Cosines, Matrix, Similarities, inverse_norms
from .mapped import DamagedIndexError

CHUNK_ROWS = 65_536  # decoded to float32 at a time
SAMPLES_PER_LIST = 50
TRAINING_BYTES = 1 << 28  # of float32 vectors, at most
GRAPH_NUMBERS = 2_048 * 128  # of all centroids: for so many a graph finds the nearest faster than a scan
BUILD_EFFORT = 400  # of the graph; at FAISS's 40 no way led to some centroids
SEARCH_EFFORT = 2  # a list; FAISS's 16 for any number of lists misses many of the nearest
ONE_BY_ONE, LIST_BY_LIST = 10, 12  # FAISS's ways, measured to be the fastest for one query and for many
SHRUNK = np.float32(0.99)  # centroids: FAISS misjudges rows that all but equal theirs, and so none does
SHORTEST_LIST = 64  # rows a list holds on average, at least


@dataclass(frozen=True)
class Ivf:
    """FAISS's index over the rows of one matrix; ids are row numbers."""

    index: Any  # faiss.IndexPreTransform: rotation -> IndexIVFRaBitQFastScan
    rows: int
    lists: int

    def candidates(
        self, queries: Cosines, rows: RowRanges, count: int, probes: int
    ) -> tuple[Rows, Similarities]:
        """Rows of a range set that by their codes may be the most like queries (q, d) of norm 1.

        Returns:
            Rows, -1 at the end where there are fewer, and their cosines as the codes estimate them, falling:
            (q, min(count, rows.count)) each.
        """
        probes, count = min(probes, self.lists), min(count, rows.count)
        effort = SEARCH_EFFORT * probes if self._has_graph else 0
        parameters = _parameters(probes, None if rows.count == self.rows else rows, effort)
        self._in_lists.implem = ONE_BY_ONE if len(queries) == 1 else LIST_BY_LIST  # the answer is the same
        with _one_thread() if len(queries) == 1 else nullcontext():
            estimates, named = self.index.search(queries.astype(np.float32), count, params=parameters)
        return named, estimates

    @cached_property
    def _in_lists(self) -> Any:
        return faiss.downcast_index(faiss.extract_index_ivf(self.index))

    @cached_property
    def _has_graph(self) -> bool:
        return isinstance(faiss.downcast_index(self._in_lists.quantizer), faiss.IndexHNSW)

    def write(self, path: Path) -> str:
        """Write the file and return its SHA-256."""
        return write(self.index, path)


def write(index: Any, path: Path) -> str:
    """Write FAISS's index and return the file's SHA-256."""
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise OSError(f"{path} cannot be written: {str(error).splitlines()[0]}") from error
    return digest(path)


def train(matrix: Matrix, progress: Progress | None = None) -> Ivf:
    """Build over a matrix (n, d) in bounded memory: the codes, and three times TRAINING_BYTES at most.

    Trained on rows evenly spaced in order of cell, so the sample is spread over the whole table. Rows without
    a direction are coded as zeros: searches leave them out. Where FAISS finds GPUs, the centroids are fitted
    there; rows are coded and searched on the CPU, as FAISS has no RaBitQ for GPUs. No GPU was at hand to run
    that: a test puts a CPU index in its place.
    """
    n, d = matrix.shape
    lists = list_count(n, d)
    rows = sample_rows(n, d)
    return _filled(fit(matrix[rows], lists), matrix, progress)


def fit(sample: Matrix, lists: int) -> Any:
    """FAISS's index without rows, its centroids fitted to a sample (s, d)."""
    d = sample.shape[1]
    graph = lists * d >= GRAPH_NUMBERS
    coarse = f"IVF{lists}_HNSW32" if graph else f"IVF{lists}"
    index = faiss.index_factory(d, f"RR{d},{coarse},RaBitQfs", faiss.METRIC_INNER_PRODUCT)
    in_lists: Any = faiss.extract_index_ivf(index)
    if graph:
        centroids: Any = faiss.downcast_index(in_lists.quantizer)
        centroids.hnsw.efConstruction = BUILD_EFFORT
    with _fitted_on_gpus(in_lists):
        index.train(_decoded(sample))
    _shrink_centroids(in_lists.quantizer)
    return index


def filled(centroids: Path, matrix: Matrix, progress: Progress | None = None) -> Ivf:
    """The rows of a matrix (n, d) in the lists of an index that `fit` made and `write` wrote.

    Raises:
        DamagedIndexError: the file is not such an index.
    """
    try:
        index = faiss.read_index(str(centroids))
    except RuntimeError as error:
        raise DamagedIndexError(f"{centroids} cannot be read: {str(error).splitlines()[0]}") from error
    if (index.d, index.ntotal) != (matrix.shape[1], 0):
        raise DamagedIndexError(f"{centroids} holds no centroids of {matrix.shape[1]} numbers")
    return _filled(index, matrix, progress)


def _filled(index: Any, matrix: Matrix, progress: Progress | None) -> Ivf:
    n = len(matrix)
    for start in range(0, n, CHUNK_ROWS):
        index.add(_decoded(matrix[start : start + CHUNK_ROWS]))
        if progress is not None:
            progress(min(start + CHUNK_ROWS, n), n)
    return Ivf(index, n, faiss.extract_index_ivf(index).nlist)


def sample_rows(rows: int, dimension: int) -> Rows:
    """Which rows of a table centroids are fitted to: evenly spaced, and so spread over the whole table."""
    lists = list_count(rows, dimension)
    count = min(rows, SAMPLES_PER_LIST * lists, max(TRAINING_BYTES // (4 * dimension), lists))
    return np.linspace(0, rows - 1, count).astype(np.int64)


def list_count(rows: int, dimension: int) -> int:
    """Lists for vectors (rows, dimension): the power of two nearest to 2 sqrt(rows), at 128 dimensions.

    Looking into a list has a cost of its own, that grows with the dimension: so there are fewer for more.
    """
    wanted = 2 * math.sqrt(rows * 128 / dimension)
    return 1 << round(math.log2(max(min(wanted, rows / SHORTEST_LIST), 1)))


def read(path: Path, sha256: str, rows: int, dimension: int) -> Ivf:
    """Map an index file, trusted no further than its digest and its size.

    Raises:
        DamagedIndexError: it is missing, changed, or not what it should be.
    """
    try:
        if digest(path) != sha256:
            raise DamagedIndexError(f"{path} is damaged: its digest does not match the manifest")
        with _at_most(max(path.stat().st_size, 1)):
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


def _shrink_centroids(quantizer: Any) -> None:
    """Away from the rows, which have norm 1; their order by inner product stays."""
    centroids: Any = faiss.downcast_index(quantizer)
    flat: Any = faiss.downcast_index(centroids.storage) if hasattr(centroids, "storage") else centroids
    numbers = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
    numbers *= SHRUNK


@contextmanager
def _at_most(vector_bytes: int) -> Iterator[None]:
    """FAISS refuses files that claim larger vectors, before it takes memory for them."""
    before = faiss.get_deserialization_vector_byte_limit()
    faiss.set_deserialization_vector_byte_limit(vector_bytes)
    try:
        yield
    finally:
        faiss.set_deserialization_vector_byte_limit(before)


@contextmanager
def _fitted_on_gpus(in_lists: Any) -> Iterator[None]:
    """k-means looks for nearest centroids on all GPUs, where there are any."""
    if faiss.get_num_gpus() == 0:
        yield
        return
    on_gpus = faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(in_lists.d))  # outlives the training
    in_lists.clustering_index = on_gpus
    yield
    in_lists.clustering_index = None


@contextmanager
def _one_thread() -> Iterator[None]:
    """One query on several threads takes more of the processor and gains nothing."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


@lru_cache(maxsize=8)
def _parameters(probes: int, rows: RowRanges | None, graph_effort: int) -> Any:
    """FAISS's parameters of a search among rows, or all; kept, as making them costs as much as some lists."""
    selector = None if rows is None else _selector(rows)
    graph: Any = None
    if graph_effort:
        graph = faiss.SearchParametersHNSW(efSearch=graph_effort)  # type: ignore[attr-defined]
    in_lists = faiss.SearchParametersIVF(  # type: ignore[call-arg]
        nprobe=probes, sel=selector, quantizer_params=graph
    )
    return faiss.SearchParametersPreTransform(index_params=in_lists)  # type: ignore[call-arg]


def _selector(rows: RowRanges) -> Any:
    if len(rows.starts) == 1:
        return faiss.IDSelectorRange(int(rows.starts[0]), int(rows.stops[0]))
    return faiss.IDSelectorBitmap(rows.bits)  # type: ignore[call-arg, arg-type]


def _decoded(matrix: Matrix) -> Similarities:
    """Of norm 1, so that codes estimate cosines; zeros where there is no direction."""
    inverse = inverse_norms(matrix)
    vectors = matrix.astype(np.float32)
    vectors[inverse == 0] = 0
    vectors *= inverse[:, None]
    return vectors


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
