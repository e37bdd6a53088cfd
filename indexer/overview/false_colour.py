"""Vectors as colours: their three directions of greatest variance as red, green and blue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .projection import principal_axes

PERCENT = 2, 98  # of the rows, where a colour ends


@dataclass(frozen=True)
class FalseColour:
    """What makes a colour of a vector; of one snapshot's rows, so that colours of two do not compare."""

    mean: NDArray[np.float64]  # (d,)
    axes: NDArray[np.float64]  # (d, 3)
    low: NDArray[np.float64]  # (3,) black
    high: NDArray[np.float64]  # (3,) white

    @staticmethod
    def of(vectors: NDArray[np.float32]) -> FalseColour:
        """Fitted to vectors (n, d) of norm 1."""
        mean, axes = principal_axes(vectors, 3)
        low, high = np.percentile((vectors - mean) @ axes, PERCENT, axis=0)
        return FalseColour(mean, axes, low, np.maximum(high, low + 1e-9))

    def colours(self, vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Red, green, blue (m, 3) of vectors (m, d) of norm 1."""
        share = ((vectors - self.mean) @ self.axes - self.low) / (self.high - self.low)
        return (np.clip(share, 0, 1) * 255).round().astype(np.uint8)
