"""Does a vector know what it should not: the place, the sensor, the month?"""

import numpy as np

from .blocks import Interval, Scores, bootstrap
from .metrics import partner_rank
from .neighbours import unit

NEIGHBOURS = 10


def same_place_recall(seen: np.ndarray, other: np.ndarray, block: np.ndarray) -> Interval:
    """Share of places found among 10 hits when another subset of their sensors is shown: (n, d) twice."""
    rank = partner_rank(unit(seen) @ unit(other).T)
    return bootstrap(Scores.plain((rank <= NEIGHBOURS).astype(float), block))


def group_excess(
    vectors: np.ndarray, group: np.ndarray, apart: np.ndarray, block: np.ndarray
) -> tuple[Interval, float]:
    """Share of the 10 nearest neighbours that have the query's group, and what a random draw would have.

    Args:
        vectors: (n, d).
        group: (n,) int: sensor subset, month.
        apart: (n,) rows that share this are never each other's neighbours: place, block.
        block: (n,) spatial blocks of the interval.
    """
    z = unit(vectors)
    allowed = apart[:, None] != apart[None, :]
    same = group[:, None] == group[None, :]
    similarity = np.where(allowed, z @ z.T, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :NEIGHBOURS]
    share = np.take_along_axis(same, nearest, axis=1).mean(axis=1)
    base = (same & allowed).sum(axis=1) / np.maximum(allowed.sum(axis=1), 1)
    return bootstrap(Scores.plain(share, block)), float(base.mean())


def mixed_subsets(
    fused: np.ndarray, by_modality: dict[str, np.ndarray], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each row seen by one subset of sensors drawn at random: vectors (n, d) and subset codes (n,) int.

    Rows must have every sensor named in `by_modality`.
    """
    subsets = np.stack([fused, *by_modality.values()])  # (subsets, n, d)
    code = np.random.default_rng(seed).integers(0, len(subsets), len(fused))
    return subsets[code, np.arange(len(fused))], code


def one_date(valid: np.ndarray, seed: int) -> np.ndarray:
    """Keep one True of each row, drawn at random: (n, T) bool -> (n, T) bool."""
    draw = np.random.default_rng(seed).random(valid.shape) * valid
    kept = np.zeros_like(valid)
    kept[np.arange(len(valid)), draw.argmax(axis=1)] = True
    return np.asarray(kept & valid)
