"""Exact nearest neighbours, slow and certain: evaluation never leans on an approximate index."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CHUNK = 512  # queries at a time: bounds memory
Hidden = Callable[[slice], np.ndarray]  # some queries -> (queries, m) bool: rows that they may not find


@dataclass(frozen=True)
class Neighbours:
    """The k nearest database rows of each query, nearest first."""

    index: np.ndarray  # (n, k) int, positions in the database
    similarity: np.ndarray  # (n, k) float32: cosine, or minus the squared distance; -inf: no row is left


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows at norm 1; a zero row stays zero."""
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norm > 0, norm, 1), dtype=np.float32)


def by_cosine(queries: np.ndarray, database: np.ndarray, k: int, hidden: Hidden | None = None) -> Neighbours:
    """(n, d), (m, d) -> the k rows of largest cosine that are not hidden."""
    return _nearest(unit(queries), unit(database), np.zeros(len(database), dtype=np.float32), k, hidden)


def by_distance(queries: np.ndarray, database: np.ndarray, k: int) -> Neighbours:
    """(n, d), (m, d) -> the k rows of least Euclidean distance."""
    database = np.asarray(database, dtype=np.float32)
    return _nearest(np.asarray(queries, dtype=np.float32), 2 * database, (database**2).sum(axis=1), k)


def _nearest(
    queries: np.ndarray, database: np.ndarray, offset: np.ndarray, k: int, hidden: Hidden | None = None
) -> Neighbours:
    """Largest `queries @ database.T - offset`, ties among the found by position."""
    k = min(k, len(database))
    nearest, scores = [], []
    for start in range(0, len(queries), CHUNK):
        similarity = queries[start : start + CHUNK] @ database.T - offset
        if hidden is not None:
            similarity[hidden(slice(start, start + CHUNK))] = -np.inf
        some = np.sort(np.argpartition(-similarity, k - 1, axis=1)[:, :k], axis=1)
        order = np.argsort(-np.take_along_axis(similarity, some, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(some, order, axis=1)
        nearest.append(best)
        scores.append(np.take_along_axis(similarity, best, axis=1))
    return Neighbours(np.concatenate(nearest), np.concatenate(scores))
