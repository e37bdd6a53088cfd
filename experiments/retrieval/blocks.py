"""Spatial blocks: what is held out together, what lies too near, and intervals that respect them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from data.sphere import on_sphere
from indexer.geo.great_circle import EARTH_RADIUS_KM

EXCLUSION_KM = 5.0  # database rows nearer than this to a query are left out
RESAMPLES = 1000


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % percentile interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        bounds = "one block" if np.isnan(self.low) else f"{self.low:.3f}, {self.high:.3f}"
        return f"{self.mean:.3f} [{bounds}]"


class Measured(Protocol):
    """A number of a table that can be resampled over blocks, and compared with another."""

    @property
    def mean(self) -> float:
        """Of all queries."""
        ...

    def resampled(self, seed: int, resamples: int) -> np.ndarray:
        """(resamples,) the number over blocks drawn with replacement; one seed draws the same blocks."""
        ...

    def minus(self, other: "Measured") -> "Measured":
        """Paired difference."""
        ...


@dataclass(frozen=True)
class Scores:
    """One score per query, with the block each query lies in."""

    values: np.ndarray  # (n,) float
    block: np.ndarray  # (n,) anything hashable: resampled whole
    weight: np.ndarray  # (n,) of each query in the mean

    @classmethod
    def plain(cls, values: np.ndarray, block: np.ndarray) -> "Scores":
        """Every query counts alike."""
        return cls(values, block, np.ones(len(values)))

    @classmethod
    def balanced(cls, values: np.ndarray, block: np.ndarray, code: np.ndarray) -> "Scores":
        """Every class counts alike: with hits as values, the mean is balanced accuracy."""
        _, inverse = np.unique(code, return_inverse=True)
        return cls(values, block, 1 / np.bincount(inverse)[inverse])

    @property
    def mean(self) -> float:
        """Weighted mean."""
        return float(self.values @ self.weight / self.weight.sum())

    def resampled(self, seed: int, resamples: int) -> np.ndarray:
        """Weighted means over draws of whole blocks with replacement; queries keep their weights."""
        of_blocks = block_draws(self.block, seed, resamples)
        if of_blocks is None:
            return np.full(resamples, np.nan)
        draws, block = of_blocks
        total = np.bincount(block, self.values * self.weight)
        weight = np.bincount(block, self.weight)
        return np.asarray((draws @ total) / (draws @ weight))

    def minus(self, other: Measured) -> "Scores":
        """Paired difference, query by query."""
        assert isinstance(other, Scores)
        assert len(self.values) == len(other.values), f"{len(self.values)} scores against {len(other.values)}"
        return Scores(self.values - other.values, self.block, self.weight)


def bootstrap(scores: Measured, *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Mean of `scores` and its 95 % interval over resampled blocks. NaN bounds with fewer than two blocks."""
    return _interval(scores.mean, scores.resampled(seed, resamples))


def pooled(sets: Sequence[Measured], *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Mean over sets of each set's mean; blocks are resampled inside each set, and sets are kept."""
    draws = [scores.resampled(seed + i, resamples) for i, scores in enumerate(sets)]
    return _interval(float(np.mean([scores.mean for scores in sets])), np.mean(draws, axis=0))


def _interval(mean: float, draws: np.ndarray) -> Interval:
    low, high = np.percentile(draws, [2.5, 97.5]) if np.isfinite(draws).all() else (np.nan, np.nan)
    return Interval(mean, float(low), float(high))


def block_draws(block: np.ndarray, seed: int, resamples: int) -> tuple[np.ndarray, np.ndarray] | None:
    """How often each block is drawn (resamples, blocks), and the block's number of each query (n,).

    None where there are fewer than two blocks.
    """
    names, number = np.unique(block, return_inverse=True)
    return (_draws(len(names), seed, resamples), number) if len(names) > 1 else None


@lru_cache(maxsize=64)  # the rows of a table are resampled alike
def _draws(n_blocks: int, seed: int, resamples: int) -> np.ndarray:
    """How often each block is drawn: (resamples, n_blocks) float64."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=resamples).astype(np.float64)


def far_from(
    lon_deg: np.ndarray, lat_deg: np.ndarray, queries: np.ndarray, km: float = EXCLUSION_KM
) -> np.ndarray:
    """True for each point that lies at least `km` from every query.

    Args:
        lon_deg, lat_deg: (n,) of all points; a NaN position is far from everything.
        queries: (n,) bool.
    """
    xyz = on_sphere(lon_deg, lat_deg)
    near = np.zeros(len(xyz), dtype=bool)
    for start in range(0, len(xyz), 2048):
        near[start : start + 2048] = within(xyz[start : start + 2048], xyz[queries], km).any(axis=1)
    return ~near


def within(xyz: np.ndarray, others: np.ndarray, km: float) -> np.ndarray:
    """Which points of the unit sphere lie nearer to each other than `km`: (n, 3), (m, 3) -> (n, m) bool."""
    chord = 2 * np.sin(km / EARTH_RADIUS_KM / 2)
    return np.asarray(xyz @ others.T > 1 - chord**2 / 2)


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
