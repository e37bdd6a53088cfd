"""A measure of all queries together, such as mIoU, F1 or AP, which is no mean of one score per query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..retrieval.blocks import Measured, block_draws

AT_A_TIME = 100  # draws: bounds memory


def mean_of_known(each: np.ndarray) -> np.ndarray:
    """Over those of K classes that have a score, 0 where none has: (K, R) with NaN -> (R,)."""
    known = np.isfinite(each)
    return np.asarray(np.where(known, each, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))


@dataclass(frozen=True)
class SetMeasure:
    """A measure that depends on how often each query counts."""

    measure: Callable[[np.ndarray], np.ndarray]  # (R, n) float64 times each query counts -> (R,)
    block: np.ndarray  # (n,) resampled whole

    @property
    def mean(self) -> float:
        """Every query once."""
        return float(self.measure(np.ones((1, len(self.block))))[0])

    def resampled(self, seed: int, resamples: int) -> np.ndarray:
        """The measure over `resamples` draws of whole blocks with replacement."""
        of_blocks = block_draws(self.block, seed, resamples)
        if of_blocks is None:
            return np.full(resamples, np.nan)
        draws, block = of_blocks
        parts = range(0, resamples, AT_A_TIME)
        return np.concatenate([self.measure(draws[i : i + AT_A_TIME, block]) for i in parts])

    def minus(self, other: Measured) -> Measured:
        """Paired difference: both are drawn alike."""
        return Combined((self, other), (1.0, -1.0))


@dataclass(frozen=True)
class Combined:
    """A weighted sum of measures of the same queries: a difference, or a mean over seeds."""

    parts: tuple[Measured, ...]
    weight: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of all queries."""
        return sum(w * part.mean for w, part in zip(self.weight, self.parts, strict=True))

    def resampled(self, seed: int, resamples: int) -> np.ndarray:
        """The parts drawn alike."""
        drawn = [w * p.resampled(seed, resamples) for w, p in zip(self.weight, self.parts, strict=True)]
        return np.asarray(np.sum(drawn, axis=0))

    def minus(self, other: Measured) -> Measured:
        """Paired difference."""
        return Combined((*self.parts, other), (*self.weight, -1.0))


def over_seeds(parts: Sequence[Measured]) -> Measured:
    """Their mean."""
    return parts[0] if len(parts) == 1 else Combined(tuple(parts), (1 / len(parts),) * len(parts))
