"""Spatial blocks: what is held out together, what lies too near, and intervals that respect them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EARTH_RADIUS_KM = 6371.0
EXCLUSION_KM = 5.0  # database rows nearer than this to a query are left out
RESAMPLES = 1000


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % percentile interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Scores:
    """One score per query, with the block each query lies in."""

    values: np.ndarray  # (n,) float
    block: np.ndarray  # (n,) anything hashable: resampled whole
    stratum: np.ndarray | None = None  # (n,) classes for a balanced mean; None = plain mean

    @property
    def mean(self) -> float:
        """Mean over strata of the mean inside each."""
        total, count = _sums(self)
        return float((total.sum(axis=0) / count.sum(axis=0)).mean())

    def minus(self, other: "Scores") -> "Scores":
        """Paired difference, query by query."""
        assert len(self.values) == len(other.values), f"{len(self.values)} scores against {len(other.values)}"
        return Scores(self.values - other.values, self.block, self.stratum)


def bootstrap(scores: Scores, *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Mean of `scores` and its 95 % interval over resampled blocks. NaN bounds with fewer than two blocks."""
    return _interval(scores.mean, _resampled(scores, seed, resamples))


def pooled(sets: Sequence[Scores], *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Mean over sets of each set's mean; blocks are resampled inside each set, and sets are kept."""
    draws = [_resampled(scores, seed + i, resamples) for i, scores in enumerate(sets)]
    return _interval(float(np.mean([scores.mean for scores in sets])), np.mean(draws, axis=0))


def _interval(mean: float, draws: np.ndarray) -> Interval:
    low, high = np.percentile(draws, [2.5, 97.5]) if np.isfinite(draws).all() else (np.nan, np.nan)
    return Interval(mean, float(low), float(high))


def _sums(scores: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Score sums and counts per block and stratum, both (blocks, strata)."""
    _, block = np.unique(scores.block, return_inverse=True)
    stratum = (
        np.zeros_like(block) if scores.stratum is None else np.unique(scores.stratum, return_inverse=True)[1]
    )
    shape = (int(block.max()) + 1, int(stratum.max()) + 1)
    flat = block * shape[1] + stratum
    size = shape[0] * shape[1]
    return (
        np.bincount(flat, scores.values, minlength=size).reshape(shape),
        np.bincount(flat, minlength=size).reshape(shape).astype(float),
    )


def _resampled(scores: Scores, seed: int, resamples: int) -> np.ndarray:
    """Means of `resamples` draws of blocks with replacement; a stratum not drawn is left out of its draw."""
    total, count = _sums(scores)
    n_blocks = len(total)
    if n_blocks < 2:
        return np.full(resamples, np.nan)
    weights = np.random.default_rng(seed).multinomial(
        n_blocks, np.full(n_blocks, 1 / n_blocks), size=resamples
    )
    drawn_total, drawn_count = weights @ total, weights @ count  # (resamples, strata)
    seen = drawn_count > 0
    means = np.divide(drawn_total, drawn_count, out=np.zeros_like(drawn_total), where=seen)
    return np.asarray(means.sum(axis=1) / seen.sum(axis=1))


def far_from(
    lon_deg: np.ndarray, lat_deg: np.ndarray, queries: np.ndarray, km: float = EXCLUSION_KM
) -> np.ndarray:
    """True for each point that lies at least `km` from every query.

    Args:
        lon_deg, lat_deg: (n,) of all points; a NaN position is far from everything.
        queries: (n,) bool.
    """
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    xyz = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    chord = 2 * np.sin(km / EARTH_RADIUS_KM / 2)
    limit = 1 - chord**2 / 2
    near = np.zeros(len(xyz), dtype=bool)
    for start in range(0, len(xyz), 2048):
        near[start : start + 2048] = (xyz[start : start + 2048] @ xyz[queries].T > limit).any(axis=1)
    return ~near


def hold_out(block: np.ndarray, share: float) -> np.ndarray:
    """True for the rows of some blocks that together hold about `share` of the rows, but no more.

    Blocks come in the order of their digests, so the choice is certain and knows nothing of what they hold.
    """
    names, size = np.unique(block, return_counts=True)
    room = share * len(block)
    held = []
    for name, rows in sorted(zip(names, size, strict=True), key=lambda pair: _digest(str(pair[0]))):
        if rows <= room:
            held.append(name)
            room -= rows
    return np.isin(block, held)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
