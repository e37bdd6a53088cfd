"""A few rows of a segment, evenly spread: what a similarity is compared with, to say how rare it is.

Cosines of one model all lie close together, those of another far apart, so a cosine alone says little. Which
share of the table's rows is as like the question says more, and costs a product with a few thousand rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..geo.cells import Cells
from ..table.columns import DECIMALS, Cosines, unit
from .mapped import CheckedArray

SAMPLE_ROWS = 4_096  # of a segment; of a smaller one all
FEWEST_ROWS = 256  # of a shard


@dataclass(frozen=True)
class Sample:
    """Some rows of a segment that have a vector in a column or not."""

    cells: CheckedArray  # (s,) uint64
    matrix: CheckedArray  # (s, d) float16

    @cached_property
    def _units(self) -> tuple[Cells, Cosines]:
        """Cells and vectors of norm 1 of the rows that have a direction: (m,), (m, d)."""
        with np.errstate(over="ignore"):
            vectors = unit(self.matrix.whole())
        usable = np.isfinite(vectors).all(axis=1)
        return self.cells.whole()[usable], vectors[usable]

    def similarity(self, vectors: Cosines, without: Cells, least: bool = False) -> Cosines:
        """The greatest cosine of each row to any of vectors (m, d) of norm 1, or the least; in order.

        Rows of some cells are left out. Raises `DamagedIndexError`.
        """
        cells, units = self._units
        kept = ~np.isin(cells, without)
        each = (units[kept] @ vectors.T).round(DECIMALS)
        return np.sort(each.min(axis=1) if least else each.max(axis=1))


def evenly(rows: int, shards: int = 1) -> NDArray[np.int64]:
    """Which rows of a segment are the sample; of one of many shards fewer, as all are looked at together."""
    count = SAMPLE_ROWS if shards == 1 else max(SAMPLE_ROWS // shards, FEWEST_ROWS)
    return np.linspace(0, rows - 1, min(rows, count)).round().astype(np.int64)


def top_shares(
    similarity: Cosines, samples: Sequence[Cosines], rows: Sequence[int]
) -> NDArray[np.float64] | None:
    """For similarities (k,) the share of a table's rows that are at least as like; None without a sample.

    Args:
        similarity: of the rows found.
        samples: of each segment, in order, see `Sample.similarity`.
        rows: of the table, that each segment stands for.

    Returns:
        (k,), above 0 to 1. Where no sample has such a row, that of one row of them: it is no more than that.
    """
    known = [(sample, count) for sample, count in zip(samples, rows, strict=True) if len(sample) and count]
    if not known:
        return None
    everything = sum(count for _, count in known)
    above = sum(
        count * (len(sample) - np.searchsorted(sample, similarity)) / len(sample) for sample, count in known
    )
    least = 1 / sum(len(sample) for sample, _ in known)
    return np.asarray(np.maximum(above / everything, least))
