"""Scores of one query each, so that any of them can be bootstrapped over spatial blocks.

Definitions: docs/evaluation.md. n queries, m database rows, k hits, L labels.
"""

import numpy as np


def average_precision(relevant: np.ndarray) -> np.ndarray:
    """Average precision of ranked hits, normalised by the relevant ones among them (arXiv 2403.02059).

    Args:
        relevant: (n, k) bool, best hit first.

    Returns:
        (n,) float64; 0 where no hit is relevant.
    """
    ranks = np.arange(1, relevant.shape[1] + 1)
    precision = np.cumsum(relevant, axis=1) / ranks  # (n, k)
    hits = relevant.sum(axis=1)
    return np.asarray((precision * relevant).sum(axis=1) / np.maximum(hits, 1))


def precision(relevant: np.ndarray) -> np.ndarray:
    """Share of the hits that are relevant: (n, k) bool -> (n,)."""
    return np.asarray(relevant.mean(axis=1))


def ndcg(gain: np.ndarray, ideal: np.ndarray) -> np.ndarray:
    """Normalised discounted cumulative gain.

    Args:
        gain: (n, k) gains of the hits, best hit first.
        ideal: (n, k) largest gains that the database offers, in falling order.

    Returns:
        (n,); 0 where the database offers nothing.
    """
    discount = 1 / np.log2(np.arange(2, gain.shape[1] + 2))
    best = ideal @ discount
    return np.where(best > 0, (gain @ discount) / np.where(best > 0, best, 1), 0.0)


def jaccard(query_labels: np.ndarray, database_labels: np.ndarray) -> np.ndarray:
    """Shared labels over all labels of both: (n, L) bool, (m, L) bool -> (n, m)."""
    query, database = query_labels.astype(np.float32), database_labels.astype(np.float32)
    shared = query @ database.T
    union = query.sum(axis=1)[:, None] + database.sum(axis=1)[None, :] - shared
    return np.asarray(shared / np.maximum(union, 1))


def partner_rank(similarity: np.ndarray) -> np.ndarray:
    """Rank, from 1, of each query's true partner, which is column i for row i: (n, n) -> (n,).

    A tie counts against us: partners as similar as the true one rank before it.
    """
    return np.asarray((similarity >= np.diagonal(similarity)[:, None]).sum(axis=1))


def f1_of_votes(hit_labels: np.ndarray, query_labels: np.ndarray) -> np.ndarray:
    """Mean F1 between a query's labels and those of each of its hits (F1@k of cross-modal retrieval).

    Args:
        hit_labels: (n, k, L) bool.
        query_labels: (n, L) bool.

    Returns:
        (n,).
    """
    query = query_labels[:, None, :]
    shared = (hit_labels & query).sum(axis=2)
    total = hit_labels.sum(axis=2) + query.sum(axis=2)
    return np.asarray((2 * shared / np.maximum(total, 1)).mean(axis=1))
