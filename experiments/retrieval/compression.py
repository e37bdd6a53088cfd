"""What a smaller copy of a vector loses."""

from collections.abc import Callable

import numpy as np

from .neighbours import unit

FIRST_DIMENSIONS = (16, 32, 64)


def float16(vectors: np.ndarray, fit_on: np.ndarray) -> np.ndarray:
    """Half precision, as the table stores it."""
    return np.asarray(vectors.astype(np.float16).astype(np.float32))


def int8(vectors: np.ndarray, fit_on: np.ndarray) -> np.ndarray:
    """Each dimension in 255 even steps over the range that `fit_on`'s rows have in it."""
    reach = np.abs(vectors[fit_on]).max(axis=0)
    step = np.where(reach > 0, reach, 1) / 127
    return np.asarray(np.clip(np.round(vectors / step), -127, 127) * step)


def binary(vectors: np.ndarray, fit_on: np.ndarray) -> np.ndarray:
    """One bit a dimension: above the mean of `fit_on`'s rows or not. Cosine orders as Hamming distance."""
    return np.where(vectors > vectors[fit_on].mean(axis=0), 1.0, -1.0).astype(np.float32)


def first(k: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The first k dimensions alone, at norm 1."""
    return lambda vectors, fit_on: unit(vectors[:, :k])


def compressions(dimension: int) -> dict[str, tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], float]]:
    """Name -> (compression of (n, d) fitted on some rows, bytes per vector)."""
    shorter = {f"first {k}, float16": (first(k), 2.0 * k) for k in FIRST_DIMENSIONS if k < dimension}
    return {
        "float16": (float16, 2.0 * dimension),
        "int8": (int8, 1.0 * dimension),
        "binary": (binary, dimension / 8),
        **shorter,
    }
