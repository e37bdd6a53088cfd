"""Prototypes in few kinds, so that a map can give each its colour: alike ones, of any region, share it."""

import numpy as np

from .colours import KINDS

ROUNDS = 20


def group(vectors: np.ndarray, weights: np.ndarray, count: int = len(KINDS)) -> np.ndarray:
    """Kinds (p,) of unit vectors (p, d), numbered by falling weight (p,): spherical k-means.

    The first centre is the heaviest vector, each next the one least like those before: no chance is involved.
    """
    if len(vectors) <= count:
        return _by_weight(np.arange(len(vectors)), weights)
    chosen = [int(np.argmax(weights))]
    while len(chosen) < count:
        chosen.append(int(np.argmin((vectors @ vectors[chosen].T).max(axis=1))))
    centres = vectors[chosen]  # (count, d)
    for _ in range(ROUNDS):
        kind = np.argmax(vectors @ centres.T, axis=1)
        sums = np.stack([weights[kind == k] @ vectors[kind == k] for k in range(count)])
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(norms > 0, sums / np.maximum(norms, 1e-12), centres)
    return _by_weight(kind, weights)


def kind_name(kind: int) -> str:
    """`⬢ A` for the first kind."""
    return f"⬢ {chr(ord('A') + kind)}"


def letters(kind: np.ndarray, weights: np.ndarray) -> list[str]:
    """A label per kind: a letter and its share of the weight, `A 23 %`."""
    share = np.bincount(kind, weights) / max(weights.sum(), 1)
    return [f"{chr(ord('A') + k)} {share[k]:.0%}" for k in range(len(share))]


def _by_weight(kind: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The same kinds, renumbered from the heaviest; empty ones are left out."""
    names, index = np.unique(kind, return_inverse=True)
    order = np.argsort(-np.bincount(index, weights, minlength=len(names)), kind="stable")
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    return rank[index]
