"""A few rows of a segment, evenly spread: what a similarity is compared with, to say how rare it is.

Cosines of one model all lie close together, those of another far apart, so a cosine alone says little. Which
share of the table's rows is as like the question says more, and costs a product with a few thousand rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ..geo.cells import Cells
from ..geo.row_ranges import Rows, positions
from ..table.columns import Cosines, Similarities, cosines
from .mapped import CheckedArray
from .vectors import HALF_A_STEP, Vectors

SAMPLE_ROWS = 4_096  # of a segment; of a smaller one all
FEWEST_ROWS = 256  # of a shard


@dataclass(frozen=True)
class Compared:
    """A question and the rows that it found."""

    similarity: Cosines  # (k,) of these, rounded to DECIMALS
    vectors: Cosines  # (m, d) of norm 1
    without: Cells  # (c,) whose rows are left out
    all_of: bool = False  # a row counts for the vector that it is least like


@dataclass(frozen=True)
class Sample:
    """Some rows of a segment in order of cell, that have a vector in a column or not."""

    cells: CheckedArray  # (s,) uint64
    matrix: CheckedArray  # (s, d) float16

    @cached_property
    def _vectors(self) -> Vectors:
        return Vectors.of(self.matrix.whole())

    def at_least(self, answered: Sequence[Compared]) -> list[tuple[Rows, int]]:
        """For each question how many rows are at least as like it as each it found (k,), and of how many.

        Raises:
            DamagedIndexError: the files are not what was written.
        """
        likely = [one.vectors[:1] if one.all_of else one.vectors for one in answered]
        least = [one.similarity.min(initial=1) for one in answered]
        each = np.repeat(least, [len(vectors) for vectors in likely])
        named = self._vectors.reaching(np.concatenate(likely), each)
        return [
            self._at_least(one, list(islice(named, len(vectors))))
            for one, vectors in zip(answered, likely, strict=True)
        ]

    def _at_least(self, one: Compared, named: list[tuple[Similarities, Rows]]) -> tuple[Rows, int]:
        """Of the rows that may be as like each of a question's vectors."""
        similarity, vectors, count = one.similarity, one.vectors, self._vectors.count
        if len(one.without):
            cells = self.cells.whole()
            first, stop = (np.searchsorted(cells, one.without, side) for side in ("left", "right"))
            own = positions(first, stop - first)
            named = [(near[kept], rows[kept]) for near, rows in named for kept in [~np.isin(rows, own)]]
            count -= int(np.count_nonzero(self._vectors.inverse_norms.unchecked[own]))
        if not any(len(rows) for _, rows in named):
            return np.zeros(len(similarity), np.int64), count
        if len(vectors) == 1:
            peers = self._as_exact_as(similarity, *named[0], vectors[0])
        else:
            rows = np.unique(np.concatenate([rows for _, rows in named]))
            each = [cosines(self.matrix.unchecked[rows], vector) for vector in vectors]
            peers = np.min(each, axis=0) if one.all_of else np.max(each, axis=0)
        peers = np.sort(peers)
        return len(peers) - np.searchsorted(peers, similarity), count

    def _as_exact_as(self, similarity: Cosines, near: Similarities, rows: Rows, vector: Cosines) -> Cosines:
        """Cosines of rows, taken again in float64 where in float32 they may be on either side of some."""
        known, error = np.sort(similarity), self._vectors.error + HALF_A_STEP
        exact = near.astype(np.float64)
        unsure = np.searchsorted(known, exact - error) < np.searchsorted(known, exact + error, side="right")
        if unsure.any():
            exact[unsure] = cosines(self.matrix.unchecked[rows[unsure]], vector)
        return exact


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
