"""Groups of alike vectors over a whole table, of one snapshot alone.

Prototypes are of a region, kept, and followed from snapshot to snapshot; clusters are none of that.
"""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import QueryError
from ..table.columns import ROWS_AT_ONCE, Matrix, has_direction, to_matrix
from ..table.embedding_table import EmbeddingTable
from ..table.schema import KEY
from .drawn_rows import MOST_ROWS, draw_rows, with_columns

ROUNDS = 30
STARTS = 3  # the best of which is kept
NONE = -1


@dataclass(frozen=True)
class Clusters:
    """Centres (c, d) float32 of norm 1, that of the most rows first."""

    centres: NDArray[np.float32]

    def of(self, matrix: Matrix) -> NDArray[np.int64]:
        """The nearest centre of each vector (n, d), counted from 0; NONE of one without a direction."""
        nearest = np.empty(len(matrix), np.int64)
        for first in range(0, len(matrix), ROWS_AT_ONCE):
            some = matrix[first : first + ROWS_AT_ONCE].astype(np.float32)
            likeness = np.nan_to_num(some) @ self.centres.T
            nearest[first : first + ROWS_AT_ONCE] = likeness.argmax(axis=1)
        return np.where(has_direction(matrix), nearest, NONE)

    def of_table(self, table: EmbeddingTable, column: str = "embedding") -> NDArray[np.int64]:
        """The same of all rows of a table (n,), in order of key, streamed."""
        of_batches = [self.of(to_matrix(batch[column])) for batch in table.scan([column])]
        return np.concatenate(of_batches) if of_batches else np.zeros(0, np.int64)


def fit_clusters(vectors: NDArray[np.float32], count: int, *, seed: int = 0) -> Clusters:
    """Spherical k-means of vectors (n, d) of norm 1, by FAISS.

    Raises:
        QueryError: fewer than 2 clusters, or more than vectors.
    """
    if not 2 <= count <= len(vectors):
        raise QueryError(f"{count} clusters of {len(vectors)} rows: expected 2 to as many as there are rows")
    means = faiss.Kmeans(
        vectors.shape[1], count, niter=ROUNDS, nredo=STARTS, spherical=True, seed=seed,
        min_points_per_centroid=1, max_points_per_centroid=len(vectors),
    )  # fmt: skip
    means.train(np.ascontiguousarray(vectors, np.float32))
    fitted = Clusters(np.asarray(means.centroids))
    sizes = np.bincount(fitted.of(vectors), minlength=count)
    return Clusters(fitted.centres[np.argsort(-sizes, kind="stable")])


def cluster_table(table: EmbeddingTable, count: int, most: int = MOST_ROWS, *, seed: int = 0) -> pa.Table:
    """The keys of all rows of a table (n,), lon, lat and `cluster`, 0 for that of the most rows drawn.

    Args:
        table: one snapshot, of which alone the clusters are.
        count: how many clusters, at least 2.
        most: rows that they are fitted to, drawn as `draw_rows` does.
        seed: of what is drawn, and of k-means.

    Raises:
        QueryError: fewer than 2 clusters, or more than rows.
        TableError: the table cannot be read.
    """
    cluster = fit_clusters(draw_rows(table, most, seed=seed).vectors, count, seed=seed).of_table(table)
    schema = pa.schema([table.schema.field(name) for name in KEY])
    keys = pa.Table.from_batches(table.scan(list(KEY)), schema)
    return with_columns(keys, cluster=pa.array(cluster, mask=cluster == NONE))


def sizes_of(cluster: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """How many rows (n,) each of so many clusters has: (count,)."""
    return np.bincount(cluster[cluster != NONE], minlength=count)


def typical_of(drawn: pa.Table, vectors: NDArray[np.float32], clusters: Clusters) -> pa.Table:
    """Of rows drawn (n,), with their vectors (n, d), the one nearest each centre: (c,)."""
    return drawn.take(pa.array((vectors @ clusters.centres.T).argmax(axis=0)))
