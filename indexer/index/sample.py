"""A few rows of a segment, evenly spread: what a similarity is compared with, to say how rare it is.

Cosines of one model all lie close together, those of another far apart, so a cosine alone says little. Which
share of the table's rows is as like the question says more, and costs a product with a few thousand rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from ..geo.cells import Cells
from ..geo.row_ranges import Mask, Rows, positions
from ..table.columns import Cosines, Similarities, cosines, inverse_norms
from .mapped import CheckedArray
from .vectors import HALF_A_STEP, float32_error

SAMPLE_ROWS = 4_096  # of a segment; of a smaller one all
FEWEST_ROWS = 256  # of a shard
TOGETHER = 64  # questions, whose products with all rows stay in the processor's cache


@dataclass(frozen=True)
class Compared:
    """A question and the rows that it found."""

    similarity: Cosines  # (k,) of these, rounded to DECIMALS
    vectors: Cosines  # (m, d) of norm 1
    without: Cells  # (c,) whose rows are left out
    all_of: bool = False  # a row counts for the vector that it is least like

    def of_all(self, each: NDArray[np.floating]) -> NDArray[np.floating]:
        """A row's similarity (n,) of those with each vector (m, n)."""
        return np.asarray(each.min(axis=0) if self.all_of else each.max(axis=0))


@dataclass(frozen=True)
class Sample:
    """Some rows of a segment in order of cell, that have a vector in a column or not."""

    cells: CheckedArray  # (s,) uint64
    matrix: CheckedArray  # (s, d) float16

    @cached_property
    def _units(self) -> Similarities:
        """The vectors as (s, d) of norm 1, NaN where one has no direction."""
        matrix = self.matrix.whole()
        inverse = inverse_norms(matrix)
        with np.errstate(invalid="ignore"):
            return np.asarray(matrix * np.where(inverse > 0, inverse, np.float32(np.nan))[:, None])

    @cached_property
    def _directed(self) -> Mask:
        return np.asarray(~np.isnan(self._units[:, 0]))

    def at_least(self, answered: Sequence[Compared]) -> list[tuple[Rows, int]]:
        """For each question how many rows are at least as like it as each it found (k,), and of how many.

        Raises:
            DamagedIndexError: the files are not what was written.
        """
        counts = []
        for first in range(0, len(answered), TOGETHER):
            some = answered[first : first + TOGETHER]
            products = np.concatenate([one.vectors for one in some]).astype(np.float32) @ self._units.T
            ends = accumulate((len(one.vectors) for one in some), initial=0)
            for one, (start, stop) in zip(some, pairwise(ends), strict=True):
                counts.append(self._at_least(one, one.of_all(products[start:stop])))
        return counts

    def _at_least(self, one: Compared, near: Similarities) -> tuple[Rows, int]:
        """Of rows whose cosines (s,) are known in float32; in float64 where they may be on either side."""
        known, error = np.sort(one.similarity), float32_error(self._units.shape[1]) + HALF_A_STEP
        count = int(np.count_nonzero(self._directed))
        if len(one.without):
            cells = self.cells.whole()
            first, stop = (np.searchsorted(cells, one.without, side) for side in ("left", "right"))
            own = positions(first, stop - first)
            near[own] = np.nan
            count -= int(np.count_nonzero(self._directed[own]))
        rows = np.flatnonzero(near >= known.min(initial=1) - error)
        if len(rows) == 0:
            return np.zeros(len(known), np.int64), count
        peers = near[rows].astype(np.float64)
        unsure = np.searchsorted(known, peers - error) < np.searchsorted(known, peers + error, side="right")
        if unsure.any():
            vectors = self.matrix.unchecked[rows[unsure]]
            peers[unsure] = one.of_all(np.array([cosines(vectors, vector) for vector in one.vectors]))
        peers.sort()
        return len(peers) - np.searchsorted(peers, one.similarity), count


def evenly(rows: int, shards: int = 1) -> NDArray[np.int64]:
    """Which rows of a segment are the sample; of one of many shards fewer, as all are looked at together."""
    count = SAMPLE_ROWS if shards == 1 else max(SAMPLE_ROWS // shards, FEWEST_ROWS)
    return np.linspace(0, rows - 1, min(rows, count)).round().astype(np.int64)


def top_shares(counted: Sequence[tuple[Rows, int, int]], k: int) -> NDArray[np.float64]:
    """For k rows that were found the share of a table's rows that are at least as like.

    Args:
        counted: of each segment's sample how many are (k,), see `Sample.at_least`, of how many, and how many
            rows of the table it stands for.

    Returns:
        (k,), above 0 to 1. Where no sample has such a row, that of one row of them: it is no more than that.
        NaN where no sample has rows.
    """
    known = [(above, of, rows) for above, of, rows in counted if of and rows]
    if not known:
        return np.full(k, np.nan)
    share = sum(rows * above / of for above, of, rows in known) / sum(rows for _, _, rows in known)
    return np.asarray(np.maximum(share, 1 / sum(of for _, of, _ in known)))
