"""Spherical clustering with balanced assignments: SkySense's geo-context prototypes (arXiv 2312.10115)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

EPSILON = 0.05  # entropy of the assignments: cosines are divided by it
ITERATIONS = 3  # of Sinkhorn-Knopp
MOMENTUM = 0.9  # m of P <- m P + (1 - m) P_bar; unpublished, ours
BATCH_ROWS = 4_096
STEPS = 100  # at least, and at least one pass over the rows
SEEDING_ROWS = 8_192  # rows looked at to choose the first prototypes


def sinkhorn_knopp(cosines: Vectors, epsilon: float = EPSILON, iterations: int = ITERATIONS) -> Vectors:
    """Balanced soft assignments S of rows to prototypes, from their cosines M: (n, p) -> (n, p).

    Rows of S sum to 1; columns sum to about n / p, the nearer the more iterations (Cuturi 2013; the paper's
    S = Sinkhorn-Knopp(M)). The same in torch, for pre-training: `encoder.training.sinkhorn.sinkhorn`.
    """
    n, p = cosines.shape
    scores = np.exp((cosines - cosines.max()) / epsilon, dtype=np.float64)
    for _ in range(iterations):
        scores *= n / p / np.maximum(scores.sum(axis=0), 1e-300)
        scores /= np.maximum(scores.sum(axis=1, keepdims=True), 1e-300)
    return np.asarray(scores, np.float32)


def fit(vectors: Vectors, count: int, rng: np.random.Generator) -> Vectors:
    """Prototypes (count, d), norm 1, of unit vectors (n, d): `updated` over shuffled batches from `seeds`."""
    prototypes = seeds(vectors, count, rng)
    steps = 0
    while steps < STEPS:
        order = rng.permutation(len(vectors))
        for start in range(0, len(order), BATCH_ROWS):
            prototypes = updated(prototypes, vectors[order[start : start + BATCH_ROWS]])
            steps += 1
    return prototypes


def updated(prototypes: Vectors, batch: Vectors, momentum: float = MOMENTUM) -> Vectors:
    """Prototypes (p, d) after one batch F (b, d), both of unit vectors.

    M = cos(F, P); S = Sinkhorn-Knopp(M), its columns scaled to sum to 1 so that P_bar is in F's scale;
    P_bar = S^T F; P <- m P + (1 - m) P_bar, made unit again.
    """
    shares = sinkhorn_knopp(batch @ prototypes.T)  # (b, p)
    shares /= np.maximum(shares.sum(axis=0), 1e-12)
    mixed = momentum * prototypes + (1 - momentum) * (shares.T @ batch)
    return np.asarray(mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12), np.float32)


def pruned(prototypes: Vectors, vectors: Vectors, least: int) -> Vectors:
    """Prototypes (p', d) that are each the nearest to at least so many vectors (n, d), n >= least.

    The one with the fewest goes first, and its vectors go to the next nearest.
    """
    cosines = vectors @ prototypes.T  # (n, p)
    kept = np.arange(len(prototypes))
    while True:
        counts = np.bincount(cosines[:, kept].argmax(axis=1), minlength=len(kept))
        if counts.min() >= least:
            return prototypes[kept]
        kept = np.delete(kept, counts.argmin())


def seeds(vectors: Vectors, count: int, rng: np.random.Generator) -> Vectors:
    """First prototypes by k-means++ on the sphere: the odds of a row are 1 - cosine to those drawn."""
    if len(vectors) > SEEDING_ROWS:
        vectors = vectors[rng.choice(len(vectors), SEEDING_ROWS, replace=False)]
    chosen = [int(rng.integers(len(vectors)))]
    distance = np.full(len(vectors), np.inf)
    for _ in range(count - 1):
        distance = np.minimum(distance, np.maximum(1 - vectors @ vectors[chosen[-1]], 0))
        odds = distance + 1e-12  # all are duplicates: any will do
        chosen.append(int(rng.choice(len(vectors), p=odds / odds.sum())))
    return vectors[chosen]
