"""Vectors as other models make them: a large common part with a few large numbers, and small differences.

Rounding the large numbers to float16 moves a row's norm by more than what tells rows apart.
"""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from indexer.table.schema import make_rows

from .random_rows import MODEL, columns_for, random_cells

DIMENSION = 96
CLOSE = replace(MODEL, name="skyhex/close", digest="cd" * 32, dimension=DIMENSION)


def close_cloud(n: int, seed: int = 0) -> np.ndarray:
    """(n, DIMENSION) float64: differences of 4e-4 within groups."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.05, DIMENSION)
    common[:5] = 0.50, -0.45, 0.42, 0.28, 0.27
    groups = rng.normal(0, 0.004, (max(n // 10, 1), DIMENSION))
    return np.asarray(common + groups[rng.integers(0, len(groups), n)] + rng.normal(0, 4e-4, (n, DIMENSION)))


def close_rows(n: int, seed: int = 0, **changes: object) -> pa.Table:
    """Rows of CLOSE with such vectors, in one corner of the map."""
    h3_cell = np.unique(random_cells(n, seed, box=(6.0, 45.0, 6.4, 45.4)))
    columns = columns_for(h3_cell, seed, DIMENSION)
    return make_rows(**columns | {"embedding": close_cloud(len(h3_cell), seed), "model": CLOSE} | changes)


def true_cosines(stored: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Of stored values (n, d) with a query (d,), by the definition, in float64."""
    rows, wanted = stored.astype(np.float64), query.astype(np.float64)
    return np.asarray(rows @ wanted / (np.linalg.norm(rows, axis=1) * np.linalg.norm(wanted)))


def true_order(stored: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Rows (n,) in order of key, the most alike first; equal ones in order of key."""
    return np.argsort(-true_cosines(stored, query).round(7), kind="stable")
