"""Pools a sample's dense map into pieces of its window, in the same forward pass as its embedding."""

import numpy as np


def pool_pieces(dense: np.ndarray, overlap: np.ndarray) -> np.ndarray:
    """Mean of the map over each piece, weighted by area.

    Args:
        dense: (d, h, w) one sample's `EmbeddingBatch.dense`; NaN in cells without data, which do not count.
        overlap: (n, h, w) area of each grid cell inside each piece (`data.child_cells`), any unit.

    Returns:
        (n, d) float32, not normalised; NaN for a piece without data. The means of pieces that tile the
        window, weighted by their areas, add up to the window's mean.
    """
    assert dense.shape[1:] == overlap.shape[1:], (dense.shape, overlap.shape)
    known = np.isfinite(dense).all(axis=0)  # (h, w)
    weight = (overlap * known).reshape(len(overlap), known.size)
    cells = np.where(known, dense, 0).reshape(len(dense), -1).astype(np.float64)
    area = weight.sum(axis=1, keepdims=True)
    mean = np.divide(weight @ cells.T, area, out=np.full((len(overlap), len(dense)), np.nan), where=area > 0)
    return np.asarray(mean, dtype=np.float32)
